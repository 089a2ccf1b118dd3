/** Limits for the files and requests of a fresh instance: a change that makes a cold start dearer has to raise one of them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { countColdStart, countPurposes } from '../../bench/cold-counts.ts'
import type { ColdStart, Counts } from '../../bench/cold-counts.ts'
import { startWorld } from '../../bench/world.ts'
import type { World } from '../../bench/world.ts'

const bytesRead = ({ modules }: Counts) => modules.reduce((sum, { bytes }) => sum + bytes, 0)
const kilobyte = 1024

describe('a fresh instance of the built bundle', () => {
  let world: World
  let cold: ColdStart
  beforeAll(async () => {
    world = await startWorld({ guests: 1 })
    cold = await countColdStart(world)
  })
  afterAll(() => world.close())

  it('registers its functions from the entry chunk alone, and sends no request', () => {
    expect(bytesRead(cold.registered)).toBeLessThan(330 * kilobyte)
    expect(bytesRead(cold.registered)).toBeGreaterThan(100 * kilobyte)
    expect(cold.registered.modules.length).toBeLessThanOrEqual(16)
    expect(cold.registered.calledBytes).toBeLessThan(140 * kilobyte)
    expect(cold.registered.requests).toEqual([])
  })

  it.each(['health', 'login', 'session', 'signedIn', 'settled'] as const)(
    'has read no more than 700 KB of its bundle until %s, and no file of telemetry',
    (step) => {
      expect(bytesRead(cold[step])).toBeLessThan(700 * kilobyte)
      expect(cold[step].modules.length).toBeLessThanOrEqual(26)
      expect(cold[step].calledBytes).toBeLessThan(350 * kilobyte)
      expect(cold[step].modules.filter(({ name }) => name.includes('telemetry'))).toEqual([])
    },
  )

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
    const asked = countPurposes(cold.session)

    expect(asked['reading the session']).toBe(1)
    expect(asked).not.toHaveProperty('redeeming the code')
    expect(asked).not.toHaveProperty('keeping the session')
  })
})
