/** One call under way for all who want its result; nothing is kept afterwards. */

/**
 * @param keyOf which calls are the same; the argument itself where it is left out
 * @returns a function that joins the call under way, or begins one
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
