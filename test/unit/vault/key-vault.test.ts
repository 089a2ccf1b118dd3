import { constants, createHash, randomBytes, verify } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { VaultFault } from '../../../local/vault/vault.ts'
import type { KeyVault } from '../../../shared/vault/key-vault/vault.key-vault.ts'
import { letDeadlinePass } from '../../setup/deadline.ts'
import { sendJson, startSecureServer } from '../../setup/secure-server.ts'
import type { SecureServer } from '../../setup/secure-server.ts'
import { certificateName, startVaultParts, wrappingKeyName } from './vault-parts.ts'
import type { VaultParts } from './vault-parts.ts'

let parts: VaultParts
let keyVault: KeyVault
let version: string
let wrapped: Uint8Array
let wrappingVersion: string
const digest = new Uint8Array(32)
const secret = randomBytes(32)

beforeAll(async () => {
  parts = await startVaultParts()
  const notBefore = new Date(parts.now() - 86_400_000)
  ;({ version } = await parts.vault.createCertificate(certificateName, { keySize: 2048, notBefore }))
  await parts.vault.createKey(wrappingKeyName, { keySize: 2048, keyOps: ['sign', 'wrapKey', 'unwrapKey'] })
  keyVault = parts.connect()
  ;({ version: wrappingVersion } = await keyVault.readWrappingKey())
  wrapped = await keyVault.wrap(secret, wrappingVersion)
})
beforeEach(() => parts.reset())
afterAll(() => parts.close())

/** Every call, with the operation that a fault strikes and the meaning of its 404. */
const calls: readonly (readonly [
  operation: NonNullable<VaultFault['operation']>,
  ask: () => Promise<unknown>,
  missing: string,
])[] = [
  ['listVersions', () => keyVault.listVersions(), 'certificate_missing'],
  ['getCertificate', () => keyVault.readCertificate(version), 'certificate_missing'],
  ['sign', () => keyVault.sign(version, digest, 'PS256'), 'certificate_missing'],
  ['sign', () => keyVault.signRow(digest, wrappingVersion), 'wrapping_key_missing'],
  ['getKey', () => keyVault.readWrappingKey(), 'wrapping_key_missing'],
  ['getKey', () => keyVault.readWrappingKey(wrappingVersion), 'key_ring_unreadable'],
  ['wrapkey', () => keyVault.wrap(secret, wrappingVersion), 'wrapping_key_missing'],
  ['unwrapkey', () => keyVault.unwrap(wrapped, wrappingVersion), 'key_ring_unreadable'],
]

