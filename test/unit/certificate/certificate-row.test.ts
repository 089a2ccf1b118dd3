/** The certificate's row, and attacks on it by an attacker who can write to the store. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, inject, it } from 'vitest'
import { signDigest } from '../../../local/vault/rsa.ts'
import { makeSelfSigned } from '../../../local/vault/self-signed.ts'
import { emptyRecord } from '../../../shared/certificate/certificate-state.ts'
import type { CertificateRecord } from '../../../shared/certificate/certificate-state.ts'
import { createCertificateRecords } from '../../../shared/certificate/certificate-state.store.ts'
import { createPublishedKeys } from '../../../shared/certificate/published-keys.ts'
import { createCertificateRoll } from '../../../shared/certificate/roll.ts'
import { rollTimingOf } from '../../../shared/certificate/roll-timing.ts'
import { createSigningVersions } from '../../../shared/credential/signing-version.ts'
import { toRingKey } from '../../../shared/crypto/ring-key.ts'
import { seal } from '../../../shared/crypto/sealing.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { createAzureTableStore } from '../../../shared/store/azure-table/store.azure-table.ts'
import type { Store, StoredRow, Values } from '../../../shared/store/store.ts'
import type { CertificateVault, CertificateVersion } from '../../../shared/vault/vault.ts'
import { proxyPolicyOf } from '../../../shared/outbound/proxy.ts'

const day = 86_400_000
const minute = 60_000
const [first, second, third] = ['a'.repeat(32), 'b'.repeat(32), 'c'.repeat(32)]
const vaultUrl = 'https://localhost:1'
const timing = rollTimingOf({ readSeconds: 300, overlapSeconds: 86_400 })
const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ringKey = toRingKey('2026-12', randomBytes(32))

let now: number
let store: Store
let listed: CertificateVersion[]
let certificates: Map<string, Buffer>
beforeEach(async () => {
  now = Date.parse('2026-12-10T12:00:00Z')
  store = createAzureTableStore({
    tableServiceUri: inject('tableServiceUri'),
    tablePrefix: `k${randomBytes(5).toString('hex')}`,
    credential: () => Promise.reject(new Error('loopback has none')),
    proxies: proxyPolicyOf({}),
  })
  certificates = new Map()
  for (const version of [first, second, third]) {
    const dates = { notBefore: new Date(now - 300 * day), notAfter: new Date(now + 300 * day) }
    const options = { ...pair, subject: `CN=${version.slice(0, 4)}`, keyUsage: [], extendedKeyUsage: [], ...dates }
    certificates.set(version, await makeSelfSigned(options))
  }
  listed = [versionOf(first, 0)]
})

const versionOf = (version: string, age: number): CertificateVersion => ({
  version,
  enabled: true,
  notBefore: now - 300 * day,
  expires: now + 300 * day,
  created: now - 300 * day + age * day,
})
const vault: CertificateVault = {
  listVersions: () => Promise.resolve(listed),
  readCertificate: (version) => Promise.resolve(certificates.get(version)!),
  sign: (_version, digest, algorithm) => Promise.resolve(signDigest(pair.privateKey, algorithm, Buffer.from(digest))),
}
const ring = {
  current: () => Promise.resolve(ringKey),
  find: (id: string) => Promise.resolve(id === ringKey.id ? ringKey : undefined),
}
const openRecords = (options: Partial<Parameters<typeof createCertificateRecords>[0]> = {}) =>
  createCertificateRecords({
    store,
    ring,
    vaultUrl,
    certificateName: 'broker',
    clock: () => now,
    acceptUnsealedUntil: Date.parse('2027-03-01'),
    ...options,
  })

/** The name and the content of the previous release's row: JSON in plain text. */
const nameOf = (certificateName: string) =>
  createHash('sha256').update(`${vaultUrl} ${certificateName}`).digest('base64url')
