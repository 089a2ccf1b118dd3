/** Deadlines by a race with a timer, because some SDK calls ignore abort signals. */

/** Milliseconds since the epoch; an argument, so that tests can move it. */
export type Clock = () => number

/**
 * Waits for `work`, but not longer than `milliseconds`.
 *
 * @param onTimeout makes the error to throw; a late result or error of `work` is ignored
 */
export async function withDeadline<T>(work: Promise<T>, milliseconds: number, onTimeout: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_, reject) => {
    // Node.js warns about a negative timeout.
    timer = setTimeout(() => reject(onTimeout()), Math.max(1, milliseconds))
  })
  try {
    return await Promise.race([work, timeout])
  } finally {
    clearTimeout(timer)
  }
}

export function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
