import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPeople, readSession, repeat, signIn } from '../../bench/driver.ts'
import { startWorld } from '../../bench/world.ts'
import type { Running, World } from '../../bench/world.ts'

describe('the programs of the bench', () => {
  let world: World
  let parties: readonly Running[]
  beforeAll(async () => {
    world = await startWorld({ guests: 2 })
    parties = await Promise.all([
      world.startBroker(),
      world.startPeer('openid-client'),
      world.startPeer('express-openid-connect'),
    ])
  })
  afterAll(() => world.close())

  it('sign the same person in at the same provider, and each reads its session', async () => {
    for (const party of parties) {
      const cookie = await signIn(party, world.guests[0]!)

      await expect(readSession(party, cookie)).resolves.toBeUndefined()
      await expect(readSession(party, '')).rejects.toThrow(`${party.name}: session answered 401`)
    }
  })

  it('report the CPU time and memory that they used, in total and until they were ready', async () => {
    for (const party of parties) {
      const before = await party.usage()
      await signIn(party, world.guests[1]!)
      const after = await party.usage()

      expect(before.cpuAtReady).toBeGreaterThan(0)
      expect(before.cpu).toBeGreaterThanOrEqual(before.cpuAtReady)
      expect(after.cpu).toBeGreaterThan(before.cpu)
      expect(after.cpuAtReady).toBe(before.cpuAtReady)
      expect(after.rss).toBeGreaterThan(1024 * 1024)
    }
  })

  it('report the longest pause of their event loop since the previous query', async () => {
    for (const party of parties) {
      await party.pause()
      await signIn(party, world.guests[1]!)
      const pause = await party.pause()

      expect(pause.own).toBeGreaterThan(0)
      expect(pause.wall).toBeGreaterThanOrEqual(pause.own)
    }
  })

  it('without work of their own answer the same, with the host, with the library alone, and without either', async () => {
    const servers = await Promise.all([world.startBareFunction(), world.startLibrary(), world.startPlainServer()])

    const answers = await Promise.all(servers.map(({ ready }) => fetch(`${ready.url}/hello`)))

    const [first, ...others] = await Promise.all(answers.map(async (answer) => [answer.status, await answer.text()]))
    expect(first).toEqual([200, expect.stringContaining('hello')])
    for (const other of others) expect(other).toEqual(first)
  })

  it('end on request', async () => {
    const bare = await world.startBareFunction()
    await expect(fetch(`${bare.ready.url}/hello`)).resolves.toMatchObject({ status: 200 })

    await bare.end()

    await expect(fetch(`${bare.ready.url}/hello`)).rejects.toThrow()
  })
})

describe('the load', () => {
  it('has the configured number of requests, and at most the configured number at once', async () => {
    let running = 0
    let most = 0
    const done: number[] = []

    await repeat(10, 3, async (index) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      done.push(index)
    })

    expect(done.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(most).toBe(3)
  })

  it('comes from different people', () => {
    const people = createPeople(3)

    expect(new Set(people.map(({ objectId }) => objectId)).size).toBe(3)
  })
})
