import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { open, seal } from '../../../shared/crypto/sealing.ts'
import type { RingKey } from '../../../shared/crypto/key-ring.ts'
import type { Store, Values } from '../../../shared/store/store.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { createClock, month, openRing, useSessionParts } from '../session/parts.ts'
import type { SessionParts, TestClock } from '../session/parts.ts'

describe('the key ring', () => {
  let parts: SessionParts
  let network: TableProxy
  let store: Store
  let clock: TestClock
  let faults: unknown[]
  useSessionParts('2031-05-10T12:00:00Z', (own) => void ({ parts, network, store, clock, faults } = own))

  const newInstance = () => openRing({ store, vault: parts.newVault(), clock, faults })
  const rowsThere = async () => (await store.list('service', 'key-ring')).map(({ row }) => row).sort()

  it('has one row a month, made by the instance that first needs it', async () => {
    const ring = newInstance()

    const may = await ring.current()
    await ring.current()
    clock.set('2031-06-02T12:00:00Z')
    await ring.current()
    const june = await untilCurrent(ring, '2031-06')

    expect(may.id).toMatch(/^2031-05-[0-9a-f]{8}$/)
    expect(june.id).toMatch(/^2031-06-[0-9a-f]{8}$/)
    expect(await rowsThere()).toEqual(['2031-05', '2031-06'])
    expect((await ring.keys()).keys.map(({ id }) => id)).toEqual([may.id, june.id])
    expect(parts.vaultOperations().filter((one) => one === 'wrapkey')).toHaveLength(2)
  })

  it('is made once by two instances that need it at once, and each opens what the other seals', async () => {
    const [here, there] = [newInstance(), newInstance()]

    const [one, two] = await Promise.all([here.current(), there.current()])

    expect(await rowsThere()).toEqual(['2031-05'])
    expectSameKey(one, two)
    expect(one.blindIndex('a person')).toBe(two.blindIndex('a person'))
  })

  it('costs a new instance one read of the store, one unwrap and one read of the public key, however many wait for it', async () => {
    const { id } = await newInstance().current()
    network.resetRequests()
    parts.vault.resetRequests()

    const ring = newInstance()
    await Promise.all(Array.from({ length: 20 }, () => ring.current()))
    await Promise.all(Array.from({ length: 20 }, () => ring.find(id)))

    expect(network.requests.map(({ operation }) => operation)).toEqual(['list'])
    expect([...parts.vaultOperations()].sort()).toEqual(['getKey', 'unwrapkey'])
  })

  it('opens sessions of the month before, and keeps its row until the last of them ends', async () => {
    const may = await newInstance().current()
    const sealed = seal(may.session, 'from may', 'row')

    clock.set('2031-06-01T00:00:00Z')
    const found = await newInstance().find(may.id)

    expect(open(found!.session, sealed, 'row')).toBe('from may')
    const [row] = await store.list('service', 'key-ring')
    // Sealed in the last moment of the month, a session of twelve hours ends at noon.
    expect(row!.sweepAfter.getTime()).toBeGreaterThanOrEqual(Date.parse('2031-06-01T12:00:00Z'))
  })

  it('derives a key for each purpose, and none opens what another sealed', async () => {
    const key = await newInstance().current()

    expect(open(key.transaction, seal(key.session, 'text', 'row'), 'row')).toBeUndefined()
    expect(open(key.session, seal(key.session, 'text', 'row'), 'row')).toBe('text')
  })

  it('stores no key that opens anything', async () => {
    const key = await newInstance().current()
    const secrets = [key.session, key.transaction].map((one) => one.export())

    const [row] = await store.list('service', 'key-ring')

    const bytes = Buffer.concat(Object.values(row!.values).map((value) => Buffer.from(value)))
    for (const secret of secrets) expect(bytes.includes(secret)).toBe(false)
  })

  describe('on a rotation of the wrapping key', () => {
    it('opens the old row with the old version, and wraps the next month’s key with the new one', async () => {
      await newInstance().current()
      const version = await parts.rotateWrappingKey()

      const ring = newInstance()
      await ring.current()
      clock.advance(month)
      await untilCurrent(ring, '2031-06')

      const rows = await store.list('service', 'key-ring')
      const versions = Object.fromEntries(rows.map(({ row, values }) => [row, values.wrappingVersion]))
      expect(versions['2031-06']).toBe(version)
      expect(versions['2031-05']).not.toBe(version)
    })
  })

  describe('with a row that cannot be unwrapped', () => {
    it('continues in a warm instance', async () => {
      const warm = newInstance()
      const { id } = await warm.current()
      parts.setWrappingKeyEnabled(false)

      expect((await warm.current()).id).toBe(id)
      expect(await warm.find(id)).toBeDefined()
    })

    it('is reported by a new instance, which creates no row of its own, and serves after the repair', async () => {
      const { id } = await newInstance().current()
      parts.setWrappingKeyEnabled(false)
      const cold = newInstance()

      await expect(cold.current()).rejects.toMatchObject({ status: 503, code: 'vault_forbidden' })
      await expect(cold.find(id)).rejects.toMatchObject({ status: 503 })
      expect(await rowsThere()).toEqual(['2031-05'])

      parts.setWrappingKeyEnabled(true)
      clock.advance(10)
      expect((await cold.current()).id).toBe(id)
    })

    it('calls the vault again at most every few seconds', async () => {
      await newInstance().current()
      parts.setWrappingKeyEnabled(false)
      const cold = newInstance()
      await expect(cold.current()).rejects.toThrow()
      parts.vault.resetRequests()

      for (let i = 0; i < 10; i++) await expect(cold.current()).rejects.toMatchObject({ status: 503 })

      expect(parts.vaultOperations()).toEqual([])
    })

    it('behaves the same with a vault that is down', async () => {
      await newInstance().current()
      parts.vault.faults.add({ status: 503 })

      await expect(newInstance().current()).rejects.toMatchObject({ code: 'vault_unavailable' })
      expect(await rowsThere()).toEqual(['2031-05'])
    })

    it('continues with last month’s key where this month’s cannot be created, for a week and no longer', async () => {
      const warm = newInstance()
      await warm.current()
      parts.vault.faults.add({ status: 503 })

      clock.set('2031-06-01T00:00:01Z')
      expect((await warm.current()).id).toMatch(/^2031-05-/)
      await expect.poll(() => faults).toHaveLength(1)
      clock.set('2031-06-08T00:00:01Z')
      await expect(warm.current()).rejects.toMatchObject({ code: 'vault_unavailable' })

      parts.vault.faults.clear()
      clock.advance(10)
      expect((await warm.current()).id).toMatch(/^2031-06-/)
    })
  })

  describe('searched for a key that it does not hold', () => {
    it('reads the store again at most once in 30 seconds', async () => {
      const ring = newInstance()
      await ring.current()
      network.resetRequests()

      clock.advance(31)
      for (const month of ['2031-07', '2031-08', '2031-09', '2031-07']) {
        expect(await ring.find(`${month}-00000000`)).toBeUndefined()
      }
      expect(network.requests).toHaveLength(1)

      clock.advance(31)
      expect(await ring.find('2031-07-00000000')).toBeUndefined()
      expect(network.requests).toHaveLength(2)
    })

    it('sends no read for a month whose sessions have all expired', async () => {
      const ring = newInstance()
      await ring.current()
      network.resetRequests()

      clock.advance(31)
      for (const month of ['2019-01', '2031-03', '2031-04']) {
        expect(await ring.find(`${month}-00000000`)).toBeUndefined()
      }

      expect(network.requests).toEqual([])
    })

    it.each([
      '',
      '2031-05',
      '2031-5-00000000',
      '2031-05-00000000 ',
      '../2031-05-00000000',
      '2031-05-0000000G',
      'key-ring',
      "2031-05' or '1'='1",
      '２０３１-05-00000000',
    ])('sends no read for an id of another form (%s)', async (id) => {
      const ring = newInstance()
      await ring.current()
      clock.advance(60)
      network.resetRequests()

      expect(await ring.find(id)).toBeUndefined()

      expect(network.requests).toEqual([])
    })

    it('finds the key of a month that has begun by another instance’s clock', async () => {
      clock.set('2031-05-31T23:59:00Z')
      const ahead = createClock('2031-06-01T00:00:30Z')
      const here = newInstance()
      const there = openRing({ store, vault: parts.newVault(), clock: ahead, faults })
      await here.current()
      await here.find('2031-09-00000000') // reads the list, and need not read it again for 30 seconds

      const june = await there.current()

      expectSameKey(june, (await here.find(june.id))!)
      expect((await here.current()).id).toMatch(/^2031-05-/)
      expect(await here.find('2031-07-00000000')).toBeUndefined()
    })

    it('finds the month’s key that another instance made a moment ago', async () => {
      clock.set('2031-05-31T23:59:59Z')
      const [here, there] = [newInstance(), newInstance()]
      await here.current()
      await there.find('2031-09-00000000') // reads the list, and need not read it again for 30 seconds

      clock.advance(2)
      await here.current()
      const june = await untilCurrent(here, '2031-06')

      expectSameKey(june, (await there.find(june.id))!)
    })
  })

  describe('refuses a damaged row', () => {
    const damage = async (change: Values) => {
      await newInstance().current()
      const [row] = await store.list('service', 'key-ring')
      await store.replace('service', { ...row!, values: { ...row!.values, ...change } }, row!.etag)
    }

    it.each([
      ['of a format it does not know', { format: '2' }],
      ['without a wrapped key', { wrapped: '' }],
      ['with a text for the wrapped key', { wrapped: 'plain' }],
      ['with other bytes', { wrapped: randomBytes(256) }],
      ['with too few bytes', { wrapped: randomBytes(10) }],
      ['wrapped by a version that does not exist', { wrappingVersion: '0'.repeat(32) }],
    ])('%s', async (_, change) => {
      await damage(change)
      parts.vault.resetRequests()
      const ring = newInstance()

      await expect(ring.current()).rejects.toMatchObject({ code: 'key_ring_unreadable', status: 503 })

      expect(await rowsThere()).toEqual(['2031-05'])
    })

    it.each(['https://vault.evil.example/keys/k/0123', '../../keys/other/1', `${'0'.repeat(31)}/`, '', 'latest'])(
      'that points to another address (%s), without a request to that address',
      async (wrappingVersion) => {
        await damage({ wrappingVersion })
        parts.vault.resetRequests()

        await expect(newInstance().current()).rejects.toMatchObject({ code: 'key_ring_unreadable' })

        expect(parts.vault.requests).toEqual([])
      },
    )
  })
})

function expectSameKey(one: RingKey, two: RingKey): void {
  expect(open(two.session, seal(one.session, 'text', 'row'), 'row')).toBe('text')
  expect(open(two.transaction, seal(one.transaction, 'text', 'row'), 'row')).toBe('text')
}

/** A warm instance does not wait for the month's key: it has it a moment later. */
async function untilCurrent(ring: { current(): Promise<RingKey> }, month: string): Promise<RingKey> {
  await expect.poll(async () => (await ring.current()).id.slice(0, 7)).toBe(month)
  return ring.current()
}
