/** The members of a space-separated parameter, such as `scope` (RFC 6749 §3.3). */

/** @param text untrusted @returns the members in their order; further spaces do not count */
export function membersOf(text = ''): readonly string[] {
  return text.split(' ').filter(Boolean)
}

/** The same, each member once. */
export function uniqueMembersOf(text?: string): readonly string[] {
  return [...new Set(membersOf(text))]
}
