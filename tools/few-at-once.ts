/** Work on many files with few of them open: a system may allow a process 256 open files, and a build reads 1,500. */

const most = 32

/** `Promise.all(items.map(work))`, for at most 32 items at a time. */
export async function mapFewAtOnce<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = []
  for (let first = 0; first < items.length; first += most) {
    results.push(...(await Promise.all(items.slice(first, first + most).map(work))))
  }
  return results
}
