import { createHash, generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { signDigest } from '../../../local/vault/rsa.ts'
import { makeSelfSigned } from '../../../local/vault/self-signed.ts'
import { createGraphApplicationKeys } from '../../../shared/certificate/application-keys.graph.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import type { CertificateVault } from '../../../shared/vault/vault.ts'

const pair = generateKeyPairSync('rsa', { modulusLength: 2048 })
const certificate = await makeSelfSigned({
  ...pair,
  subject: 'CN=broker',
  keyUsage: [],
  extendedKeyUsage: [],
  notBefore: new Date(Date.now() - 86_400_000),
  notAfter: new Date(Date.now() + 86_400_000),
})
const thumbprint = createHash('sha256').update(certificate).digest('base64url')
const by = { version: 'a'.repeat(32), thumbprint, expires: Date.now() + 86_400_000 }
const sign: CertificateVault['sign'] = (_version, digest, algorithm) =>
  Promise.resolve(signDigest(pair.privateKey, algorithm, Buffer.from(digest)))

/** The log message for a refusal with this text. */
async function detailOf(code: unknown): Promise<string | undefined> {
  const keys = createGraphApplicationKeys({
    graphUrl: 'https://localhost',
    objectId: '44444444-4444-4444-8444-444444444444',
    vault: {
      readCertificate: () => Promise.resolve(certificate),
      sign,
    },
    network: () => Promise.resolve({ status: 400, headers: {}, json: { error: { code, message: 'quotes' } } }),
    token: () => Promise.resolve('token'),
    clock: Date.now,
  })
  const error: unknown = await keys.add(new Uint8Array(8), by).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(BrokerError)
  return (error as BrokerError).detail
}

describe('a refusal by Graph', () => {
  it.each(['Request_BadRequest', 'Authorization_RequestDenied', 'TooManyRequests'])(
    'is reported by its code %s',
    async (code) => {
      expect(await detailOf(code)).toBe(`addKey answered 400 ${code}`)
    },
  )

  it.each([
    ['a token', 'eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl'],
    ['a part of one', 'eyJhbGciOiJSUzI1NiJ9'],
    ['a secret', 'jW8Q~this-is-no-real-secret'],
    ['a long word', 'a'.repeat(61)],
    ['two words', 'Request Denied'],
    ['no text', { code: 'x' }],
    ['nothing', undefined],
  ])('with %s as its code is reported without the code', async (_what, code) => {
    expect(await detailOf(code)).toBe('addKey answered 400 ?')
  })
})

describe('a proof of possession', () => {
  const keysWith = (signBy: CertificateVault['sign'], sent: string[]) =>
    createGraphApplicationKeys({
      graphUrl: 'https://localhost',
      objectId: '44444444-4444-4444-8444-444444444444',
      vault: { readCertificate: () => Promise.resolve(certificate), sign: signBy },
      network: ({ body }) => {
        sent.push(body ?? '')
        return Promise.resolve({ status: 204, headers: {}, json: {} })
      },
      token: () => Promise.resolve('token'),
      clock: Date.now,
    })
  const keyId = '11111111-2222-4333-8444-555555555555'

  it('is sent where its signature verifies, and never where it does not', async () => {
    const sent: string[] = []
    await keysWith(sign, sent).remove(keyId, by)
    expect(sent).toHaveLength(1)

    const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    const wrong: CertificateVault['sign'] = (_version, digest, algorithm) =>
      Promise.resolve(signDigest(other, algorithm, Buffer.from(digest)))
    await expect(keysWith(wrong, sent).remove(keyId, by)).rejects.toMatchObject({ code: 'signature_invalid' })

    expect(sent).toHaveLength(1)
  })

  it('is not signed by a version for which the vault has another certificate', async () => {
    const sent: string[] = []
    const forged = { ...by, thumbprint: 'o'.repeat(43) }

    await expect(keysWith(sign, sent).remove(keyId, forged)).rejects.toMatchObject({ code: 'certificate_missing' })

    expect(sent).toEqual([])
  })
})
