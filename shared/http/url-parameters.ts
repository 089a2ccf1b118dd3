/** Parameters of the query of a URL. */

/**
 * @param url absolute; other parameters of its query stay
 * @param parameters each replaces one of the same name; an undefined one is left out
 */
export function withParameters(url: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const extended = new URL(url)
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined) extended.searchParams.set(name, value)
  }
  return extended.href
}
