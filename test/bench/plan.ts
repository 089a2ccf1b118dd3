/** How much a run does; everything is bounded. */
export interface Plan {
  readonly rounds: number
  readonly coldRounds: number
  readonly warmUpSignIns: number
  readonly warmUpReads: number
  /** In each round, by each program. */
  readonly signIns: number
  readonly reads: number
  /** At once. */
  readonly inFlight: number
  readonly people: number
  /** The whole run ends after this, finished or not. */
  readonly minutes: number
}

export const fullPlan: Plan = {
  rounds: 7,
  coldRounds: 7,
  warmUpSignIns: 1500,
  warmUpReads: 3000,
  signIns: 500,
  reads: 2000,
  inFlight: 4,
  people: 100,
  minutes: 8,
}

/** Enough to see that something became twice as dear, on a laptop or in CI; not enough for the goals. */
export const quickPlan: Plan = {
  ...fullPlan,
  rounds: 3,
  coldRounds: 3,
  warmUpSignIns: 300,
  warmUpReads: 1000,
  signIns: 150,
  reads: 1000,
  people: 20,
  minutes: 3,
}
