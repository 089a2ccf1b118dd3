/** The objects for hooks: a hook may change their content, but not replace a property. */

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
