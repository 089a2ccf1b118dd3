/**
 * The programs of the bench, and limits for the files and requests of a fresh instance: a change that makes a cold
 * start dearer has to raise one of them.
 */
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { countColdStart, countPurposes } from '../../bench/cold-counts.ts'
import type { ColdStart, Counts } from '../../bench/cold-counts.ts'
import { createPeople, readSession, repeat, signIn } from '../../bench/driver.ts'
import { startWorld } from '../../bench/world.ts'
import type { Running, World } from '../../bench/world.ts'

const bytesRead = ({ modules }: Counts) => modules.reduce((sum, { bytes }) => sum + bytes, 0)
const kilobyte = 1024

// One for the file: its cloud and its builds cost more than all tests.
let world: World
beforeAll(async () => {
  const broker = {
    outdir: inject('dist'),
    hostProgram: inject('hostProgram'),
    entryBytes: inject('entryBytes'),
    totalBytes: inject('totalBytes'),
    telemetryBytes: inject('telemetryBytes'),
  }
  world = await startWorld({ guests: 2, shared: { broker, tableServiceUri: inject('tableServiceUri') } })
})
afterAll(() => world.close())

describe('a fresh instance of the built bundle', () => {
  let cold: ColdStart
  beforeAll(async () => {
    cold = await countColdStart(world)
  })

  it('registers its functions from the route table alone, and sends no request', () => {
    expect(bytesRead(cold.registered)).toBeLessThan(45 * kilobyte)
    expect(bytesRead(cold.registered)).toBeGreaterThan(10 * kilobyte)
    expect(cold.registered.modules.length).toBeLessThanOrEqual(3)
    expect(cold.registered.calledBytes).toBeLessThan(12 * kilobyte)
    expect(cold.registered.requests).toEqual([])
  })

  it('answers its first request from two more files, for any function', () => {
    expect(bytesRead(cold.health)).toBeLessThan(333 * kilobyte)
    expect(cold.health.modules.length).toBeLessThanOrEqual(5)
    expect(cold.health.calledBytes).toBeLessThan(143 * kilobyte)
  })

  it.each(['health', 'login', 'session', 'signedIn', 'settled'] as const)(
    'has read no more than 600 KB of its bundle until %s, and no file of telemetry',
    (step) => {
      expect(bytesRead(cold[step])).toBeLessThan(600 * kilobyte)
      expect(cold[step].modules.length).toBeLessThanOrEqual(12)
      expect(cold[step].calledBytes).toBeLessThan((step === 'login' ? 255 : 310) * kilobyte)
      expect(cold[step].modules.filter(({ name }) => name.includes('telemetry'))).toEqual([])
    },
  )

  it('does not load undici, which costs as much as half of its registration', () => {
    expect(cold.settled.builtins.filter((name) => name.includes('undici'))).toEqual([])
    expect(cold.registered.builtins.length).toBeLessThanOrEqual(20)
    expect(cold.settled.builtins.length).toBeLessThanOrEqual(40)
    expect(cold.health.builtins).toContain('NativeModule https')
  })

  it('reads no files beside its bundle', () => {
    expect(cold.settled.otherFiles).toEqual([])
  })

  it('sends the same eleven requests until its first sign-in is done, one unwrap and one signature among them', () => {
    expect(countPurposes(cold.settled)).toEqual({
      "the provider's metadata": 1,
      "the provider's keys": 1,
      'the key ring': 1,
      "the certificate's record": 1,
      'an identity token': 1,
      "reading the ring's public key": 1,
      'unwrapping the ring': 1,
      'signing the assertion': 1,
      'reading the state': 1,
      'redeeming the code': 1,
      'keeping the session': 1,
    })
  })

  it('sends no token request and writes no row for a person who signed in at another instance', () => {
    const requested = countPurposes(cold.session)

    expect(requested['reading the session']).toBe(1)
    expect(requested).not.toHaveProperty('redeeming the code')
    expect(requested).not.toHaveProperty('keeping the session')
  })
})

describe('the programs of the bench', () => {
  let parties: readonly Running[]
  beforeAll(async () => {
    parties = await Promise.all([
      world.startBroker(),
      world.startPeer('openid-client'),
      world.startPeer('express-openid-connect'),
      world.startPeer('functions'),
    ])
  })

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