const plainKey = { partition: 'certificate', row: nameOf('broker') }
const sealedKey = { partition: 'certificate', row: `${nameOf('broker')}.sealed` }
const plain = ({ lastWarned: reported, ...record }: CertificateRecord): Values => ({
  format: '2',
  record: JSON.stringify({ ...record, told: reported }),
})
const put = async (key: { partition: string; row: string }, values: Values): Promise<void> => {
  const row = { ...key, sweepAfter: new Date('2040-01-01'), values }
  const there = await store.find('service', key)
  await (there ? store.replace('service', row, there.etag) : store.insert('service', row))
}
const recorded = (version: string, changes: object = {}): CertificateRecord['versions'][number] => ({
  version,
  thumbprint: createHash('sha256').update(certificates.get(version)!).digest('base64url'),
  notBefore: now - 300 * day,
  expires: now + 300 * day,
  created: now - 300 * day,
  enabled: true,
  status: 'accepted',
  since: now - 100 * day,
  seen: now - 100 * day,
  attempts: 0,
  accepts: 2,
  nextAt: 0,
  ...changes,
})
const keyIds = { [first]: '11111111-2222-4333-8444-555555555555', [second]: '22222222-2222-4333-8444-555555555555' }
const aRecord = (): CertificateRecord => ({
  readAt: now,
  versions: [
    recorded(second, { keyId: keyIds[second], created: now - 200 * day }),
    recorded(first, { keyId: keyIds[first] }),
  ],
  lastWarned: { 'certificate roll stuck x': 5 },
})

describe('the certificate’s row', () => {
  it('opens to the record that was saved, and an attacker who reads the store learns nothing from it', async () => {
    await openRecords().update(() => aRecord())

    expect((await openRecords().load()).record).toEqual(aRecord())
    const dump = Buffer.concat(
      Object.values((await store.find('service', sealedKey))!.values).map((one) => Buffer.from(one)),
    )
    for (const secret of [first, second, keyIds[first], keyIds[second], 'accepted']) {
      expect(dump.includes(secret!)).toBe(false)
    }
  })

  it.each<[string, (row: StoredRow) => Values]>([
    ['of the previous release’s format', () => plain(aRecord())],
    ['with a changed byte', ({ values }) => ({ ...values, record: changedByte(values.record as Uint8Array) })],
    ['that was cut', ({ values }) => ({ ...values, record: (values.record as Uint8Array).subarray(0, 40) })],
    ['of a key that the ring does not hold', ({ values }) => ({ ...values, ringKey: '2026-12-00000000' })],
    ['of another format', ({ values }) => ({ ...values, format: '4' })],
    ['in plain text', ({ values }) => ({ ...values, record: JSON.stringify(aRecord()) })],
    ['sealed by a key for another purpose', () => sealedBy(ringKey.session)],
    ['sealed by a key of the attacker', () => sealedBy(toRingKey('2026-12', randomBytes(32)).keyFor('certificate'))],
    ['without content', () => ({})],
  ])('%s is determined again and overwritten, never trusted', async (_, forge) => {
    await openRecords().update(() => aRecord())
    const row = (await store.find('service', sealedKey))!
    await put(sealedKey, forge(row))

    expect((await openRecords().load()).record).toEqual(emptyRecord)

    await openRecords().update((before) => ({ ...before, readAt: 7 }))
    expect((await openRecords().load()).record).toEqual({ ...emptyRecord, readAt: 7 })
    await put(sealedKey, row.values)
    expect((await openRecords().load()).record).toEqual(aRecord())
  })

  it('sealed by the right key in the right place opens, so that each refusal above has one reason', async () => {
    await put(sealedKey, sealedBy(ringKey.keyFor('certificate')))

    expect((await openRecords().load()).record).toEqual(aRecord())
  })

  it('of another certificate of the same broker does not open under this one’s name', async () => {
    await openRecords({ certificateName: 'other' }).update(() => aRecord())
    const other = (await store.find('service', { partition: 'certificate', row: `${nameOf('other')}.sealed` }))!
    await put(sealedKey, other.values)

    expect((await openRecords().load()).record).toEqual(emptyRecord)
    expect((await openRecords({ certificateName: 'other' }).load()).record).toEqual(aRecord())
  })

  it('is not overwritten while the key ring cannot be read', async () => {
    await openRecords().update(() => aRecord())
    const fault = () => Promise.reject(new BrokerError('vault_unavailable'))
    const blind = openRecords({ ring: { current: fault, find: fault } })

    await expect(blind.load()).rejects.toMatchObject({ code: 'vault_unavailable' })
    await expect(blind.update(() => emptyRecord)).rejects.toMatchObject({ code: 'vault_unavailable' })

    expect((await openRecords().load()).record).toEqual(aRecord())
  })
})

