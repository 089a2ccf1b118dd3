import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { TableName } from '../../shared/store/store.ts'
import { runFunction } from '../setup/admin-functions.ts'
import { shopPage } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { openTables } from '../setup/tables.ts'
import type { Tables } from '../setup/tables.ts'

const toShop = { frontend: 'shop', return_url: 'http://localhost:3000/' }
const longAgo = new Date(Date.now() - 3600_000)

describe('the sweep on its timer', () => {
  let stack: Stack
  let tables: Tables
  beforeAll(async () => {
    stack = await startStack({ instances: 2 })
    tables = openTables(stack)
  })
  afterEach(() => stack.store.clearFaults())
  afterAll(() => stack.close())

  const sweep = (instance = stack.brokers[0]!) => runFunction(instance, 'sweep')
  const putExpired = async (count: number, table: TableName = 'sessions') => {
    for (let n = 0; n < count; n += 20) {
      await Promise.all(
        Array.from({ length: Math.min(20, count - n) }, () =>
          tables.store.insert(table, { partition: 'expired', row: randomUUID(), sweepAfter: longAgo, values: {} }),
        ),
      )
    }
  }
  const expired = async (table: TableName = 'sessions') => (await tables.store.list(table, 'expired')).length

  it('removes the expired rows, page after page, and ends no live session', async () => {
    const person = stack.person()
    await person.signIn(toShop)
    await putExpired(520)
    await putExpired(5, 'states')
    const serviceRows = (await tables.rows('service')).length

    expect(await sweep()).toBe(202)

    expect([await expired(), await expired('states')]).toEqual([0, 0])
    expect((await tables.rows('service')).length).toBe(serviceRows)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    expect(stack.log()).toMatch(/"event":"swept".*"removed":525/)
  })

  it('is harmless when two instances run it at once', async () => {
    const person = stack.person()
    await person.signIn(toShop)
    await putExpired(80)

    expect(await Promise.all(stack.brokers.map((instance) => sweep(instance)))).toEqual([202, 202])
    await sweep()

    expect(await expired()).toBe(0)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('that meets a store which is down logs the failure, and the next one finishes the work', async () => {
    await putExpired(10)
    stack.store.addFault({ operation: 'remove', status: 503 })
    await sweep()
    stack.store.clearFaults()

    expect(stack.log()).toMatch(/"event":"sweep failed".*"code":"store_unavailable"/)
    await sweep()
    expect(await expired()).toBe(0)
  })

  it('that is killed in the middle is finished by the next', async () => {
    const person = stack.person()
    await person.signIn(toShop)
    await putExpired(100)
    const victim = await stack.startInstance()
    // The first removals reach the store, and no later one.
    stack.store.addFault({ operation: 'remove', delayMs: 0, times: 20 })
    stack.store.addFault({ operation: 'remove', hang: true })
    const killed = sweep(victim)
    await expect.poll(() => expired()).toBe(80)
    process.kill(victim.pid!, 'SIGKILL')
    await expect(killed).rejects.toThrow()
    stack.store.clearFaults()

    expect(await expired()).toBe(80)
    expect(await sweep()).toBe(202)
    expect(await expired()).toBe(0)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('cannot be started by a caller without the key', async () => {
    const [broker] = stack.brokers
    await putExpired(1)

    for (const key of ['', 'wrong', broker!.functionKey])
      expect([401, 403]).toContain(await runFunction(broker!, 'sweep', { key }))
    expect(await expired()).toBe(1)
  })
})
