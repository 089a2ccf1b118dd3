/** Values that are built on first use. */

/** Builds on the first call and returns the same result afterwards; after a failure the next call builds again. */
export function lazy<T>(build: () => Promise<T>): () => Promise<T> {
  let built: Promise<T> | undefined
  return () => {
    built ??= build().catch((error: unknown) => {
      built = undefined
      throw error
    })
    return built
  }
}

/**
 * An object whose methods load the real object on first use, such as an adapter whose SDK is expensive to import.
 *
 * @param load returns the real object; usually made by `lazy`
 * @param methods every method of the object, so that the compiler reports a missing one
 */
export function lazyObject<T extends Record<keyof T, (...args: never[]) => Promise<unknown>>>(
  load: () => Promise<T>,
  methods: Readonly<Record<keyof T, true>>,
): T {
  const names = Object.keys(methods) as (keyof T)[]
  const call =
    (name: keyof T) =>
    async (...args: never[]) =>
      (await load())[name](...args)
  return Object.fromEntries(names.map((name) => [name, call(name)])) as T
}
