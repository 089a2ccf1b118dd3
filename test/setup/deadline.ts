/** A deadline that passes at once, when the request has arrived, on a machine of any speed. */
import { vi } from 'vitest'

/**
 * Starts `work` with timers that are stopped, waits until `hasArrived`, and lets the time pass.
 *
 * @returns the result or the error of `work`
 */
export async function letDeadlinePass<T>(
  work: () => Promise<T>,
  hasArrived: () => boolean,
  milliseconds = 10_000,
): Promise<T> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  try {
    const progress = { isOver: false }
    const end = () => void (progress.isOver = true)
    const result = work()
    result.then(end, end)
    while (!hasArrived() && !progress.isOver) await new Promise((resolve) => setImmediate(resolve))
    await vi.advanceTimersByTimeAsync(milliseconds)
    return await result
  } finally {
    vi.useRealTimers()
  }
}
