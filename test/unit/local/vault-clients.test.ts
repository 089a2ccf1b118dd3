import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { broker, startVaultCloud } from './vault-cloud.ts'
import type { VaultCloud } from './vault-cloud.ts'

/** Counts the requests of the real clients: the broker's own counts depend on them. */
let cloud: VaultCloud
let signing: { version: string }
let ring: { version: string }
const digest = new Uint8Array(32)

beforeAll(async () => {
  cloud = await startVaultCloud()
  signing = await cloud.vault.createCertificate('broker', { keySize: 2048 })
  ring = await cloud.vault.createKey('broker-key-ring', { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] })
})
beforeEach(() => cloud.vault.resetRequests())
afterAll(() => cloud.close())

describe('the real clients', () => {
  it('send two requests for a certificate the first time, then one', async () => {
    const client = cloud.certificateClient()

    await client.getCertificate('broker')
    await client.getCertificate('broker')

    expect(cloud.operations()).toEqual(['getCertificate 401', 'getCertificate 200', 'getCertificate 200'])
    expect(cloud.managedIdentity.requests).toEqual([
      { clientId: broker.clientId, resource: 'https://vault.azure.net', status: 200 },
    ])
  })

  it('need one challenge a KeyClient, one read a CryptographyClient and one request an operation', async () => {
    const wrapped = await cloud
      .keyClient()
      .getCryptographyClient('broker-key-ring', { keyVersion: ring.version })
      .wrapKey('RSA-OAEP-256', new Uint8Array(32))
    cloud.vault.resetRequests()
    const keys = cloud.keyClient()

    const unwrapper = keys.getCryptographyClient('broker-key-ring', { keyVersion: ring.version })
    await unwrapper.unwrapKey('RSA-OAEP-256', wrapped.result)
    expect(cloud.operations()).toEqual(['getKey 401', 'getKey 200', 'unwrapkey 200'])

    cloud.vault.resetRequests()
    const signer = keys.getCryptographyClient('broker', { keyVersion: signing.version })
    await signer.sign('PS256', digest)
    expect(cloud.operations()).toEqual(['getKey 200', 'sign 200'])

    cloud.vault.resetRequests()
    await signer.sign('PS256', digest)
    expect(cloud.operations()).toEqual(['sign 200'])
  })

  it('work without the permission to read the key', async () => {
    cloud.vault.setPermissions(broker.clientId, { keys: ['sign'] })
    const signer = cloud.keyClient().getCryptographyClient('broker', { keyVersion: signing.version })

    await signer.sign('PS256', digest)
    await signer.sign('PS256', digest)

    expect(cloud.operations()).toEqual(['getKey 401', 'getKey 403', 'sign 200', 'sign 200'])
  })
})
