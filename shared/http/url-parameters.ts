/** Parameters of the query of a URL. */

/**
 * The rest of the query stays character by character (RFC 6749 §3.1 and §3.1.2): a page may compare its own address.
 *
 * @param url absolute
 * @param parameters each replaces those of the same name; an undefined one is left out
 */
export function withParameters(url: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const extended = new URL(url)
  const added = new URLSearchParams(
    Object.entries(parameters).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )
  if (added.size === 0) return extended.href
  const kept = extended.search.replace('?', '').split('&')
  const others = kept.filter(
    (part) => part !== '' && ![...new URLSearchParams(part).keys()].some((name) => added.has(name)),
  )
  extended.search = [...others, added.toString()].join('&')
  return extended.href
}
