/** A list that keeps the newest of what it is given, bounded by how many they are and by how large. */

export interface Newest<T> {
  /** Oldest first; not to be kept, since it changes. */
  readonly all: readonly T[]
  /** How many had to go since the last `clear`. */
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
