/** The objects that hooks get: what they carry may be changed, not replaced. */

/** An object with these properties, each of which throws when it is assigned to. */
export function hookContext<T extends Record<string, unknown>>(properties: T): Readonly<T> {
  const context = {} as T
  for (const name of Object.keys(properties)) {
    Object.defineProperty(context, name, {
      enumerable: true,
      get: () => properties[name],
      set: () => {
        throw new TypeError(`Cannot assign to read only property '${name}'`)
      },
    })
  }
  return context
}
