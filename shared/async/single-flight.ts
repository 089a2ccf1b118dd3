/** Lets concurrent callers share one call; the result is not kept. */

/**
 * @param keyOf returns the same key for calls to share; the argument itself where it is left out
 * @returns a function that joins a running call, or starts one
 */
export function singleFlight<T>(work: () => Promise<T>): () => Promise<T>
export function singleFlight<A, T>(
  work: (argument: A) => Promise<T>,
  keyOf?: (argument: A) => unknown,
): (argument: A) => Promise<T>
export function singleFlight<A, T>(
  work: (argument: A) => Promise<T>,
  keyOf: (argument: A) => unknown = (argument) => argument,
): (argument: A) => Promise<T> {
  const underWay = new Map<unknown, Promise<T>>()
  return (argument) => {
    const key = keyOf(argument)
    const joined = underWay.get(key)
    if (joined) return joined
    const begun = work(argument).finally(() => underWay.delete(key))
    underWay.set(key, begun)
    return begun
  }
}
