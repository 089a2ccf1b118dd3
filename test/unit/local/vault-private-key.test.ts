import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeyPair } from '../../../local/rsa-key-pair.ts'
import { everyRoute } from '../../../local/vault/operations.ts'
import { lendKeyPairs } from '../../setup/key-pairs.ts'
import { officer, startVaultCloud } from './vault-cloud.ts'
import type { VaultCloud } from './vault-cloud.ts'

const keyPairs = lendKeyPairs()
let cloud: VaultCloud
const pairs: KeyPair[] = []

beforeAll(async () => {
  cloud = await startVaultCloud({
    makeKeyPair: async (bits) => {
      const pair = await keyPairs.makeKeyPair(bits)
      pairs.push(pair)
      return pair
    },
  })
})
afterAll(async () => {
  await cloud.close()
  keyPairs.release()
})

describe('a private key', () => {
  it.each(['application/x-pkcs12', 'application/x-pem-file'] as const)(
    'that cannot be exported is in no answer of any route, with all permissions (%s)',
    async (contentType) => {
      const kind = contentType.slice(-4)
      const token = await cloud.tokenFor(officer)
      const certificate = await cloud.vault.createCertificate(`certificate-${kind}`, { keySize: 2048, contentType })
      const key = await cloud.vault.createKey(`key-${kind}`, { keySize: 2048 })

      cloud.vault.resetRequests()
      // Requests that delete come last.
      const routes = [...everyRoute].sort((a, b) => rank(a.method, a.path) - rank(b.method, b.path))
      const answers: string[] = []
      for (const { method, path, operation } of routes) {
        for (const { name, version } of [certificate, key]) {
          const target = path.replace('{name}', name).replace('{version}', version)
          const body = method === 'GET' || method === 'DELETE' ? undefined : bodyFor(operation)
          const { text, headers } = await cloud.raw(method, `${target}?api-version=2025-07-01`, { token, body })
          answers.push(text, JSON.stringify(headers))
        }
      }

      expect(cloud.vault.requests.filter(({ status }) => status === 200).length).toBeGreaterThan(20)
      expect(cloud.vault.requests.every(({ status }) => status !== undefined && status < 500)).toBe(true)
      for (const answer of answers) expect(holdsPrivateKey(answer)).toBe(false)
    },
  )

  it('is in the secret of an exportable certificate, where the same search finds it', async () => {
    await cloud.vault.createCertificate('exported', {
      keySize: 2048,
      exportable: true,
      contentType: 'application/x-pem-file',
    })

    const { status, text } = await cloud.raw('GET', '/secrets/exported?api-version=7.6', {
      token: await cloud.tokenFor(officer),
    })

    expect(status).toBe(200)
    expect(holdsPrivateKey(text)).toBe(true)
  })

  it('that cannot be exported leaves the certificate alone in the secret', async () => {
    const { pem } = await cloud.vault.createCertificate('kept', {
      keySize: 2048,
      contentType: 'application/x-pem-file',
    })

    const { text } = await cloud.raw('GET', '/secrets/kept?api-version=7.6', { token: await cloud.tokenFor(officer) })

    expect(JSON.parse(text)).toMatchObject({ value: pem })
  })

  it('that cannot be exported stays so when the policy changes and a new version uses it again', async () => {
    const { version } = await cloud.vault.createCertificate('tempted', {
      keySize: 2048,
      contentType: 'application/x-pem-file',
    })
    const token = await cloud.tokenFor(officer)
    const policy = { key_props: { exportable: true, reuse_key: true } }
    const changed = await cloud.raw('PATCH', '/certificates/tempted/policy?api-version=7.6', { token, body: policy })
    const made = pairs.length
    await cloud.vault.renewCertificate('tempted')

    expect([changed.status, pairs.length]).toEqual([200, made])
    for (const path of ['/secrets/tempted', `/secrets/tempted/${version}`]) {
      const { status, text } = await cloud.raw('GET', `${path}?api-version=7.6`, { token })
      expect([status, holdsPrivateKey(text)]).toEqual([200, false])
    }
  })

  it('cannot be backed up', async () => {
    await cloud.vault.createCertificate('unsaved', { keySize: 2048 })

    await expect(cloud.keyClient(officer).backupKey('unsaved')).rejects.toMatchObject({ statusCode: 403 })
    await expect(cloud.certificateClient(officer).backupCertificate('unsaved')).rejects.toMatchObject({
      statusCode: 403,
    })
    await expect(cloud.keyClient(officer).getKey('unsaved')).resolves.toMatchObject({
      key: { d: undefined, p: undefined },
    })
  })
})

function rank(method: string, path: string): number {
  if (path.startsWith('/deleted')) return 2
  return method === 'DELETE' ? 1 : 0
}

function bodyFor(operation: string): unknown {
  const bytes = Buffer.alloc(32, 1).toString('base64url')
  if (operation === 'createCertificate') {
    return {
      policy: { issuer: { name: 'Self' }, key_props: { exportable: false }, x509_props: { subject: 'CN=again' } },
    }
  }
  if (operation === 'updateCertificatePolicy') return { key_props: { exportable: true, reuse_key: true } }
  if (operation === 'createKey') return { kty: 'RSA', key_size: 2048 }
  if (operation === 'sign') return { alg: 'PS256', value: bytes }
  if (operation === 'verify') return { alg: 'PS256', value: bytes, digest: bytes }
  return { alg: 'RSA-OAEP-256', value: bytes, policy: {}, attributes: { enabled: true } }
}

/** Searches for the private numbers of all keys: raw, in any base64 and in hex, PEM included. */
function holdsPrivateKey(text: string): boolean {
  const forms = [Buffer.from(text)]
  for (const run of text.replaceAll('\\n', '').match(/[\w+/-]{40,}/g) ?? []) {
    for (const offset of [0, 1, 2, 3]) forms.push(Buffer.from(run.slice(offset), 'base64'))
    forms.push(Buffer.from(run, 'hex'))
  }
  const secrets = pairs.flatMap(({ privateKey }) => {
    const { d = '', p = '', q = '', dp = '', dq = '', qi = '' } = privateKey.export({ format: 'jwk' })
    return [d, p, q, dp, dq, qi].map((part) => Buffer.from(part, 'base64url'))
  })
  return forms.some((form) => secrets.some((secret) => form.includes(secret)))
}