describe('the row of the previous release', () => {
  it('is imported, sealed, and kept for the instances of that release', async () => {
    await put(plainKey, plain(aRecord()))
    const before = await store.find('service', plainKey)

    const { record } = await openRecords().update((one) => one)

    expect(record).toEqual(aRecord())
    expect((await openRecords({ acceptUnsealedUntil: 0 }).load()).record).toEqual(aRecord())
    expect(await store.find('service', plainKey)).toEqual(before)
  })

  it('is imported once: written again or forged, it is ignored, also where the sealed row is missing', async () => {
    await put(plainKey, plain(aRecord()))
    await openRecords().update((one) => one)
    const forged = { ...aRecord(), versions: [recorded(third)] }
    await put(plainKey, plain(forged))

    expect((await openRecords().load()).record).toEqual(aRecord())
    await store.remove('service', sealedKey)
    expect((await openRecords().load()).record).toEqual(emptyRecord)
  })

  it('is ignored in a deployment that began with this release', async () => {
    await openRecords().update(() => aRecord())
    await store.remove('service', sealedKey)
    await put(plainKey, plain({ ...aRecord(), versions: [recorded(third)] }))

    expect((await openRecords().load()).record).toEqual(emptyRecord)
  })

  it('is ignored after the day that the settings name', async () => {
    await put(plainKey, plain(aRecord()))
    expect((await openRecords({ acceptUnsealedUntil: now + 1 }).load()).record).toEqual(aRecord())

    expect((await openRecords({ acceptUnsealedUntil: now }).load()).record).toEqual(emptyRecord)
  })

  it('and the new row are written side by side, by an instance of each release', async () => {
    await put(plainKey, plain(aRecord()))
    await openRecords().update((one) => ({ ...one, readAt: one.readAt + 1 }))
    await put(plainKey, plain({ ...aRecord(), readAt: 5 }))
    await openRecords().update((one) => ({ ...one, readAt: one.readAt + 1 }))

    expect((await openRecords().load()).record.readAt).toBe(aRecord().readAt + 2)
    expect(JSON.parse((await store.find('service', plainKey))!.values.record as string)).toMatchObject({ readAt: 5 })
  })
})

describe('a roll whose store fails after Graph has added a key', () => {
  let added: number
  let failures: number
  beforeEach(async () => {
    added = 0
    failures = 0
    await openRecords().update(() => ({ ...aRecord(), versions: [recorded(first, { keyId: keyIds[first] })] }))
    listed = [versionOf(first, 0), versionOf(second, 100)]
  })
  const addedId = '99999999-2222-4333-8444-555555555555'
  const orFail = <T>(work: () => Promise<T>): Promise<T> =>
    added > 0 && failures-- > 0 ? Promise.reject(new BrokerError('store_unavailable')) : work()
  const run = () =>
    createCertificateRoll({
      vault,
      records: openRecords({
        store: {
          ...store,
          find: (...of) => orFail(() => store.find(...of)),
          replace: (...of) => orFail(() => store.replace(...of)),
        },
      }),
      applicationKeys: {
        add: () => {
          added += 1
          return Promise.resolve(addedId)
        },
        remove: () => Promise.resolve(),
      },
      probe: ({ version }) =>
        version === second && added === 0 ? Promise.reject(new BrokerError('certificate_refused')) : Promise.resolve(),
      timing,
      clock: () => now,
      wait: (milliseconds) => Promise.resolve(void (now += milliseconds)),
      onRecord: () => undefined,
      log: () => undefined,
    }).run(10 * minute)
  const stored = async () => (await openRecords().load()).record.versions.find(({ version }) => version === second)

  it('writes the id of the key, by which it can be removed, as soon as the store answers', async () => {
    failures = 4

    await run()

    expect(await stored()).toMatchObject({ status: 'accepted', keyId: addedId })
    expect(added).toBe(1)
  })

  it('ends where the store fails for longer, and a later run adds no second key', async () => {
    failures = 20
    await expect(run()).rejects.toMatchObject({ code: 'store_unavailable' })

    failures = 0
    now += 10 * minute
    await run()

    expect(await stored()).toMatchObject({ status: 'accepted' })
    expect(added).toBe(1)
  })
})

