/**
 * Values of unknown type, such as parsed JSON, and objects with optional members. Owns the checks of shape that every
 * folder needs; a schema for a whole message belongs to the folder that reads the message.
 */

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** An optional member that is null or an empty text counts as absent: some providers write it so. */
export function isAbsent(value: unknown): value is undefined | null | '' {
  return value === undefined || value === null || value === ''
}

/** A finite number, such as a time of a JWT. */
export function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

/** @returns a number of seconds, also where a provider writes it as text; undefined for any other value */
export function secondsOf(value: unknown): number | undefined {
  if (typeof value === 'string') return /^\d{1,15}(\.\d{1,9})?$/.test(value) ? Number(value) : undefined
  return isNumber(value) ? value : undefined
}

/** A JSON object; an array is none. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Drops undefined members, since `exactOptionalPropertyTypes` distinguishes them from missing ones. */
export function defined<T extends object>(members: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [Name in keyof T]?: Exclude<T[Name], undefined> }
}
