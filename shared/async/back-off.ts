/** Pauses requests to a part that is down: during the pause, callers get the last failure at once. */
import type { Clock } from './deadline.ts'

/** The first failures in a row cause no pause, so that a short interruption delays no request. */
const freeFailures = 5
const firstPause = 1_000
const longestPause = 5_000

/**
 * Calls `work`. After some failures in a row it pauses for a second, then for two, and for five at most; the first
 * success ends that.
 *
 * @param work is called again after each pause
 * @throws the last error of `work`, during a pause
 */
export function withBackOff<T>(work: () => Promise<T>, clock: Clock): () => Promise<T> {
  let failures = 0
  let last: { readonly error: unknown; readonly at: number } | undefined

  return async () => {
    const pause = failures < freeFailures ? 0 : Math.min(firstPause * 2 ** (failures - freeFailures), longestPause)
    // The absolute distance: a clock that jumps back must not cause an endless pause.
    if (last && Math.abs(clock() - last.at) < pause) throw last.error
    try {
      const result = await work()
      failures = 0
      last = undefined
      return result
    } catch (error) {
      failures += 1
      last = { error, at: clock() }
      throw error
    }
  }
}
