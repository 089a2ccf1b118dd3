/** Attacks by an attacker who can write to the store and read the public half of the wrapping key. */
import { constants, createHmac, generateKeyPairSync, publicEncrypt, randomBytes, sign } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import type { Store, StoredRow, Values } from '../../../shared/store/store.ts'
import type { KeyVault } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import type { TableProxy } from '../../setup/table-proxy.ts'
import { openRing, useSessionParts } from '../session/parts.ts'
import type { SessionParts, TestClock } from '../session/parts.ts'

const may = { partition: 'key-ring', row: '2031-05' }
const marker = { partition: 'taken-over', row: 'key-ring' }
const never = 0
const endOfMay = Date.parse('2031-05-31')

let parts: SessionParts
let network: TableProxy
let store: Store
let vault: KeyVault
let clock: TestClock
let faults: { code?: string; detail?: string }[]
useSessionParts('2031-05-10T12:00:00Z', (own) => {
  ;({ parts, network, store, clock } = own)
  vault = parts.newVault()
  faults = own.faults as typeof faults
})

const newInstance = (acceptUnsignedUntil = never, by = vault): KeyRing =>
  openRing({ store, vault: by, clock, faults, acceptUnsignedUntil })
const find = async (key = may): Promise<StoredRow> => (await store.find('service', key))!
const put = async (values: Values, key = may): Promise<void> => {
  const row = { ...key, sweepAfter: new Date('2040-01-01'), values }
  const there = await store.find('service', key)
  await (there ? store.replace('service', row, there.etag) : store.insert('service', row))
}
/** By the public half alone, as an attacker does, and as the previous release did in the vault. */
const wrapByPublicHalf = async (secret: Uint8Array): Promise<Values> => {
  const { publicKey, version } = await vault.readWrappingKey()
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const wrapped = publicEncrypt({ key: publicKey, padding, oaepHash: 'sha256' }, secret)
  return { format: '1', wrapped, wrappingVersion: version }
}
/** RFC 5869 §2.3 by hand: the ids of the keys that are derived from this secret. */
const idOf = (secret: Uint8Array, month = '2031-05') =>
  `${month}-${createHmac('sha256', secret).update('name\0\x01').digest('hex').slice(0, 8)}`
const sessionKeyOf = (secret: Uint8Array) => createHmac('sha256', secret).update('session\0\x01').digest()

describe('an attacker who can write to the store and wraps a key of their own', () => {
  let evil: Buffer
  let planted: Values
  let honest: StoredRow
  beforeEach(async () => {
    await newInstance(endOfMay).current()
    honest = await find()
    evil = randomBytes(32)
    planted = await wrapByPublicHalf(evil)
  })

  it('can have it unwrapped by the vault, so that only the signature protects the ring', async () => {
    expect(Buffer.from(await vault.unwrap(planted.wrapped as Uint8Array, planted.wrappingVersion as string))).toEqual(
      evil,
    )
  })

  it.each<[string, () => Values]>([
    ['with the signature of the row that it replaces', () => ({ ...honest.values, ...planted })],
    ['with an empty signature', () => ({ ...planted, signature: '', signedBy: honest.values.signedBy! })],
    ['with a signature of zeros', () => ({ ...honest.values, ...planted, signature: Buffer.alloc(256) })],
    ['with a signature and no signer', () => ({ ...planted, signature: honest.values.signature! })],
    ['with a signer and no signature', () => ({ ...planted, signedBy: honest.values.signedBy! })],
    ['signed by a key of their own', () => ({ ...planted, ...signedByAttacker(planted, honest.values) })],
  ])('%s is refused, and plants no key', async (_, values) => {
    await put(values())
    const cold = newInstance(endOfMay)

    await expect(cold.current()).rejects.toMatchObject({ code: 'key_ring_unreadable', status: 503 })
    await expect(cold.find(idOf(evil))).rejects.toMatchObject({ code: 'key_ring_unreadable' })

    await put(honest.values)
    clock.advance(6)
    expect((await cold.current()).id).toMatch(/^2031-05-/)
    expect(await cold.find(idOf(evil))).toBeUndefined()
  })

  it('without a signature only loses the row, as by deletion: a new key replaces it', async () => {
    await put(planted)
    const cold = newInstance(endOfMay)

    const made = await cold.current()

    expect(made.id).not.toBe(idOf(evil))
    expect(await cold.find(idOf(evil))).toBeUndefined()
    expect((await newInstance(endOfMay).current()).id).toBe(made.id)
    expect(faults).toMatchObject([
      { code: 'key_ring_unreadable', detail: expect.stringContaining('2031-05') as string },
    ])
  })

  it('has no effect on a warm instance, which continues with the key it has', async () => {
    const warm = newInstance(endOfMay)
    const { id } = await warm.current()
    await put(planted)
    clock.advance(60)

    expect(await warm.find(idOf(evil))).toBeUndefined()
    expect((await warm.current()).id).toBe(id)
  })

  it.each(['2031-04', '2031-06', '2031-12', '2019-01'])(
    'has no effect with a row of another month (%s)',
    async (month) => {
      clock.set('2031-05-03T00:00:00Z')
      await put(planted, { ...may, row: month })

      const cold = newInstance(endOfMay)

      expect(await cold.find(idOf(evil, month))).toBeUndefined()
      expect((await cold.keys()).keys.map(({ id }) => id)).not.toContain(idOf(evil, month))
    },
  )

  it('has no effect with a signed row of another month under this month’s name', async () => {
    clock.set('2031-06-02T00:00:00Z')
    await newInstance().current()
    const june = { ...may, row: '2031-06' }
    const [ofMay, ofJune] = [await find(), await find(june)]
    await put(ofMay.values, june)
    await put(ofJune.values, may)

    const cold = newInstance()

    await expect(cold.current()).rejects.toMatchObject({ code: 'key_ring_unreadable' })
    await put(ofJune.values, june)
    await put(ofMay.values, may)
    clock.advance(6)
    expect((await cold.current()).id).toMatch(/^2031-06-/)
  })

  it('has no effect with a restored old row: a stolen key seals no longer than its own time', async () => {
    const warm = newInstance()
    const { id } = await warm.current()
    expect(await warm.find(id)).toBeDefined()

    // A week and twelve hours after the month.
    clock.set('2031-06-08T11:59:00Z')
    expect(await newInstance().find(id)).toBeDefined()
    clock.set('2031-06-08T12:00:00Z')
    for (const ring of [warm, newInstance()]) {
      expect(await ring.find(id)).toBeUndefined()
      expect((await ring.keys()).keys.map((key) => key.id)).not.toContain(id)
    }
  })

  it('cannot use a version of the wrapping key that an operator disabled', async () => {
    const version = await parts.rotateWrappingKey()
    clock.set('2031-06-02T00:00:00Z')
    await newInstance().current()
    parts.vault.setKeyEnabled('broker-key-ring', version, false)

    await expect(newInstance().current()).rejects.toMatchObject({ code: 'vault_forbidden', status: 503 })

    parts.vault.setKeyEnabled('broker-key-ring', version, true)
    expect((await newInstance().current()).id).toMatch(/^2031-06-/)
  })
})

