/** Months, as keys of the key ring and keys of ID tokens are named: `2026-11`, in UTC. */

/** @param now milliseconds since the epoch */
export function monthOf(now: number): string {
  return new Date(now).toISOString().slice(0, 7)
}

/** @returns milliseconds since the epoch */
export function endOfMonth(month: string): number {
  const [year, number] = month.split('-').map(Number)
  return Date.UTC(year ?? 0, number ?? 0, 1)
}
