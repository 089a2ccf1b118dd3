/** A list that keeps the newest items, bounded by their number and by their size. */

interface Newest<T> {
  /** Oldest first; callers must not keep it, since it changes. */
  readonly all: readonly T[]
  /** Number of items that were dropped since the last `clear`. */
  readonly dropped: number
  add(value: T, bytes: number): void
  clear(): void
}

export function createNewest<T>({ most, mostBytes }: { most: number; mostBytes: number }): Newest<T> {
  const kept: T[] = []
  const sizes: number[] = []
  let [total, dropped] = [0, 0]
  return {
    all: kept,
    get dropped() {
      return dropped
    },
    add: (value, bytes) => {
      kept.push(value)
      sizes.push(bytes)
      total += bytes
      while (kept.length > most || total > mostBytes) {
        kept.shift()
        total -= sizes.shift() ?? 0
        dropped += 1
      }
    },
    clear: () => {
      kept.length = sizes.length = 0
      ;[total, dropped] = [0, 0]
    },
  }
}
