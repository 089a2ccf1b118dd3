import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createAccessTokenIssuer } from '../../../local/managed-identity/access-tokens.ts'
import { brokerAccessPolicy } from '../../../local/vault/permissions.ts'
import { broker, officer, startVaultCloud } from './vault-cloud.ts'
import type { VaultCloud } from './vault-cloud.ts'

let cloud: VaultCloud
const get = '/certificates/broker?api-version=2025-07-01'
const digest = new Uint8Array(32)

beforeAll(async () => {
  cloud = await startVaultCloud()
  await cloud.vault.createCertificate('broker', { keySize: 2048 })
  await cloud.vault.createKey('broker-key-ring', { keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] })
})
afterEach(() => {
  cloud.vault.setPermissions(broker.clientId, brokerAccessPolicy)
  cloud.vault.resetRequests()
})
afterAll(() => cloud.close())

describe('a caller of the vault', () => {
  it('without a token receives the address of the token endpoint', async () => {
    const answer = await cloud.raw('GET', get)

    expect(answer.status).toBe(401)
    expect(answer.headers['www-authenticate']).toMatch(
      /^Bearer authorization="https:\/\/login\.microsoftonline\.com\/[\da-f-]{36}", resource="https:\/\/vault\.azure\.net"$/,
    )
    expect(JSON.parse(answer.text)).toMatchObject({ error: { code: 'Unauthorized' } })
  })

  it.each([
    ['an expired token', () => cloud.tokenFor(broker, undefined, -60)],
    ['a token for something else', () => cloud.tokenFor(broker, 'https://graph.microsoft.com')],
    ['what is no token', () => Promise.resolve('hello')],
    [
      'a token with another signer',
      async () => {
        const issuer = await createAccessTokenIssuer()
        return (await issuer.issueAccessToken({ ...broker, audience: 'https://vault.azure.net' })).token
      },
    ],
  ])('with %s gets 401, and 200 with a good one', async (_case, token) => {
    const refused = await cloud.raw('GET', get, { token: await token() })
    const accepted = await cloud.raw('GET', get, { token: await cloud.tokenFor() })

    expect([refused.status, accepted.status]).toEqual([401, 200])
    expect(refused.headers['www-authenticate']).toMatch(/^Bearer authorization="/)
    expect(cloud.vault.requests.map(({ identity }) => identity)).toEqual([undefined, broker.clientId])
  })

  it('without a permission receives 403 in the JSON of Key Vault', async () => {
    const token = await cloud.tokenFor()

    const refused = await cloud.raw('POST', '/keys/new/create?api-version=2025-07-01', { token, body: { kty: 'RSA' } })

    expect(refused.status).toBe(403)
    expect(JSON.parse(refused.text)).toMatchObject({
      error: { code: 'Forbidden', message: expect.any(String) as string, innererror: { code: 'AccessDenied' } },
    })
  })
})

describe('permissions', () => {
  it('allow the broker exactly certificates get, list and keys get, sign, wrapKey, unwrapKey', async () => {
    const certificate = cloud.vault.publicCertificates('broker')[0]!
    const keys = cloud.keyClient()
    const certificates = cloud.certificateClient()
    const signer = keys.getCryptographyClient('broker', { keyVersion: certificate.version })
    const wrapper = keys.getCryptographyClient('broker-key-ring')

    await certificates.getCertificate('broker')
    for await (const version of certificates.listPropertiesOfCertificateVersions('broker'))
      expect(version.name).toBe('broker')
    await signer.sign('PS256', digest)
    const { result } = await wrapper.wrapKey('RSA-OAEP-256', new Uint8Array(32))
    await wrapper.unwrapKey('RSA-OAEP-256', result)

    const forbidden = { statusCode: 403, details: { error: { innerError: { code: 'AccessDenied' } } } }
    await expect(signer.verify('PS256', digest, new Uint8Array(256))).rejects.toMatchObject(forbidden)
    await expect(keys.createRsaKey('another')).rejects.toMatchObject(forbidden)
    await expect(keys.listPropertiesOfKeyVersions('broker').next()).rejects.toMatchObject({ statusCode: 403 })
    await expect(keys.backupKey('broker')).rejects.toMatchObject(forbidden)
    await expect(certificates.updateCertificateProperties('broker', '', { enabled: false })).rejects.toMatchObject(
      forbidden,
    )
    await expect(certificates.beginDeleteCertificate('broker')).rejects.toMatchObject(forbidden)
    const secret = await cloud.raw('GET', '/secrets/broker?api-version=7.6', { token: await cloud.tokenFor() })
    expect(secret.status).toBe(403)
  })

  it('change while the vault runs', async () => {
    const signer = cloud.keyClient().getCryptographyClient('broker')
    await signer.sign('PS256', digest)

    cloud.vault.setPermissions(broker.clientId, { ...brokerAccessPolicy, keys: ['get'] })
    await expect(signer.sign('PS256', digest)).rejects.toMatchObject({ statusCode: 403 })

    cloud.vault.setPermissions(broker.clientId, brokerAccessPolicy)
    await expect(signer.sign('PS256', digest)).resolves.toMatchObject({ algorithm: 'PS256' })
  })

  it('are per identity', async () => {
    await expect(cloud.keyClient(broker).createRsaKey('made')).rejects.toMatchObject({ statusCode: 403 })
    await expect(cloud.keyClient(officer).createRsaKey('made', { keySize: 2048 })).resolves.toMatchObject({
      name: 'made',
    })
  })
})

describe('the vault', () => {
  it('speaks https only', async () => {
    const answer = await fetch(`${cloud.vault.url.replace('https:', 'http:')}${get}`, {
      headers: { authorization: `Bearer ${await cloud.tokenFor()}` },
    })

    expect(answer.status).toBe(400)
    expect(cloud.vault.requests).toEqual([])
  })

  it.each(['7.5', '7.6', '2025-07-01'])('accepts api-version %s', async (version) => {
    const token = await cloud.tokenFor()

    expect((await cloud.raw('GET', `/certificates/broker?api-version=${version}`, { token })).status).toBe(200)
    expect((await cloud.raw('GET', '/certificates/broker', { token })).status).toBe(400)
  })
})