describe('the vault', () => {
  it('lists versions, returns the public part, signs, wraps and unwraps', async () => {
    expect(await keyVault.listVersions()).toMatchObject([{ version, enabled: true }])
    const [certificate] = parts.vault.publicCertificates(certificateName)
    expect(Buffer.from(await keyVault.readCertificate(version))).toEqual(certificate?.der)
    expect(await keyVault.sign(version, digest, 'PS256')).toHaveLength(256)
    expect(Buffer.from(await keyVault.unwrap(wrapped, wrappingVersion))).toEqual(secret)
  })

  it('signs and unwraps by one request each, without a challenge first', async () => {
    const cold = parts.connect()

    await Promise.all([cold.sign(version, digest, 'PS256'), cold.unwrap(wrapped, wrappingVersion)])
    await cold.sign(version, digest, 'PS256')

    expect(parts.operations().sort()).toEqual(['sign 200', 'sign 200', 'unwrapkey 200'])
    expect(parts.vault.requests).toHaveLength(3)
  })

  it('unwraps with an earlier version of the key, also after the end of that version', async () => {
    const { version: before } = await parts.vault.createKey('rotated', { keySize: 2048 })
    const rotated = parts.connect({ wrappingKeyName: 'rotated' })
    const wrappedBefore = await rotated.wrap(secret, before)
    await parts.vault.rotateKey('rotated')
    parts.vault.setKeyDates('rotated', before, { expires: new Date(Date.now() - 86_400_000) })

    expect(Buffer.from(await rotated.unwrap(wrappedBefore, before))).toEqual(secret)
    expect((await rotated.readWrappingKey()).version).not.toBe(before)
    expect((await rotated.readWrappingKey(before)).version).toBe(before)
  })

  it('signs rows by the wrapping key, so that its public half verifies them', async () => {
    const text = Buffer.from('a row')
    const { version: signer, publicKey, isEnabled } = await keyVault.readWrappingKey()
    const signature = await keyVault.signRow(createHash('sha256').update(text).digest(), signer)

    const padding = constants.RSA_PKCS1_PSS_PADDING
    expect(isEnabled).toBe(true)
    expect(verify('sha256', text, { key: publicKey, padding, saltLength: 32 }, signature)).toBe(true)
    expect(verify('sha256', Buffer.from('another'), { key: publicKey, padding, saltLength: 32 }, signature)).toBe(false)
  })

  it('reports a version of the wrapping key that an operator has disabled', async () => {
    const { version: disabled } = await parts.vault.createKey('disabled', { keySize: 2048 })
    parts.vault.setKeyEnabled('disabled', disabled, false)

    const read = await parts.connect({ wrappingKeyName: 'disabled' }).readWrappingKey(disabled)

    expect(read).toMatchObject({ version: disabled, isEnabled: false })
  })

  it('names a wrapping key of an earlier deployment, which may not sign', async () => {
    const { version: old } = await parts.vault.createKey('old', { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] })

    const signed = parts.connect({ wrappingKeyName: 'old' }).signRow(digest, old)

    await expect(signed).rejects.toMatchObject({ code: 'wrapping_key_cannot_sign' })
    await expect(keyVault.signRow(digest, wrappingVersion)).resolves.toHaveLength(256)
  })

  it('signs again as soon as an operator has corrected the dates', async () => {
    const { version: own } = await parts.vault.createCertificate('mended', { keySize: 2048 })
    const vault = parts.connect({ certificateName: 'mended' })
    parts.vault.setCertificateDates('mended', own, { expires: new Date(parts.now() - 1000) })
    await expect(vault.sign(own, digest, 'PS256')).rejects.toMatchObject({ code: 'vault_forbidden' })

    parts.vault.setCertificateDates('mended', own, { expires: new Date(parts.now() + 86_400_000) })
    await expect(vault.sign(own, digest, 'PS256')).resolves.toBeDefined()
  })

  it('is never called with a key version of another form', async () => {
    for (const strange of [
      '',
      '../../secrets/x',
      'https://login.example/keys/x/1',
      `${wrappingVersion}?x`,
      'g'.repeat(32),
    ]) {
      await expect(keyVault.unwrap(wrapped, strange)).rejects.toMatchObject({ code: 'key_ring_unreadable' })
      await expect(keyVault.readWrappingKey(strange)).rejects.toMatchObject({ code: 'key_ring_unreadable' })
      await expect(keyVault.sign(strange, digest, 'PS256')).rejects.toMatchObject({ code: 'certificate_missing' })
    }
    expect(parts.vault.requests).toEqual([])
  })

  it('reports bytes that it never wrapped as an unreadable row', async () => {
    await expect(keyVault.unwrap(randomBytes(256), wrappingVersion)).rejects.toMatchObject({
      code: 'key_ring_unreadable',
    })
  })
})

describe.each(calls)('a vault in trouble at %s', (operation, ask, missing) => {
  it.each<[string, VaultFault, string]>([
    ['is forbidden', { status: 403 }, 'vault_forbidden'],
    ['is not entered', { status: 401 }, 'vault_forbidden'],
    ['breaks', { status: 500 }, 'vault_unavailable'],
    ['is busy', { status: 503 }, 'vault_unavailable'],
    ['answers garbage', { garbage: true }, 'vault_unavailable'],
    ['answers an error as garbage', { garbage: true, status: 502 }, 'vault_unavailable'],
    ['hangs up', { dropConnection: true }, 'vault_unavailable'],
    ['loses its answers', { loseAnswer: true }, 'vault_unavailable'],
  ])('%s, and serves the next call after it', async (_what, fault, code) => {
    parts.vault.faults.add({ operation, ...fault })
    await expect(ask()).rejects.toMatchObject({ code })

    parts.vault.faults.clear()
    await expect(ask()).resolves.toBeDefined()
  })

  it('that hangs fails at the deadline, and serves the next call after it', async () => {
    parts.vault.faults.add({ operation, hang: true })
    const hangs = () => parts.vault.requests.some((one) => one.operation === operation && one.status === undefined)
    await expect(letDeadlinePass(async () => ask(), hangs, 60_000)).rejects.toMatchObject({
      code: 'vault_unavailable',
      detail: 'deadline',
    })

    parts.vault.faults.clear()
    await expect(ask()).resolves.toBeDefined()
  })

  it('names the missing part after a 404', async () => {
    parts.vault.faults.add({ operation, status: 404 })

    await expect(ask()).rejects.toMatchObject({ code: missing })
  })

  it('passes its Retry-After on at once', async () => {
    parts.vault.faults.add({ operation, status: 429, retryAfterSeconds: 77 })
    await expect(ask()).rejects.toMatchObject({ code: 'vault_throttled', retryAfterSeconds: 77 })
    expect(parts.vault.requests.filter(({ status }) => status === 429)).toHaveLength(1)

    parts.vault.faults.clear()
    parts.vault.faults.add({ operation, status: 503, retryAfterSeconds: 77 })
    await expect(ask()).rejects.toMatchObject({ code: 'vault_unavailable', retryAfterSeconds: 77 })
  })

  it.each<[string, VaultFault]>([
    ['hangs up', { dropConnection: true }],
    ['loses an answer', { loseAnswer: true }],
    ['breaks', { status: 500 }],
  ])('that %s once is called a second time in the same call', async (_what, fault) => {
    parts.vault.faults.add({ operation, ...fault, times: 1 })

    await expect(ask()).resolves.toBeDefined()
  })
})