describe('a vault whose signature does not verify', () => {
  it('leads to no row: such a row would stop every later instance', async () => {
    const wrong: KeyVault = {
      ...vault,
      signRow: async (digest, version) => (await vault.signRow(digest, version)).fill(7),
    }
    const cold = newInstance(never, wrong)

    await expect(cold.current()).rejects.toMatchObject({ code: 'signature_invalid', status: 503 })

    expect(await store.list('service', 'key-ring')).toEqual([])
    expect((await newInstance().current()).id).toMatch(/^2031-05-/)
  })
})

describe('rows of the previous release', () => {
  const april = { ...may, row: '2031-04' }
  let ofMay: Buffer
  let ofApril: Buffer
  beforeEach(async () => {
    clock.set('2031-05-03T12:00:00Z')
    ;[ofMay, ofApril] = [randomBytes(32), randomBytes(32)]
    await put(await wrapByPublicHalf(ofMay))
    await put(await wrapByPublicHalf(ofApril), april)
    parts.vault.resetRequests()
  })

  /** The previous release's handling of a row: it knows three columns and one format. */
  const openAsPreviousRelease = async (key = may): Promise<Buffer> => {
    const { format, wrapped, wrappingVersion } = (await find(key)).values
    expect(format).toBe('1')
    return Buffer.from(await vault.unwrap(wrapped as Uint8Array, wrappingVersion as string))
  }

  it('are imported: their keys open what they sealed, and they are signed', async () => {
    const cold = newInstance(endOfMay)

    expect((await cold.current()).id).toBe(idOf(ofMay))
    const before = await cold.find(idOf(ofApril, '2031-04'))

    expect(before?.session.export()).toEqual(sessionKeyOf(ofApril))
    for (const key of [may, april]) expect((await find(key)).values.signature).toHaveLength(256)
    expect([...parts.vaultOperations()].sort()).toEqual(
      ['getKey', 'getKey', 'getKey', 'sign', 'sign', 'unwrapkey', 'unwrapkey'].sort(),
    )
  })

  it('still open in an instance of the previous release, and so do rows of this one', async () => {
    await newInstance(endOfMay).current()
    expect([await openAsPreviousRelease(), await openAsPreviousRelease(april)]).toEqual([ofMay, ofApril])

    clock.set('2031-06-01T12:00:00Z')
    const { id } = await newInstance().current()

    expect(idOf(await openAsPreviousRelease({ ...may, row: '2031-06' }), '2031-06')).toBe(id)
  })

  it('are imported by ten instances at once, all with the same keys', async () => {
    const rings = Array.from({ length: 10 }, () => newInstance(endOfMay))

    const ids = await Promise.all(
      rings.flatMap((ring) =>
        [ring.current(), ring.find(idOf(ofApril, '2031-04'))].map(async (key) => (await key)?.id),
      ),
    )

    expect(new Set(ids)).toEqual(new Set([idOf(ofMay), idOf(ofApril, '2031-04')]))
    expect(faults).toEqual([])
  })

  it('are imported once: a row without a signature that appears later is treated as lost', async () => {
    await newInstance(endOfMay).current()
    const evil = randomBytes(32)
    await put(await wrapByPublicHalf(evil), april)
    await put(await wrapByPublicHalf(evil))

    for (const ring of [newInstance(endOfMay), newInstance(endOfMay)]) {
      expect((await ring.current()).id).not.toBe(idOf(evil))
      expect(await ring.find(idOf(evil))).toBeUndefined()
      expect(await ring.find(idOf(evil, '2031-04'))).toBeUndefined()
    }
  })

  it('cost an instance no further reads, however often an attacker’s key is requested', async () => {
    const warm = newInstance(endOfMay)
    await warm.current()
    await put(await wrapByPublicHalf(randomBytes(32)), april)
    clock.advance(31)
    network.resetRequests()

    for (let i = 0; i < 20; i++) await warm.find(`2031-04-${String(i).padStart(8, '0')}`)

    expect(network.requests.length).toBeLessThanOrEqual(2)
  })

  it('are refused after the day that the settings name, even where the marker was deleted', async () => {
    await newInstance(endOfMay).current()
    await store.remove('service', marker)
    const evil = randomBytes(32)
    await put(await wrapByPublicHalf(evil))
    clock.set('2031-05-31T00:00:01Z')

    const made = await newInstance(endOfMay).current()

    expect(made.id).not.toBe(idOf(evil))
    expect((await find()).values.signature).toHaveLength(256)
  })

  it('that the previous release adds after the import are replaced by signed ones, which it can read', async () => {
    await newInstance(Date.parse('2031-07-01')).current()
    clock.set('2031-06-01T00:00:01Z')
    const june = { ...may, row: '2031-06' }
    await put(await wrapByPublicHalf(randomBytes(32)), june)

    const { id } = await newInstance(Date.parse('2031-07-01')).current()

    expect(idOf(await openAsPreviousRelease(june), '2031-06')).toBe(id)
  })

  it('are not lost where this month’s row is created first: those of the month before are signed with it', async () => {
    await store.remove('service', may)

    await newInstance(endOfMay).current()

    const found = await newInstance(endOfMay).find(idOf(ofApril, '2031-04'))
    expect(found?.session.export()).toEqual(sessionKeyOf(ofApril))
  })

  it('are used unsigned while the wrapping key may not sign, with a fault for the operator; no row is created in this way', async () => {
    const refused = Object.assign(new Error('may not'), { code: 'wrapping_key_cannot_sign' })
    const { BrokerError } = await import('../../../shared/errors/errors.ts')
    const old: KeyVault = {
      ...vault,
      signRow: () => Promise.reject(new BrokerError('wrapping_key_cannot_sign', { cause: refused })),
    }

    expect((await newInstance(endOfMay, old).current()).id).toBe(idOf(ofMay))
    expect(faults).toMatchObject([{ code: 'wrapping_key_cannot_sign' }])
    await expect(newInstance(never, old).current()).rejects.toMatchObject({ code: 'wrapping_key_cannot_sign' })

    // The operator allows it.
    expect((await newInstance(endOfMay).current()).id).toBe(idOf(ofMay))
    expect((await find()).values.signature).toHaveLength(256)
  })

  it('stay unchanged while the vault is down, and are imported afterwards', async () => {
    parts.vault.faults.add({ operation: 'sign', status: 503 })
    const cold = newInstance(endOfMay)
    await expect(cold.current()).rejects.toMatchObject({ code: 'vault_unavailable' })
    expect((await find()).values.signature).toBeUndefined()

    parts.vault.faults.clear()
    clock.advance(6)

    expect((await cold.current()).id).toBe(idOf(ofMay))
  })
})

/** The text of a row, as the broker signs it, under a key that the attacker made. */
function signedByAttacker({ wrapped, wrappingVersion }: Values, honest: Values): Values {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const text = JSON.stringify([
    'row of the key ring',
    '1',
    '2031-05',
    wrappingVersion,
    Buffer.from(wrapped as Uint8Array).toString('base64url'),
  ])
  const padding = constants.RSA_PKCS1_PSS_PADDING
  const signature = sign('sha256', Buffer.from(text), { key: privateKey, padding, saltLength: 32 })
  return { signature, signedBy: honest.signedBy! }
}
