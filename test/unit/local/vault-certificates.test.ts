import { createHash, createVerify, X509Certificate } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { PublicCertificate } from '../../../local/vault/certificate-json.ts'
import { officer, startVaultCloud } from './vault-cloud.ts'
import type { VaultCloud } from './vault-cloud.ts'

let cloud: VaultCloud
const announced: PublicCertificate[] = []
const small = { keySize: 2048 } as const

beforeAll(async () => {
  cloud = await startVaultCloud({
    pageSize: 2,
    onNewCertificateVersion: (certificate) => void announced.push(certificate),
  })
})
afterAll(() => cloud.close())

describe('a certificate made by a client', () => {
  const policy = {
    issuerName: 'Self',
    subject: 'CN=made by a client',
    keyType: 'RSA' as const,
    keySize: 2048,
    exportable: false,
    reuseKey: false,
    keyUsage: ['digitalSignature' as const],
    validityInMonths: 6,
    lifetimeActions: [{ action: 'AutoRenew' as const, daysBeforeExpiry: 45 }],
  }

  it('is created by a pending operation, self-signed and as its policy defines', async () => {
    const client = cloud.certificateClient(officer)
    const poller = await client.beginCreateCertificate('by-client', policy, { intervalInMs: 20 })

    const made = await poller.pollUntilDone()

    const x509 = new X509Certificate(made.cer!)
    expect(x509.subject).toBe('CN=made by a client')
    expect(x509.verify(x509.publicKey)).toBe(true)
    expect(x509.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048)
    expect(made.properties.expiresOn).toEqual(x509.validToDate)
    expect(made.properties.notBefore).toEqual(x509.validFromDate)
    expect(made.properties.x509ThumbprintString).toBe(createHash('sha1').update(made.cer!).digest('hex'))
    expect(made.keyId).toBe(`${cloud.vault.url}/keys/by-client/${made.properties.version!}`)
    expect(made.secretId).toBe(`${cloud.vault.url}/secrets/by-client/${made.properties.version!}`)
    expect(made.policy).toMatchObject(policy)
    expect(await client.getCertificateOperation('by-client')).toBeDefined()
    expect(announced.map(({ name }) => name)).toContain('by-client')
  })

  it('is refused for an issuer other than Self', async () => {
    const client = cloud.certificateClient(officer)

    await expect(
      client.beginCreateCertificate('elsewhere', { ...policy, issuerName: 'Unknown' }),
    ).rejects.toMatchObject({ statusCode: 400 })
  })

  it('changes its policy, and the next version follows it', async () => {
    const client = cloud.certificateClient(officer)
    await (await client.beginCreateCertificate('changing', policy, { intervalInMs: 20 })).pollUntilDone()

    await client.updateCertificatePolicy('changing', { ...policy, validityInMonths: 3 })

    expect(await client.getCertificatePolicy('changing')).toMatchObject({ ...policy, validityInMonths: 3 })
    const { der } = await cloud.vault.renewCertificate('changing')
    const { validFromDate, validToDate } = new X509Certificate(der)
    const days = (validToDate.getTime() - validFromDate.getTime()) / (24 * 3600 * 1000)
    expect(Math.round(days / 30)).toBe(3)
  })
})

