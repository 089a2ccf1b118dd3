import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest'
import { createAzureTableStore } from '../../../shared/store/azure-table/store.azure-table.ts'
import type { Row, Store } from '../../../shared/store/store.ts'
import { createSweep } from '../../../shared/store/sweep.ts'
import { startTableProxy } from '../../setup/table-proxy.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { createClock } from '../session/parts.ts'

const now = '2031-05-10T12:00:00Z'
const clock = createClock(now)

describe('the sweep', () => {
  let network: TableProxy
  let store: Store
  beforeEach(async () => {
    const tablePrefix = `u${randomUUID().slice(0, 8)}`
    network = await startTableProxy(inject('tableServiceUri'), tablePrefix)
    store = createAzureTableStore({
      tableServiceUri: network.url,
      tablePrefix,
      credential: () => Promise.reject(new Error('not asked for on loopback')),
    })
  })
  afterEach(() => network.close())

  const put = async (row: string, sweepAfter: string, table: 'sessions' | 'states' | 'service' = 'sessions') => {
    const made: Row = { partition: row.slice(0, 1), row, sweepAfter: new Date(sweepAfter), values: { text: row } }
    return { ...made, etag: (await store.insert(table, made))! }
  }
  const isThere = async (row: Row, table: 'sessions' | 'states' | 'service' = 'sessions') =>
    (await store.find(table, row)) !== undefined

  it('removes the rows that ended more than ten minutes ago, in every table, and keeps the live ones', async () => {
    const ended = await put('ended', '2031-05-10T11:49:59Z')
    const state = await put('state', '2031-05-10T11:00:00Z', 'states')
    const ringKey = await put('2031-02', '2031-03-01T00:00:00Z', 'service')
    const justEnded = await put('just-ended', '2031-05-10T11:50:01Z')
    const live = await put('live', '2031-05-10T13:00:00Z')
    const thisMonths = await put('2031-05', '2031-06-01T00:00:00Z', 'service')

    const removed = await createSweep({ store, clock })()

    expect(removed).toBe(3)
    expect(await Promise.all([isThere(ended), isThere(state, 'states'), isThere(ringKey, 'service')])).not.toContain(
      true,
    )
    expect(await Promise.all([isThere(justEnded), isThere(live), isThere(thisMonths, 'service')])).not.toContain(false)
  })

  it('continues page after page until no expired row is left', async () => {
    await inTens(1100, (n) => put(`${n % 10}-${n}`, '2031-05-01T00:00:00Z'))
    const live = await put('live', '2031-05-11T00:00:00Z')
    network.resetRequests()

    const removed = await createSweep({ store, clock })()

    expect(removed).toBe(1100)
    const lists = network.requests.filter(({ operation, table }) => operation === 'list' && table === 'sessions')
    expect(lists.length).toBeGreaterThanOrEqual(3)
    expect(await isThere(live)).toBe(true)
  })

  it('leaves a row that was used after it was listed', async () => {
    const used = await put('used', '2031-05-01T00:00:00Z')
    const other = await put('other', '2031-05-01T00:00:00Z')
    const usedMeanwhile: Store = {
      ...store,
      listSweepable: async (table, ...rest) => {
        const page = await store.listSweepable(table, ...rest)
        if (table === 'sessions') await store.replace(table, { ...used, sweepAfter: new Date('2032-01-01') }, used.etag)
        return page
      },
    }

    const removed = await createSweep({ store: usedMeanwhile, clock })()

    expect(removed).toBe(1)
    expect(await isThere(used)).toBe(true)
    expect(await isThere(other)).toBe(false)
  })

  it('is harmless when two run at once', async () => {
    await inTens(60, (n) => put(`r${n}`, '2031-05-01T00:00:00Z'))
    const live = await put('live', '2031-05-11T00:00:00Z')

    const removed = await Promise.all([createSweep({ store, clock })(), createSweep({ store, clock })()])
    const rest = await createSweep({ store, clock })()

    expect(removed[0] + removed[1] + rest).toBe(60)
    expect(await isThere(live)).toBe(true)
  })

  it('that ended in the middle is finished by the next', async () => {
    await inTens(30, (n) => put(`r${n}`, '2031-05-01T00:00:00Z'))
    const live = await put('live', '2031-05-11T00:00:00Z')
    network.addFault({ operation: 'remove', status: 500 })

    await expect(createSweep({ store, clock })()).rejects.toMatchObject({ code: 'store_unavailable' })
    network.clearFaults()

    await createSweep({ store, clock })()
    expect(await store.listSweepable('sessions', new Date(now), 100)).toEqual([])
    expect(await isThere(live)).toBe(true)
  })
})

async function inTens(count: number, work: (n: number) => Promise<unknown>): Promise<void> {
  for (let n = 0; n < count; n += 10) {
    await Promise.all(Array.from({ length: Math.min(10, count - n) }, (_, i) => work(n + i)))
  }
}
