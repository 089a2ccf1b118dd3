import { describe, expect, it } from 'vitest'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import type { SessionKey } from '../../../shared/session/session-row.ts'
import type { Sessions } from '../../../shared/session/sessions.ts'
import type { Store } from '../../../shared/store/store.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { openRing, openSessions, adaIdentity, useSessionParts } from './parts.ts'
import type { SessionParts, TestClock } from './parts.ts'

const start = '2031-05-10T12:00:00.000Z'
const tokens = { refreshToken: 'r', accessTokens: {} }
const hour = 3600

describe('a session', () => {
  let parts: SessionParts
  let network: TableProxy
  let store: Store
  let clock: TestClock
  let ring: KeyRing
  let sessions: Sessions
  useSessionParts(start, (own) => {
    ;({ parts, network, store, clock, ring } = own)
    sessions = openSessions({ store, ring, clock })
  })

  const begin = async (frontEndId = 'shop', by = sessions): Promise<SessionKey> =>
    by.keyOf(frontEndId, cookie(frontEndId, await by.begin(frontEndId, adaIdentity, tokens)))!
  const use = async (key: SessionKey) => {
    const read = await sessions.find(key)
    await sessions.replace(read!, sessions.touched(read!.session))
  }

  it('is found with the cookie of its sign-in', async () => {
    const key = await begin()

    expect((await sessions.findOwner(key))?.identity).toEqual(adaIdentity)
    expect((await sessions.find(key))?.session.tokens).toEqual(tokens)
  })

  it('costs one request to the store to read, and only the owner’s part of the row', async () => {
    const key = await begin()
    network.resetRequests()

    await sessions.findOwner(key)

    expect(network.requests.map(({ operation }) => operation)).toEqual(['find'])
  })

  it('belongs to one front end: its cookie opens no session at another', async () => {
    const key = await begin('shop')

    expect(await sessions.findOwner({ ...key, frontEndId: 'desk' })).toBeUndefined()
    expect(await sessions.findOwner(key)).toBeDefined()
  })

  describe('ends when it is not used', () => {
    it('to the millisecond', async () => {
      const key = await begin()

      clock.set(Date.parse(start) + hour * 1000 - 1)
      expect(await sessions.findOwner(key)).toBeDefined()
      clock.set(Date.parse(start) + hour * 1000)
      expect(await sessions.findOwner(key)).toBeUndefined()
      expect(await sessions.find(key)).toBeUndefined()
    })

    it('later, when it was used', async () => {
      const key = await begin()
      clock.advance(hour - 1)
      await use(key)

      clock.advance(hour - 1)
      expect(await sessions.findOwner(key)).toBeDefined()
      clock.advance(1)
      expect(await sessions.findOwner(key)).toBeUndefined()
    })

    it('although it was read all the time', async () => {
      const key = await begin()

      for (let minute = 0; minute < 59; minute++) {
        clock.advance(60)
        expect(await sessions.findOwner(key)).toBeDefined()
      }
      clock.advance(60)
      expect(await sessions.findOwner(key)).toBeUndefined()
    })
  })

  it('ends at its absolute end, to the millisecond, however often it is used', async () => {
    const key = await begin()

    for (let half = 1; half < 24; half++) {
      clock.advance(hour / 2)
      await use(key)
    }
    clock.set(Date.parse(start) + 12 * hour * 1000 - 1)
    expect((await sessions.findOwner(key))?.idleEnd).toBe(Date.parse(start) + 12 * hour * 1000)
    clock.advance(0.001)
    expect(await sessions.findOwner(key)).toBeUndefined()
  })

  it('may be swept from the moment when it can no longer be used, and not before', async () => {
    const key = await begin()
    const dueAt = async () => (await store.find('sessions', key.rowKey))!.sweepAfter.toISOString()

    expect(await dueAt()).toBe('2031-05-10T13:00:00.000Z')
    clock.advance(hour / 2)
    await use(key)
    expect(await dueAt()).toBe('2031-05-10T13:30:00.000Z')
  })

  it('is sealed with the new month’s key when it is used in the new month', async () => {
    clock.set('2031-05-31T23:45:00Z')
    const key = await begin()
    clock.set('2031-06-01T00:15:00Z')
    await ring.current()
    await expect.poll(async () => (await ring.current()).id).toMatch(/^2031-06-/)

    await use(key)

    expect((await store.find('sessions', key.rowKey))?.values.ringKey).toMatch(/^2031-06-/)
    expect((await sessions.findOwner(key))?.identity).toEqual(adaIdentity)
    // Another instance, which knows neither month's key yet.
    const elsewhere = openSessions({ store, ring: openRing({ store, vault: parts.newVault(), clock }), clock })
    expect(await elsewhere.findOwner(key)).toBeDefined()
  })

  it('ends cleanly when the ring’s key that sealed it is missing', async () => {
    const key = await begin()
    await store.remove('service', { partition: 'key-ring', row: '2031-05' })
    const elsewhere = openSessions({ store, ring: openRing({ store, vault: parts.newVault(), clock }), clock })
    clock.advance(60)

    // This month's key is created again where it is missing, and opens no earlier session.
    expect(await elsewhere.findOwner(key)).toBeUndefined()
    expect(await elsewhere.find(key)).toBeUndefined()
  })

  it('is unavailable, and not ended, when the store or the vault is unavailable', async () => {
    const key = await begin()
    const cold = openSessions({ store, ring: openRing({ store, vault: parts.newVault(), clock }), clock })

    parts.vault.faults.add({ status: 503 })
    await expect(cold.findOwner(key)).rejects.toMatchObject({ status: 503 })
    parts.vault.faults.clear()
    network.addFault({ status: 500 })
    await expect(sessions.findOwner(key)).rejects.toMatchObject({ code: 'store_unavailable' })
    network.clearFaults()

    clock.advance(10)
    expect(await sessions.findOwner(key)).toBeDefined()
    expect(await cold.findOwner(key)).toBeDefined()
  })

  it('is written by one of two concurrent writers, and the other one detects it', async () => {
    const key = await begin()
    const [one, two] = [(await sessions.find(key))!, (await sessions.find(key))!]

    const outcomes = [
      await sessions.replace(one, sessions.touched(one.session)),
      await sessions.replace(two, sessions.touched(two.session)),
    ]

    expect(outcomes.map((written) => written !== undefined)).toEqual([true, false])
  })

  it('stays ended: a caller that read it before its end cannot write it back', async () => {
    const key = await begin()
    const read = (await sessions.find(key))!
    await sessions.end(key)

    expect(await sessions.replace(read, sessions.touched(read.session))).toBeUndefined()
    expect(await sessions.findOwner(key)).toBeUndefined()
  })

  describe('restored by an attacker who can write to the store', () => {
    it('is valid until its sealed absolute end, and not after it', async () => {
      const key = await begin()
      const old = (await store.find('sessions', key.rowKey))!
      await sessions.end(key)
      expect(await sessions.findOwner(key)).toBeUndefined()

      await store.insert('sessions', { ...old, sweepAfter: new Date('2040-01-01') })
      expect(await sessions.findOwner(key)).toBeDefined()

      clock.advance(12 * hour)
      expect(await sessions.findOwner(key)).toBeUndefined()
    })

    it('is not extended by a later end written beside it', async () => {
      const key = await begin()
      const { etag, ...row } = (await store.find('sessions', key.rowKey))!
      const absoluteEnd = String(Date.parse('2040-01-01'))

      await store.replace('sessions', { ...row, values: { ...row.values, absoluteEnd } }, etag)

      expect(await sessions.findOwner(key)).toBeUndefined()
    })
  })

  describe('with a setting that allows a read from memory', () => {
    it('is read once in that time, and its end on another instance takes effect after it', async () => {
      const here = openSessions({ store, ring, clock, cacheSeconds: 30 })
      const key = await begin('shop', here)
      await here.findOwner(key)
      await sessions.end(key) // on another instance
      network.resetRequests()

      clock.advance(29)
      expect(await here.findOwner(key)).toBeDefined()
      expect(network.requests).toEqual([])
      clock.advance(1)
      expect(await here.findOwner(key)).toBeUndefined()
    })

    it('is read again after a clock that jumped back, and not kept for as long as the jump', async () => {
      const here = openSessions({ store, ring, clock, cacheSeconds: 30 })
      const key = await begin('shop', here)
      await here.findOwner(key)
      await sessions.end(key) // on another instance

      clock.advance(-hour)

      expect(await here.findOwner(key)).toBeUndefined()
    })

    it('ends at once where it is ended, and at its own ends to the millisecond', async () => {
      const here = openSessions({ store, ring, clock, cacheSeconds: 30 })
      const [one, two] = [await begin('shop', here), await begin('shop', here)]
      await here.findOwner(one)

      await here.end(one)
      expect(await here.findOwner(one)).toBeUndefined()

      clock.set(Date.parse(start) + hour * 1000 - 1)
      expect(await here.findOwner(two)).toBeDefined()
      clock.set(Date.parse(start) + hour * 1000)
      expect(await here.findOwner(two)).toBeUndefined()
    })

    it('is not kept by a read that began before its end', async () => {
      const [answered, released] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
      const slow: Store = {
        ...store,
        find: async (...of) => {
          const row = await store.find(...of)
          answered.resolve(undefined)
          await released.promise
          return row
        },
      }
      const here = openSessions({ store: slow, ring, clock, cacheSeconds: 30 })
      const key = await begin()

      const reading = here.findOwner(key)
      await answered.promise
      await here.end(key)
      released.resolve(undefined)

      expect(await reading).toBeDefined()
      expect(await here.findOwner(key)).toBeUndefined()
    })

    it('opens from memory for its own cookie only', async () => {
      const here = openSessions({ store, ring, clock, cacheSeconds: 30 })
      const key = await begin('shop', here)
      await here.findOwner(key)

      expect(await here.findOwner({ ...key, frontEndId: 'desk' })).toBeUndefined()
      expect(await here.findOwner({ ...key, secret: Buffer.alloc(24) })).toBeUndefined()
      expect(await here.findOwner(key)).toBeDefined()
    })
  })

  it('from last month opens until it ends', async () => {
    clock.set('2031-05-31T23:59:59Z')
    const key = await begin()

    clock.set('2031-06-01T00:30:00Z')
    const elsewhere = openSessions({ store, ring: openRing({ store, vault: parts.newVault(), clock }), clock })
    expect(await elsewhere.findOwner(key)).toBeDefined()
  })
})

function cookie(frontEndId: string, value: string): ReadonlyMap<string, string> {
  return new Map([[`__Host-session-${frontEndId}`, value]])
}
