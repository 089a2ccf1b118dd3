import { constants, createHash, createPublicKey, privateDecrypt, publicEncrypt, verify } from 'node:crypto'
import { CryptographyClient } from '@azure/keyvault-keys'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeyPair } from '../../../local/rsa-key-pair.ts'
import { isSignature, signDigest } from '../../../local/vault/rsa.ts'
import { lendKeyPairs } from '../../setup/key-pairs.ts'
import { broker, officer, startVaultCloud } from './vault-cloud.ts'
import type { VaultCloud } from './vault-cloud.ts'

const keyPairs = lendKeyPairs()
let cloud: VaultCloud
let lastPair: KeyPair
const data = Buffer.from('what is signed')
const digest = createHash('sha256').update(data).digest()
const secret = Buffer.from('a key of thirty-two bytes, wrapped')

beforeAll(async () => {
  cloud = await startVaultCloud({
    pageSize: 2,
    makeKeyPair: async (bits) => (lastPair = await keyPairs.makeKeyPair(bits)),
  })
  await cloud.vault.createKey('ring', { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] })
})
afterAll(async () => {
  await cloud.close()
  keyPairs.release()
})

describe('a signature', () => {
  it.each([2048, 3072])('by PS256 and RS256 with %i bits is one that node:crypto verifies', async (bits) => {
    const { publicKey, privateKey } = await keyPairs.makeKeyPair(bits)
    const pss = { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }

    expect(verify('sha256', data, pss, signDigest(privateKey, 'PS256', digest))).toBe(true)
    expect(verify('sha256', data, publicKey, signDigest(privateKey, 'RS256', digest))).toBe(true)
    expect(verify('sha256', Buffer.from('other'), pss, signDigest(privateKey, 'PS256', digest))).toBe(false)
    for (const algorithm of ['PS256', 'RS256']) {
      const signature = signDigest(privateKey, algorithm, digest)
      expect(isSignature(publicKey, algorithm, digest, signature)).toBe(true)
      expect(isSignature(publicKey, algorithm, createHash('sha256').digest(), signature)).toBe(false)
    }
  })

  it('is verified by the vault as well', async () => {
    const { name, version } = await cloud.vault.createKey('verifying', { keySize: 2048 })
    const client = cloud.keyClient(officer).getCryptographyClient(name, { keyVersion: version })

    const { result } = await client.sign('PS256', digest)

    expect(await client.verify('PS256', digest, result)).toMatchObject({ result: true })
    expect(await client.verify('PS256', Buffer.alloc(32), result)).toMatchObject({ result: false })
  })

  it('is refused for a digest of the wrong length and for other algorithms', async () => {
    const { name } = await cloud.vault.createKey('strict', { keySize: 2048 })
    const client = cloud.keyClient().getCryptographyClient(name)

    await expect(client.sign('PS256', digest)).resolves.toBeDefined()
    await expect(client.sign('PS256', digest.subarray(1))).rejects.toMatchObject({ statusCode: 400 })
    await expect(client.sign('ES256', digest)).rejects.toMatchObject({ statusCode: 400 })
  })
})