describe('a certificate made by the control API', () => {
  it('has 3072 bits, a key that cannot be exported and digitalSignature, by default', async () => {
    await cloud.vault.createCertificate('defaults')

    const { policy, cer } = await cloud.certificateClient().getCertificate('defaults')

    expect(policy).toMatchObject({
      keySize: 3072,
      exportable: false,
      keyUsage: ['digitalSignature'],
      issuerName: 'Self',
    })
    expect(new X509Certificate(cer!).publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072)
  })

  it('receives new versions, each with a key of its own, and reports them', async () => {
    const first = await cloud.vault.createCertificate('rolled', small)
    const second = await cloud.vault.renewCertificate('rolled')

    const client = cloud.certificateClient()
    expect((await client.getCertificate('rolled')).properties.version).toBe(second.version)
    expect(Buffer.from((await client.getCertificateVersion('rolled', first.version)).cer!)).toEqual(first.der)
    expect(first.x5tS256).toBe(createHash('sha256').update(first.der).digest('base64url'))
    expect(first.x5tS256).not.toBe(second.x5tS256)
    expect(cloud.vault.publicCertificates('rolled')).toEqual([first, second])
    expect(announced.filter(({ name }) => name === 'rolled')).toEqual([first, second])
    const publicKeys = [first, second].map(({ pem }) => new X509Certificate(pem).publicKey.export({ format: 'jwk' }).n)
    expect(publicKeys[0]).not.toBe(publicKeys[1])
  })

  it('lists its versions in pages', async () => {
    await cloud.vault.createCertificate('paged', small)
    for (let renewals = 0; renewals < 4; renewals++) await cloud.vault.renewCertificate('paged')
    cloud.vault.resetRequests()

    const listed: string[] = []
    for await (const { version } of cloud.certificateClient().listPropertiesOfCertificateVersions('paged')) {
      listed.push(version!)
    }

    expect(listed).toEqual([...listed].sort())
    expect(new Set(listed)).toEqual(new Set(cloud.vault.publicCertificates('paged').map(({ version }) => version)))
    expect(cloud.vault.requests.filter(({ status }) => status === 200)).toHaveLength(3)
  })

  it('is still returned when a version is disabled, while its key and secret are not', async () => {
    const { version } = await cloud.vault.createCertificate('closed', small)
    const signer = cloud.keyClient().getCryptographyClient('closed', { keyVersion: version })
    await signer.sign('PS256', new Uint8Array(32))

    cloud.vault.setCertificateEnabled('closed', version, false)

    expect((await cloud.certificateClient().getCertificate('closed')).properties.enabled).toBe(false)
    await expect(signer.sign('PS256', new Uint8Array(32))).rejects.toMatchObject({
      statusCode: 403,
      details: { error: { innerError: { code: 'KeyDisabled' } } },
    })
    const token = await cloud.tokenFor(officer)
    expect((await cloud.raw('GET', '/secrets/closed?api-version=7.6', { token })).status).toBe(403)

    const reopened = await cloud
      .certificateClient(officer)
      .updateCertificateProperties('closed', version, { enabled: true })
    expect(reopened.properties.enabled).toBe(true)
    await expect(signer.sign('PS256', new Uint8Array(32))).resolves.toBeDefined()
  })

  it('has the given dates, or none', async () => {
    const expires = new Date('2030-01-02T03:04:05Z')
    const dated = await cloud.vault.createCertificate('dated', { ...small, expires })
    const undated = await cloud.vault.renewCertificate('dated', { notBefore: null, expires: null })

    const client = cloud.certificateClient()
    const [first, second] = await Promise.all(
      [dated, undated].map(({ version }) => client.getCertificateVersion('dated', version)),
    )

    expect(first!.properties.expiresOn).toEqual(expires)
    expect(new X509Certificate(dated.der).validToDate).toEqual(expires)
    expect(second!.properties).toMatchObject({ expiresOn: undefined, notBefore: undefined })

    cloud.vault.setCertificateDates('dated', dated.version, { expires: null })
    expect((await client.getCertificateVersion('dated', dated.version)).properties.expiresOn).toBeUndefined()
  })

  it('can be deleted; its name stays reserved, as with soft delete', async () => {
    await cloud.vault.createCertificate('gone', small)
    const poller = await cloud.certificateClient(officer).beginDeleteCertificate('gone', { intervalInMs: 20 })

    const deleted = await poller.pollUntilDone()

    expect(deleted.name).toBe('gone')
    const notFound = { statusCode: 404, code: 'CertificateNotFound' }
    await expect(cloud.certificateClient().getCertificate('gone')).rejects.toMatchObject(notFound)
    await expect(cloud.keyClient().getKey('gone')).rejects.toMatchObject({ statusCode: 404, code: 'KeyNotFound' })
    await expect(cloud.vault.createCertificate('gone', small)).rejects.toMatchObject({ status: 409 })
  })

  it('creates signatures that its certificate verifies', async () => {
    const { version, pem } = await cloud.vault.createCertificate('signing', small)
    const data = Buffer.from('a signing input')

    const { result } = await cloud
      .keyClient()
      .getCryptographyClient('signing', { keyVersion: version })
      .signData('RS256', data)

    expect(createVerify('sha256').update(data).verify(pem, result)).toBe(true)
    expect(createVerify('sha256').update('another').verify(pem, result)).toBe(false)
  })
})