describe('the record in the memory of an instance', () => {
  let faults: unknown[]
  const open = (of: Store = store) => {
    faults = []
    const onFault = (error: unknown) => faults.push(error)
    return createSigningVersions({ vault, records: openRecords({ store: of }), clock: () => now, onFault, timing })
  }

  it('is read again for the published keys when it is due, although no person signs in there', async () => {
    await openRecords().update(() => ({ ...aRecord(), versions: [recorded(first)] }))
    const versions = open()
    expect((await versions.dueRecord())?.versions).toHaveLength(1)
    await openRecords().update(() => aRecord())

    now += timing.read - 1
    expect((await versions.dueRecord())?.versions).toHaveLength(1)
    now += 1
    expect((await versions.dueRecord())?.versions).toHaveLength(2)
  })

  it('is looked for once in the time of a record where its row could not be written', async () => {
    let reads = 0
    const versions = open({
      ...store,
      find: (...of) => {
        reads += 1
        return store.find(...of)
      },
      insert: () => Promise.reject(new BrokerError('store_unavailable')),
    })
    await versions.get()
    await expect.poll(() => faults).toMatchObject([{ code: 'store_unavailable' }])
    const atStart = reads

    now += timing.read
    await versions.dueRecord()
    const once = reads
    for (let n = 0; n < 3; n++) await versions.dueRecord()

    expect(once).toBeGreaterThan(atStart)
    expect(reads).toBe(once)
  })
})

