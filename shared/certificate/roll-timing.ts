/** Durations of the roll. All follow from two settings, so that none can contradict another. */

/** In milliseconds. */
export interface RollTiming {
  /** After this an instance reads the row again. */
  readonly read: number
  /** The time for which the old certificate stays at the application after the switch. */
  readonly overlap: number
  /** A step that is not finished by then counts as interrupted. Longer than a step may take. */
  readonly lease: number
  /** The most that one step may take. */
  readonly step: number
  /**
   * Between the first acceptance and the one that counts: a provider has many instances, and one of them is no proof.
   */
  readonly settle: number
  /** The pause after the first failure; it doubles … */
  readonly firstPause: number
  /** … up to this. */
  readonly longestPause: number
  /** A roll that takes longer is logged for the operator. */
  readonly stuckAfter: number
  /** A version that was added and is not accepted by then is added again: it may have been removed. */
  readonly forgetAfter: number
  /** The cache lifetime of /.well-known/jwks.json. */
  readonly publishedCache: number
  /** A key is published for this long before it signs, for a provider that reads it there. */
  readonly publishedAhead: number
}

interface RollTimingSettings {
  readonly readSeconds: number
  readonly overlapSeconds: number
}

const minute = 60_000

export function rollTimingOf({ readSeconds, overlapSeconds }: RollTimingSettings): RollTiming {
  const read = readSeconds * 1000
  const lease = Math.min(minute, 2 * read + 2_000)
  return {
    read,
    overlap: overlapSeconds * 1000,
    lease,
    step: lease - 1_000,
    settle: Math.min(minute, read / 2),
    firstPause: Math.min(15_000, read / 2),
    longestPause: Math.min(30 * minute, read * 6),
    stuckAfter: 60 * minute,
    forgetAfter: 6 * 60 * minute,
    publishedCache: read,
    publishedAhead: 3 * read,
  }
}

export function pauseAfter({ firstPause, longestPause }: RollTiming, attempts: number): number {
  return Math.min(longestPause, firstPause * 2 ** Math.min(Math.max(attempts - 1, 0), 20))
}
