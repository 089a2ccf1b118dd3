import { beforeEach, describe, expect, it } from 'vitest'
import type { KeyRing, RingKey } from '../../../shared/crypto/key-ring.ts'
import { open, seal } from '../../../shared/crypto/sealing.ts'
import type { Store, StoredRow } from '../../../shared/store/store.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { openRing, useSessionParts } from '../session/parts.ts'
import type { SessionParts, TestClock } from '../session/parts.ts'

const may = { partition: 'key-ring', row: '2031-05' }

describe('a row of the key ring', () => {
  let parts: SessionParts
  let network: TableProxy
  let store: Store
  let clock: TestClock
  let faults: unknown[]
  useSessionParts('2031-05-10T12:00:00Z', (own) => void ({ parts, network, store, clock, faults } = own))

  const newInstance = () => openRing({ store, vault: parts.newVault(), clock, faults })
  const find = async () => (await store.find('service', may))!
  const opens = async (ring: KeyRing, key: RingKey) => {
    const found = await ring.find(key.id)
    return found !== undefined && open(found.session, seal(key.session, 'text', 'row'), 'row') === 'text'
  }

  describe('that was lost', () => {
    let warm: KeyRing
    let lost: RingKey
    let row: StoredRow
    beforeEach(async () => {
      warm = newInstance()
      lost = await warm.current()
      row = await find()
      await store.remove('service', may)
      clock.advance(60)
    })

    it('is created again by a new instance; instances with the lost key use the new one and open both', async () => {
      const cold = newInstance()
      const made = await cold.current()

      expect(made.id).not.toBe(lost.id)
      expect(await opens(warm, made)).toBe(true)
      expect((await warm.current()).id).toBe(made.id)
      expect(await opens(warm, lost)).toBe(true)
    })

    it('does not stop instances that have its key, and a fault is logged', async () => {
      expect(await warm.find('2031-05-00000000')).toBeUndefined()

      expect(await opens(warm, await warm.current())).toBe(true)
      expect(faults).toMatchObject([
        { code: 'key_ring_unreadable', detail: expect.stringContaining('2031-05') as string },
      ])
    })

    it('ends the sessions that it sealed, on instances that never had its key, and reports no fault there', async () => {
      const cold = newInstance()
      await cold.current()

      expect(await cold.find(lost.id)).toBeUndefined()
    })

    it('opens its sessions again after it is restored, and those that were sealed in the meantime', async () => {
      const cold = newInstance()
      const made = await cold.current()

      await store.remove('service', may)
      await store.insert('service', row)
      clock.advance(31)

      expect(await opens(cold, lost)).toBe(true)
      expect(await opens(cold, made)).toBe(true)
      expect((await cold.current()).id).toBe(lost.id)
    })

    it('is in the list of keys of live sessions on every instance that has its key', async () => {
      const made = await newInstance().current()
      await warm.find(made.id)

      expect((await warm.keys()).keys.map(({ id }) => id).sort()).toEqual([made.id, lost.id].sort())
      expect((await newInstance().keys()).keys.map(({ id }) => id)).toEqual([made.id])
    })

    it('costs a warm instance one read in 30 seconds, however many unknown ids arrive', async () => {
      await newInstance().current()
      network.resetRequests()
      parts.vault.resetRequests()

      for (let i = 0; i < 20; i++) expect(await warm.find(`2031-05-${String(i).padStart(8, '0')}`)).toBeUndefined()
      clock.advance(31)
      for (let i = 0; i < 20; i++) expect(await warm.find(`2031-05-${String(i).padStart(8, '0')}`)).toBeUndefined()

      expect(network.requests.map(({ operation }) => operation)).toEqual(['list', 'list'])
      expect([...parts.vaultOperations()].sort()).toEqual(['getKey', 'unwrapkey'])
    })
  })

  describe('that was damaged', () => {
    let warm: KeyRing
    let good: StoredRow
    beforeEach(async () => {
      warm = newInstance()
      await warm.current()
      good = await find()
      await store.replace('service', { ...good, values: { ...good.values, wrapped: Buffer.alloc(256, 7) } }, good.etag)
      clock.advance(60)
    })

    const refused = { code: 'key_ring_unreadable', status: 503 }

    it('does not stop an instance that has its key', async () => {
      expect(await opens(warm, await warm.current())).toBe(true)
    })

    it('serves within seconds of its repair, on an instance that had read it damaged', async () => {
      const cold = newInstance()
      await expect(cold.current()).rejects.toMatchObject(refused)

      await store.replace('service', good, (await find()).etag)
      clock.advance(6)

      expect((await cold.current()).id).toBe((await warm.current()).id)
    })

    it('is created again after it was removed, and every instance uses the new one', async () => {
      const cold = newInstance()
      await expect(cold.current()).rejects.toMatchObject(refused)

      await store.remove('service', may)
      clock.advance(6)
      const made = await cold.current()

      expect(await opens(warm, made)).toBe(true)
      expect((await warm.current()).id).toBe(made.id)
    })

    it('is read again no more often than every few seconds', async () => {
      const cold = newInstance()
      network.resetRequests()
      parts.vault.resetRequests()

      for (let i = 0; i < 10; i++) await expect(cold.current()).rejects.toMatchObject(refused)

      expect(network.requests).toHaveLength(1)
      // The read of the public key beside it may not have reached the vault yet.
      expect(parts.vaultOperations().filter((one) => one !== 'getKey')).toEqual(['unwrapkey'])
    })

    it('is a fault and no sign-out for the sessions of its key, on an instance that has another key', async () => {
      const key = await warm.current()
      await store.remove('service', may)
      const cold = newInstance()
      const made = await cold.current()
      const row = await find()
      await store.replace('service', { ...row, values: { ...row.values, format: '9' } }, row.etag)
      clock.advance(31)

      await expect(warm.find(made.id)).rejects.toMatchObject(refused)
      await expect(warm.find(made.id)).rejects.toMatchObject(refused)
      expect(await opens(warm, key)).toBe(true)
      expect((await warm.current()).id).toBe(key.id)
    })
  })

  it('that was inserted although the answer was lost is recognised by the instance that wrote it: one key, one wrap', async () => {
    network.addFault({ operation: 'insert', table: 'service', loseAnswer: true, times: 1 })
    parts.vault.resetRequests()

    const made = await newInstance().current()

    expect(await opens(newInstance(), made)).toBe(true)
    expect(parts.vaultOperations().filter((one) => one === 'wrapkey')).toHaveLength(1)
  })

  it.each([3600, -3600])('is read again on time after the clock jumps by %i seconds', async (jump) => {
    const ring = newInstance()
    const key = await ring.current()
    await store.remove('service', may)
    clock.advance(60)
    expect(await ring.find('2031-05-00000000')).toBeUndefined() // read just now
    const made = await newInstance().current()
    clock.advance(jump)

    expect(await opens(ring, made)).toBe(true)
    expect(await opens(ring, key)).toBe(true)
  })

  it('that could not be unwrapped is tried again after a clock that jumped back', async () => {
    await newInstance().current()
    const cold = newInstance()
    parts.vault.faults.add({ status: 503 })
    await expect(cold.current()).rejects.toMatchObject({ code: 'vault_unavailable' })
    parts.vault.faults.clear()

    clock.advance(-3600)

    expect((await cold.current()).id).toMatch(/^2031-05-/)
  })
})