describe('an attacker who can write to the store', () => {
  let graph: string[]
  let refused: Set<string>
  beforeEach(() => {
    graph = []
    refused = new Set()
  })
  const run = (budget = 5 * minute) =>
    createCertificateRoll({
      vault,
      records: openRecords(),
      applicationKeys: {
        add: (der) => {
          graph.push(`add ${[...certificates].find(([, one]) => one.equals(Buffer.from(der)))![0].slice(0, 1)}`)
          return Promise.resolve(`99999999-2222-4333-8444-${String(graph.length).padStart(12, '0')}`)
        },
        remove: (keyId) => Promise.resolve(void graph.push(`remove ${keyId}`)),
      },
      probe: ({ version }) =>
        refused.has(version) ? Promise.reject(new BrokerError('certificate_refused')) : Promise.resolve(),
      timing,
      clock: () => now,
      wait: (milliseconds) => Promise.resolve(void (now += milliseconds)),
      onRecord: () => undefined,
      log: () => undefined,
    }).run(budget)
  const versionsOf = () =>
    createSigningVersions({ vault, records: openRecords(), clock: () => now, onFault: () => undefined, timing })
  const snapshot = async () => (await store.find('service', sealedKey))!.values

  it('cannot by a forged row have a good key removed, a retired version registered, or a retired key published', async () => {
    listed = [versionOf(first, 0), versionOf(second, 100)]
    await run()
    // The first was retired since: disabled in the vault. The forged row claims that it is the newest and good, and
    // that the key of the second was replaced long ago.
    listed = [{ ...versionOf(first, 0), enabled: false }, versionOf(second, 100)]
    const forged: CertificateRecord = {
      readAt: now,
      versions: [
        recorded(first, { created: now, status: 'unregistered' }),
        recorded(second, { keyId: keyIds[second], created: now - 400 * day }),
        recorded(third, { keyId: keyIds[first], created: now - 500 * day }),
      ],
      lastWarned: {},
    }
    for (const key of [plainKey, sealedKey]) await put(key, plain(forged))
    graph = []

    await run()

    expect(graph).toEqual([])
    const versions = versionsOf()
    expect((await versions.get()).version).toBe(second)
    const published = createPublishedKeys({
      vault,
      records: () => Promise.resolve([versions.record()!]),
      algorithm: 'PS256',
      timing,
      clock: () => now,
    })
    const { thumbprint } = recorded(second)
    expect((await published()).keys.map(({ kid }) => kid)).toEqual([thumbprint])
  })

  it('is published under each id by which a provider may find a key', async () => {
    listed = [versionOf(first, 0)]
    await run()
    const versions = versionsOf()
    await versions.get()
    const namesBy = async (...headers: readonly ('x5t' | 'x5t#S256')[]) => {
      const published = createPublishedKeys({
        vault,
        records: () => Promise.resolve([versions.record()!]),
        algorithm: 'RS256',
        certificateHeaders: new Set(headers),
        timing,
        clock: () => now,
      })
      return (await published()).keys.map(({ kid, x5t }) => ({ kid, x5t }))
    }
    const { thumbprint } = recorded(first)
    const digest = createHash('sha1')
      .update(await vault.readCertificate(first))
      .digest()
    const [bySha256, bySha1] = [
      { kid: thumbprint, x5t: undefined },
      { kid: digest.toString('hex').toUpperCase(), x5t: digest.toString('base64url') },
    ]

    expect(await namesBy('x5t#S256')).toEqual([bySha256])
    expect(await namesBy('x5t')).toEqual([bySha1])
    expect(await namesBy('x5t#S256', 'x5t')).toEqual([bySha256, bySha1])
  })

  it('cannot by an old row have the key removed that signs now, nor a disabled version registered', async () => {
    // The second version is accepted, the first waits for its removal: the test restores the row of that moment later.
    listed = [versionOf(first, 0), versionOf(second, 100)]
    await openRecords().update(() => ({
      ...aRecord(),
      versions: aRecord().versions.map((one) => ({ ...one, since: now })),
    }))
    await run()
    const old = await snapshot()

    // Since then the second version has failed: disabled in the vault, refused by the provider. The first signs again.
    now += 2 * day
    listed = [versionOf(first, 0), { ...versionOf(second, 100), enabled: false }]
    refused.add(second)
    graph = []
    await run()
    await put(sealedKey, old)
    await run()

    expect(graph.filter((one) => one.startsWith('add'))).toEqual([])
    expect(graph).not.toContain(`remove ${keyIds[first]}`)
    expect((await versionsOf().get()).version).toBe(first)
  })

  it('can restore a row from before a version was disabled, which a new instance trusts for an hour at most', async () => {
    listed = [versionOf(first, 0), versionOf(second, 100)]
    await run()
    const old = await snapshot()
    listed = [versionOf(first, 0), { ...versionOf(second, 100), enabled: false }]
    await run()
    const warm = versionsOf()
    await warm.get()
    await put(sealedKey, old)

    now += 61 * minute
    expect((await versionsOf().get()).version).toBe(first)
    expect((await warm.get()).version).toBe(first)
  })

  it('has no effect once an honest row replaces the forged one: the roll continues as if the row were lost', async () => {
    listed = [versionOf(first, 0)]
    await run()
    await put(sealedKey, plain({ ...aRecord(), versions: [] }))

    const { record } = await run()

    expect(record.versions.map(({ version, status }) => [version, status])).toEqual([[first, 'accepted']])
    listed = [versionOf(first, 0), versionOf(second, 100)]
    refused.add(second)
    graph = []
    await run(0)
    expect(graph).toEqual(['add b'])
  })
})

function sealedBy(key: Parameters<typeof seal>[0]): Values {
  const context = JSON.stringify(['3', 'certificate', ringKey.id, sealedKey.partition, sealedKey.row])
  return { format: '3', ringKey: ringKey.id, record: seal(key, JSON.stringify(aRecord()), context) }
}

function changedByte(bytes: Uint8Array): Uint8Array {
  const changed = Buffer.from(bytes)
  changed[20]! ^= 1
  return changed
}
