/** Reads the rows of the key ring, and decides when a row that is already read is read again. */
import { singleFlight } from '../async/single-flight.ts'
import type { Clock } from '../async/deadline.ts'
import type { Store, StoredRow } from '../store/store.ts'

export const ringPartition = 'key-ring'
const rereadUnknownAfter = 30_000

type RowsByMonth = ReadonlyMap<string, StoredRow>

interface RingRows {
  /** Reads all rows. Parallel calls share one read. */
  read(): Promise<RowsByMonth>
  /** Reads all rows by a request of its own: after a write, a read that is under way may have begun before it. */
  reread(): Promise<RowsByMonth>
  /** The rows of the last read; undefined before the first one, and after `forget`. */
  known(): RowsByMonth | undefined
  /**
   * The row of a month, read again at most every 30 seconds.
   *
   * @param not the etag of the known row, where the caller needs another one
   */
  find(month: string, not?: string): Promise<StoredRow | undefined>
  /** After a fault: the rows that were read may be its cause, and repaired since. */
  forget(): void
}

export function createRingRows(store: Pick<Store, 'list'>, clock: Clock): RingRows {
  let rows: RowsByMonth | undefined
  let readAt = -Infinity

  const reread = async (): Promise<RowsByMonth> => {
    const list = await store.list('service', ringPartition)
    readAt = clock()
    rows = new Map(list.map((row) => [row.row, row]))
    return rows
  }
  const read = singleFlight(reread)

  return {
    read,
    reread,
    known: () => rows,
    find: async (month, not) => {
      const known = (rows ?? (await read())).get(month)
      // By the distance: a clock that jumped back must not make the pause an hour long.
      const isFresh = Math.abs(clock() - readAt) < rereadUnknownAfter
      return isFresh || (known && known.etag !== not) ? known : (await read()).get(month)
    },
    forget: () => {
      rows = undefined
    },
  }
}