describe('wrapping', () => {
  it.each([
    ['RSA-OAEP-256', 'sha256'],
    ['RSA-OAEP', 'sha1'],
  ] as const)('by %s and unwrapping give back what was wrapped', async (algorithm, oaepHash) => {
    const { name, version, keyId } = await cloud.vault.createKey(`wrapping-${oaepHash}`, { keySize: 2048 })
    const client = cloud.keyClient().getCryptographyClient(name, { keyVersion: version })

    const wrapped = await client.wrapKey(algorithm, secret)

    expect(wrapped.keyID).toBe(keyId)
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    expect(privateDecrypt({ key: lastPair.privateKey, padding, oaepHash }, wrapped.result)).toEqual(secret)
    expect(Buffer.from((await client.unwrapKey(algorithm, wrapped.result)).result)).toEqual(secret)
    const key = createPublicKey(lastPair.publicKey.export({ type: 'spki', format: 'pem' }))
    const elsewhere = publicEncrypt({ key, padding, oaepHash }, secret)
    expect(Buffer.from((await client.unwrapKey(algorithm, elsewhere)).result)).toEqual(secret)
  })

  it('of invalid bytes is refused without a reason', async () => {
    const client = cloud.keyClient().getCryptographyClient('ring')

    await expect(client.unwrapKey('RSA-OAEP-256', Buffer.alloc(256, 1))).rejects.toMatchObject({
      statusCode: 400,
      code: 'BadParameter',
    })
  })

  it('works with an older version after a rotation', async () => {
    const old = await cloud.vault.createKey('turning', { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] })
    const keys = cloud.keyClient()
    const { result } = await keys
      .getCryptographyClient('turning', { keyVersion: old.version })
      .wrapKey('RSA-OAEP-256', secret)

    const rotated = await cloud.vault.rotateKey('turning')

    expect((await keys.getKey('turning')).id).toBe(rotated.keyId)
    expect((await keys.getKey('turning')).keyOperations).toEqual(['wrapKey', 'unwrapKey'])
    const [before, after] = [old, rotated].map(({ version }) =>
      keys.getCryptographyClient('turning', { keyVersion: version }).unwrapKey('RSA-OAEP-256', result),
    )
    expect(Buffer.from((await before!).result)).toEqual(secret)
    await expect(after).rejects.toMatchObject({ statusCode: 400 })
  })
})

describe('the permitted use of a key', () => {
  // The client itself refuses an operation that the key it has read does not list;
  // without that permission it calls the vault.
  const clientThatAsks = (name: string) => {
    cloud.vault.setPermissions(broker.clientId, { keys: ['sign', 'wrapKey', 'unwrapKey', 'encrypt', 'verify'] })
    return cloud.keyClient().getCryptographyClient(name)
  }
  const refused = { statusCode: 403, details: { error: { innerError: { code: 'KeyOperationForbidden' } } } }

  it('is limited by the key usage of its certificate: digitalSignature signs', async () => {
    await cloud.vault.createCertificate('signs', { keySize: 2048, keyUsage: ['digitalSignature'] })
    const client = clientThatAsks('signs')

    await expect(client.sign('PS256', digest)).resolves.toBeDefined()
    await expect(client.wrapKey('RSA-OAEP-256', secret)).rejects.toMatchObject(refused)
    await expect(client.unwrapKey('RSA-OAEP-256', Buffer.alloc(256))).rejects.toMatchObject(refused)
    await expect(client.encrypt({ algorithm: 'RSA-OAEP-256', plaintext: secret })).rejects.toMatchObject(refused)
  })

  it('is limited by the key usage of its certificate: keyEncipherment wraps', async () => {
    await cloud.vault.createCertificate('wraps', { keySize: 2048, keyUsage: ['keyEncipherment'] })
    const client = clientThatAsks('wraps')

    await expect(client.wrapKey('RSA-OAEP-256', secret)).resolves.toBeDefined()
    await expect(client.sign('PS256', digest)).rejects.toMatchObject(refused)
  })

  it('is both for a certificate without key usage', async () => {
    await cloud.vault.createCertificate('free', { keySize: 2048, keyUsage: [] })
    const client = clientThatAsks('free')

    await expect(client.sign('PS256', digest)).resolves.toBeDefined()
    await expect(client.wrapKey('RSA-OAEP-256', secret)).resolves.toBeDefined()
  })

  it('is limited by the operations of a key of its own', async () => {
    const client = clientThatAsks('ring')

    await expect(client.wrapKey('RSA-OAEP-256', secret)).resolves.toBeDefined()
    await expect(client.sign('PS256', digest)).rejects.toMatchObject(refused)
  })
})