describe('the identity for the vault', () => {
  it('without a token in time is distinguished from a vault in trouble', async () => {
    const without = parts.connect({ credential: { getToken: () => Promise.resolve(null) } })
    await expect(without.sign(version, digest, 'PS256')).rejects.toMatchObject({ code: 'managed_identity_unavailable' })

    const silent = { getToken: () => new Promise<never>(() => undefined) }
    const waiting = parts.connect({ credential: silent, deadlineMilliseconds: 50 })
    await expect(waiting.sign(version, digest, 'PS256')).rejects.toMatchObject({
      code: 'vault_unavailable',
      detail: 'deadline',
    })

    expect(parts.vault.requests).toEqual([])
    await expect(keyVault.sign(version, digest, 'PS256')).resolves.toBeDefined()
  })
})

describe('another server at the address of the vault', () => {
  let other: SecureServer
  beforeAll(async () => {
    other = await startSecureServer()
  })
  afterAll(() => other.close())
  const there = () => parts.connect({ vaultUrl: other.url })

  it('cannot redirect a request', async () => {
    other.answer((_, response) => sendJson(response, {}, 307, { location: `${parts.vault.url}/keys/x` }))

    await expect(there().sign(version, digest, 'PS256')).rejects.toMatchObject({ code: 'vault_unavailable' })

    expect(parts.vault.requests).toEqual([])
  })

  it.each([
    'Bearer authorization="https://login.microsoftonline.com/x", resource="https://elsewhere.example"',
    'Bearer authorization="https://elsewhere.example/x", resource="https://vault.azure.net"',
  ])('gets no token by a challenge of its own: %s', async (challenge) => {
    const scopes: unknown[] = []
    const getToken = (scope: unknown) => {
      scopes.push(scope)
      return Promise.resolve({ token: 'token', expiresOnTimestamp: Date.now() + 60_000 })
    }
    other.answer((_, response) => sendJson(response, {}, 401, { 'www-authenticate': challenge }))

    const refused = parts.connect({ vaultUrl: other.url, credential: { getToken } }).sign(version, digest, 'PS256')

    await expect(refused).rejects.toMatchObject({ code: 'vault_forbidden' })
    expect(scopes).toEqual(['https://vault.azure.net/.default'])
    expect(other.requests).toEqual([`POST /keys/${certificateName}/${version}/sign?api-version=2025-07-01`])
  })

  it('is refused where it returns a wrapping key without a version', async () => {
    for (const kid of [undefined, `${other.url}/keys/${wrappingKeyName}`, `${other.url}/keys/x/../../secrets/y`]) {
      other.answer((_, response) => sendJson(response, { key: { kid }, value: 'A'.repeat(400) }))
      await expect(there().readWrappingKey()).rejects.toMatchObject({ code: 'wrapping_key_missing' })
      expect(other.requests).toHaveLength(1)
    }
  })

  it('is refused where it returns another version of the wrapping key, or no RSA key', async () => {
    const kid = `${other.url}/keys/${wrappingKeyName}/${'0'.repeat(32)}`
    const { n, e } = (await keyVault.readWrappingKey()).publicKey.export({ format: 'jwk' })
    other.answer((_, response) => sendJson(response, { key: { kid, kty: 'RSA', n, e } }))
    await expect(there().readWrappingKey('0'.repeat(32))).resolves.toMatchObject({ version: '0'.repeat(32) })
    await expect(there().readWrappingKey('1'.repeat(32))).rejects.toMatchObject({ code: 'vault_unavailable' })

    other.answer((_, response) => sendJson(response, { key: { kid, kty: 'EC', crv: 'P-256', x: n, y: e } }))
    await expect(there().readWrappingKey()).rejects.toMatchObject({ code: 'wrapping_key_missing' })
  })

  it('is refused where its response has no result, or one that is too short', async () => {
    for (const body of [{}, { value: '' }, { kid: 'x', value: Buffer.alloc(16).toString('base64url') }]) {
      other.answer((_, response) => sendJson(response, body))
      await expect(there().sign(version, digest, 'PS256')).rejects.toMatchObject({ code: 'vault_unavailable' })
      await expect(there().unwrap(wrapped, wrappingVersion)).rejects.toMatchObject({
        code: 'vault_unavailable',
      })
    }
  })

  it('that does not listen is reported as a vault that does not answer', async () => {
    const gone = await startSecureServer()
    await gone.close()

    await expect(parts.connect({ vaultUrl: gone.url }).sign(version, digest, 'PS256')).rejects.toMatchObject({
      code: 'vault_unavailable',
      detail: 'vault answered ECONNREFUSED',
    })
  })
})
