/** Leaves a part that is down alone for a while: whoever asks meanwhile is told the last failure, at once. */
import type { Clock } from './deadline.ts'

/** A hiccup costs nobody anything: the first failures in a row are followed by a try at once. */
const freeFailures = 5
const firstPause = 1_000
const longestPause = 5_000

/**
 * After some failures in a row: a pause of a second, then of two, and of five at most. The first success clears it.
 *
 * @param work is called again as soon as a pause is over
 * @throws what `work` threw last, during a pause
 */
export function withBackOff<T>(work: () => Promise<T>, clock: Clock): () => Promise<T> {
  let failures = 0
  let last: { readonly error: unknown; readonly at: number } | undefined

  return async () => {
    const pause = failures < freeFailures ? 0 : Math.min(firstPause * 2 ** (failures - freeFailures), longestPause)
    // By its distance: a clock that jumps back must not make a pause for ever.
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
