/** The amount of work of a run; every number is bounded. */
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
  /** The people who sign in repeatedly. */
  readonly guests: number
  /** Different people, who sign in once each: 0 measures no growth. */
  readonly strangers: number
  /** Without a pause, so that telemetry reports most of them as sums. */
  readonly fullLoad: { readonly rounds: number; readonly signIns: number }
  /** So few in a second that telemetry reports each of them in full. */
  readonly slowSignIns: { readonly rounds: number; readonly perSecond: number; readonly seconds: number }
  /** Fresh processes for the measurement of event loop pauses. */
  readonly pauseRounds: number
  /** Sessions in the store for the measurement of load. */
  readonly storedPeople: number
  /** The whole run ends after this, finished or not. */
  readonly minutes: number
}

export const fullPlan: Plan = {
  rounds: 7,
  coldRounds: 7,
  warmUpSignIns: 1500,
  warmUpReads: 10_000,
  signIns: 500,
  reads: 2000,
  inFlight: 4,
  guests: 100,
  strangers: 10_000,
  fullLoad: { rounds: 5, signIns: 2000 },
  slowSignIns: { rounds: 5, perSecond: 5, seconds: 12 },
  pauseRounds: 5,
  storedPeople: 100_000,
  minutes: 20,
}

/** Enough to see that something became twice as dear, on a laptop or in CI; not enough for the goals. */
export const quickPlan: Plan = {
  ...fullPlan,
  rounds: 3,
  coldRounds: 3,
  warmUpSignIns: 300,
  warmUpReads: 2000,
  signIns: 150,
  reads: 1000,
  guests: 20,
  strangers: 0,
  fullLoad: { rounds: 1, signIns: 500 },
  slowSignIns: { rounds: 1, perSecond: 5, seconds: 5 },
  pauseRounds: 1,
  storedPeople: 5_000,
  minutes: 6,
}

/** The measurements that `--only` names. `load` runs only where it is named: it takes as long as all others. */
export const partNames = ['cold', 'counts', 'warm', 'telemetry', 'oauth', 'growth', 'pause', 'load'] as const
export type PartName = (typeof partNames)[number]
