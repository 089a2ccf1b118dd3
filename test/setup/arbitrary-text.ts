/**
 * Random text for property tests. fast-check's `unit: 'binary'`, `webUrl`, `webPath` and `webQueryParameters` cover the
 * same inputs, but build a table of all code points first, which costs each worker a second of CPU.
 */
import fc from 'fast-check'

/** Any code point but a lone surrogate. */
const codePoint = fc
  .integer({ min: 0, max: 0x10_f7ff })
  .map((number) => String.fromCodePoint(number < 0xd800 ? number : number + 0x800))

/** Text of any code points. */
export const anyText = (constraints: fc.StringConstraints = {}) => fc.string({ ...constraints, unit: codePoint })

/** RFC 3986 §3.3. */
const pathCharacters = "abyzABYZ0189-._~!$&'()*+,;=:@/"
const urlPart = (characters: string) =>
  fc.string({ unit: fc.oneof(fc.constantFrom(...Array.from(characters)), codePoint.map(encodeURIComponent)) })

export const webPath = urlPart(pathCharacters).map((path) => `/${path}`)

/** A query or a fragment, without its first character. RFC 3986 §3.4 and §3.5. */
export const webQuery = urlPart(`${pathCharacters}?`)

/** An address with a random domain, with or without a path. */
export const webUrl = fc
  .tuple(fc.constantFrom('https://', 'http://'), fc.domain(), fc.oneof(fc.constant(''), webPath))
  .map((parts) => parts.join(''))

/**
 * The name of a member of JSON, without characters that JSON escapes: `JSON.parse` of Node 24.21 returns such a name
 * wrong where objects with similar names were parsed before.
 */
export const memberName = (constraints: fc.StringConstraints = {}) =>
  fc.string(constraints).filter((name) => JSON.stringify(name) === `"${name}"`)
