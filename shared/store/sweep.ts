/** The sweep: removes expired rows, a page at a time. Each delete is conditional on the row being as it was listed. */
import type { Store, TableName } from './store.ts'
import type { Clock } from '../async/deadline.ts'

/** @returns how many rows were removed; a row that was used since the query stays */
export type Sweep = () => Promise<number>

const tables: readonly TableName[] = ['sessions', 'states', 'codes', 'service']
const pageSize = 500
const atOnce = 10
/** A row outlives its end by this, so that no clock's error removes a row that another instance would still accept. */
const graceMilliseconds = 10 * 60 * 1000
/** Below the host's function timeout; the next run continues. */
const budgetMilliseconds = 3 * 60 * 1000

export function createSweep({ store, clock }: { store: Store; clock: Clock }): Sweep {
  const sweepTable = async (table: TableName, before: Date, until: number): Promise<number> => {
    let removed = 0
    while (clock() < until) {
      const page = await store.listSweepable(table, before, pageSize)
      const outcomes: boolean[] = []
      for (let at = 0; at < page.length; at += atOnce) {
        const some = page.slice(at, at + atOnce)
        outcomes.push(...(await Promise.all(some.map((row) => store.remove(table, row, row.etag)))))
      }
      const count = outcomes.filter(Boolean).length
      removed += count
      // A short page need not be the last: the service ends a page where a partition's server ends. A page without
      // a removed row would come again, so the next run continues there.
      if (count === 0) break
    }
    return removed
  }

  return async () => {
    const before = new Date(clock() - graceMilliseconds)
    const until = clock() + budgetMilliseconds
    let removed = 0
    for (const table of tables) removed += await sweepTable(table, before, until)
    return removed
  }
}
