/** Finds the known name that a misspelt name resembles. */

/** @returns the closest of `candidates`, if a typing error explains the difference */
export function findNearestName(written: string, candidates: Iterable<string>): string | undefined {
  const word = written.toLowerCase()
  let nearest: string | undefined
  let least = Math.max(2, Math.floor(word.length / 5)) + 1
  for (const candidate of candidates) {
    const changes = distance(word, candidate.toLowerCase(), least)
    if (changes < least) {
      nearest = candidate
      least = changes
    }
  }
  return nearest
}

/** Levenshtein's distance, one row at a time; names are short. */
function distance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit) return limit
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? limit
}