describe('a key outside its dates', () => {
  const hour = 3600_000
  it.each([
    ['has expired', { expires: new Date(Date.now() - hour) }, 'KeyExpired'],
    ['is not valid yet', { notBefore: new Date(Date.now() + hour) }, 'KeyNotYetValid'],
  ])('that %s neither signs nor wraps; it still unwraps and verifies', async (_case, dates, code) => {
    const { name } = await cloud.vault.createKey(`key-${code}`, { keySize: 2048 })
    cloud.vault.setPermissions(broker.clientId, { keys: ['sign', 'verify', 'wrapKey', 'unwrapKey'] })
    const client = cloud.keyClient().getCryptographyClient(name)
    const { result: signature } = await client.sign('PS256', digest)
    const { result: wrapped } = await client.wrapKey('RSA-OAEP-256', secret)

    cloud.vault.setKeyDates(name, undefined, dates)

    const refused = { statusCode: 403, details: { error: { innerError: { code } } } }
    await expect(client.sign('PS256', digest)).rejects.toMatchObject(refused)
    await expect(client.wrapKey('RSA-OAEP-256', secret)).rejects.toMatchObject(refused)
    expect((await client.verify('PS256', digest, signature)).result).toBe(true)
    expect(Buffer.from((await client.unwrapKey('RSA-OAEP-256', wrapped)).result)).toEqual(secret)
  })

  it('that is disabled performs no operation, though it can be read', async () => {
    const { name } = await cloud.vault.createKey('disabled', { keySize: 2048 })
    cloud.vault.setPermissions(broker.clientId, { keys: ['get', 'sign', 'wrapKey', 'unwrapKey'] })
    const client = cloud.keyClient().getCryptographyClient(name)
    const { result } = await client.wrapKey('RSA-OAEP-256', secret)

    cloud.vault.setKeyEnabled(name, undefined, false)

    await expect(client.unwrapKey('RSA-OAEP-256', result)).rejects.toMatchObject({ statusCode: 403 })
    expect((await cloud.keyClient().getKey(name)).properties.enabled).toBe(false)
    cloud.vault.setKeyEnabled(name, undefined, true)
    await expect(client.unwrapKey('RSA-OAEP-256', result)).resolves.toBeDefined()
  })
})

describe('keys by a client', () => {
  it('are made, listed in pages, changed, rotated and deleted', async () => {
    const keys = cloud.keyClient(officer)
    const made = await keys.createRsaKey('mine', { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] })
    await keys.rotateKey('mine')
    await keys.createRsaKey('mine', { keySize: 2048 })

    const versions: string[] = []
    for await (const { version } of keys.listPropertiesOfKeyVersions('mine')) versions.push(version!)
    expect(versions).toHaveLength(3)
    expect(versions).toContain(made.properties.version)

    const changed = await keys.updateKeyProperties('mine', made.properties.version!, {
      enabled: false,
      keyOps: ['sign'],
    })
    expect(changed).toMatchObject({ keyOperations: ['sign'], properties: { enabled: false } })

    await (await keys.beginDeleteKey('mine', { intervalInMs: 20 })).pollUntilDone()
    await expect(keys.getKey('mine')).rejects.toMatchObject({ statusCode: 404, code: 'KeyNotFound' })
  })

  it('of a certificate change only with the certificate', async () => {
    const { version } = await cloud.vault.createCertificate('managed', { keySize: 2048 })
    const keys = cloud.keyClient(officer)

    expect((await keys.getKey('managed', { version })).properties.managed).toBe(true)
    await expect(keys.updateKeyProperties('managed', version, { enabled: false })).rejects.toMatchObject({
      statusCode: 403,
    })
    await expect(keys.rotateKey('managed')).rejects.toMatchObject({ statusCode: 403 })
    await expect(keys.beginDeleteKey('managed')).rejects.toMatchObject({ statusCode: 403 })
  })

  it('can be used by their id alone', async () => {
    const { keyId } = await cloud.vault.createKey('by-id', { keySize: 2048 })
    const key = await cloud.keyClient(officer).getKey('by-id')

    expect(new CryptographyClient(keyId, { getToken: () => Promise.resolve(null) }).keyID).toBe(key.id)
  })
})
