/** The words of a space-separated parameter, such as `scope` (RFC 6749 §3.3). */

/** @param text untrusted @returns the words in their order; further spaces do not count */
export function wordsOf(text = ''): readonly string[] {
  return text.split(' ').filter(Boolean)
}

/** The same, each word once. */
export function uniqueWordsOf(text?: string): readonly string[] {
  return [...new Set(wordsOf(text))]
}
