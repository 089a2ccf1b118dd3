import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createCertificateAuthority } from '../../../local/certificate-authority.ts'
import type { TlsIdentity } from '../../../local/http-server.ts'
import { makeSelfSigned } from '../../../local/vault/self-signed.ts'
import { createNetwork } from '../../../shared/http/network.ts'
import type { Network } from '../../../shared/http/network.ts'
import { letDeadlinePass } from '../../setup/deadline.ts'
import { sendJson, startSecureServer, trustedAuthority } from '../../setup/secure-server.ts'
import type { Answerer, SecureServer } from '../../setup/secure-server.ts'
import { trust } from '../../setup/trust.ts'

const compressed = (response: ServerResponse, json: object, coding = 'gzip') =>
  response.setHeader('content-encoding', coding).end(gzipSync(JSON.stringify(json)))

let server: SecureServer
let network: Network
beforeAll(async () => {
  server = await startSecureServer()
})
beforeEach(() => {
  network = createNetwork({ clock: () => now })
})
afterAll(() => server.close())

const now = Date.parse('2031-05-01T12:00:00Z')
const get = () => network({ method: 'GET', url: `${server.url}/keys` })
const post = () =>
  network({
    method: 'POST',
    url: `${server.url}/token`,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=authorization_code&code=1',
  })
const arrived = () => server.requests.length > 0
const good: Answerer = (_, response) => sendJson(response, { keys: [] })

describe('a call to the provider', () => {
  it('returns the status, the headers and the parsed object', async () => {
    server.answer((_, response) => sendJson(response, { error: 'invalid_grant' }, 400, { 'x-ms-request-id': 'abc' }))

    expect(await post()).toMatchObject({
      status: 400,
      headers: { 'x-ms-request-id': 'abc' },
      json: { error: 'invalid_grant' },
    })
  })

  it('sends a body with its length, requests JSON, and names the broker to firewalls', async () => {
    const seen: (string | undefined)[] = []
    server.answer(({ headers }, response, body) => {
      seen.push(headers['user-agent'], headers.accept, headers['content-length'], headers['content-type'], body)
      sendJson(response, {})
    })

    await post()

    expect(seen).toEqual([
      'certificate-token-broker',
      'application/json, application/jwk-set+json',
      '36',
      'application/x-www-form-urlencoded',
      'grant_type=authorization_code&code=1',
    ])
  })

  it.each([
    'application/json; charset=utf-8',
    'application/jwk-set+json',
    'text/plain',
    'application/octet-stream',
    'text/html',
    '',
  ])('accepts JSON of the content type "%s"', async (type) => {
    server.answer((_, response) => sendJson(response, { keys: [] }, 200, { 'content-type': type }))

    expect((await get()).json).toEqual({ keys: [] })
  })

  it('accepts JSON after a byte order mark (RFC 8259 §8.1), and requests no compression', async () => {
    let coding: unknown
    server.answer(({ headers }, response) => {
      coding = headers['accept-encoding']
      response.end('\ufeff{"name":"\ufeffÅ"}')
    })

    expect((await get()).json).toEqual({ name: '\ufeffÅ' })
    expect(coding).toBe('identity')
  })

  it.each([400, 401, 403, 404, 451])('returns the status %i of a refusal without JSON', async (status) => {
    server.answer((_, response) => void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>No</h1>'))

    expect(await post()).toMatchObject({ status, json: {} })
  })

  it('reads a response that is compressed although none was requested', async () => {
    server.answer((_, response) => void compressed(response, { keys: [] }))

    expect(await get()).toMatchObject({ status: 200, json: { keys: [] } })
  })

  it.each<[string, Answerer, string]>([
    ['HTML', (_, response) => void response.setHeader('content-type', 'text/html').end('<h1>Hello</h1>'), 'not JSON'],
    [
      'broken JSON',
      (_, response) => void response.setHeader('content-type', 'application/json').end('{"keys":'),
      'not JSON',
    ],
    ['nothing', (_, response) => void response.setHeader('content-type', 'application/json').end(), 'not JSON'],
    [
      'more than 256 KB, compressed',
      (_, response) => void compressed(response, { keys: 'k'.repeat(256 * 1024) }),
      'not JSON',
    ],
    ['another coding', (_, response) => void compressed(response, { keys: [] }, 'br'), 'not JSON'],
    ['a list', (_, response) => sendJson(response, []), 'JSON that is not an object'],
    ['null', (_, response) => sendJson(response, null), 'JSON that is not an object'],
    ['a word', (_, response) => sendJson(response, 'keys'), 'JSON that is not an object'],
    ['more than 256 KB', (_, response) => sendJson(response, { keys: 'k'.repeat(256 * 1024) }), 'more than 256 KB'],
    [
      'more than 256 KB without an end',
      (_, response) => {
        response.setHeader('content-type', 'application/json').write('{"keys":"')
        const more = setInterval(() => response.write('k'.repeat(64 * 1024)), 1)
        response.on('close', () => clearInterval(more))
      },
      'more than 256 KB',
    ],
    ['a redirect', (_, response) => sendJson(response, {}, 302, { location: 'https://localhost:1/' }), 'a redirect'],
  ])('refuses %s', async (_what, answer, detail) => {
    server.answer(answer)
    await expect(get()).rejects.toMatchObject({ code: 'provider_answer_invalid', detail })

    server.answer(good)
    await expect(get()).resolves.toMatchObject({ json: { keys: [] } })
  })

  it.each([301, 302, 303, 307, 308])('follows no redirect (%i), and sends no data there', async (status) => {
    server.answer((request, response) => {
      if (request.url === '/token') sendJson(response, {}, status, { location: `${server.url}/elsewhere` })
      else sendJson(response, { access_token: 'x' })
    })

    await expect(post()).rejects.toMatchObject({ code: 'provider_answer_invalid' })

    expect(server.requests).toEqual(['POST /token'])
  })
})

describe('a provider in trouble', () => {
  it.each([500, 502, 503, 504])('is unavailable when it answers %i, in any format', async (status) => {
    server.answer(
      (_, response) => void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Sorry</h1>'),
    )

    await expect(post()).rejects.toMatchObject({ code: 'provider_unavailable', detail: `status ${status}` })
    expect(server.requests).toHaveLength(1)
  })

  it('is unavailable, and not invalid, where its error has a large page', async () => {
    server.answer((_, response) => void response.writeHead(503).end('x'.repeat(512 * 1024)))

    await expect(post()).rejects.toMatchObject({ code: 'provider_unavailable' })
  })

  it.each([
    ['17', 17],
    ['86400', 120],
    ['0', undefined],
    ['soon', undefined],
    [new Date(now + 86_400_000).toUTCString(), 120],
    [new Date(now + 30_000).toUTCString(), 30],
    [new Date(now - 1000).toUTCString(), undefined],
    ['-1', undefined],
  ])(
    'is overloaded when it answers 429, and Retry-After %s of this or a 503 is passed on as %s',
    async (retryAfter, seconds) => {
      server.answer((_, response) => sendJson(response, {}, 429, { 'retry-after': retryAfter }))

      await expect(post()).rejects.toMatchObject({ code: 'provider_throttled', retryAfterSeconds: seconds })

      server.answer((_, response) => void response.writeHead(503, { 'retry-after': retryAfter }).end())
      await expect(post()).rejects.toMatchObject({ code: 'provider_unavailable', retryAfterSeconds: seconds })
    },
  )

  it('that never answers fails at the deadline', async () => {
    server.answer(() => undefined)

    await expect(letDeadlinePass(post, arrived)).rejects.toMatchObject({ code: 'provider_unavailable' })

    expect(server.requests).toEqual(['POST /token'])
    server.answer(good)
    await expect(get()).resolves.toMatchObject({ status: 200 })
  })

  it('that never answers a read is not retried past the deadline', async () => {
    server.answer(() => undefined)

    await expect(letDeadlinePass(get, arrived)).rejects.toMatchObject({
      code: 'provider_unavailable',
      detail: 'deadline',
    })

    expect(server.requests).toEqual(['GET /keys'])
  })

  it('that begins to answer and stops fails at the deadline', async () => {
    server.answer((_, response) => void response.setHeader('content-type', 'application/json').write('{"keys":'))

    await expect(letDeadlinePass(post, arrived)).rejects.toMatchObject({ code: 'provider_unavailable' })
  })

  it('that hangs up in the middle of an answer has not answered', async () => {
    server.answer((_, response) => {
      response.setHeader('content-type', 'application/json').write('{"keys":', () => response.destroy())
    })

    await expect(post()).rejects.toMatchObject({ code: 'provider_unavailable' })
  })

  it('that hangs up before it answers receives a read a second time', async () => {
    let times = 0
    server.answer((_, response) => {
      if (++times === 1) response.destroy()
      else sendJson(response, { keys: [] })
    })

    await expect(get()).resolves.toMatchObject({ json: { keys: [] } })
    expect(server.requests).toEqual(['GET /keys', 'GET /keys'])
  })

  it('never receives a code twice, since the first one may have arrived', async () => {
    server.answer((_, response) => void response.destroy())

    await expect(post()).rejects.toMatchObject({ code: 'provider_unavailable' })

    expect(server.requests).toEqual(['POST /token'])
  })

  it('that does not listen is unavailable', async () => {
    const gone = await startSecureServer()
    await gone.close()

    await expect(network({ method: 'GET', url: gone.url })).rejects.toMatchObject({
      code: 'provider_unavailable',
      detail: 'ECONNREFUSED',
    })
  })
})

describe('the connection to the provider', () => {
  it('is https only', async () => {
    server.answer(good)

    const plain = network({ method: 'GET', url: `${server.url.replace('https:', 'http:')}/keys` })

    await expect(plain).rejects.toMatchObject({
      code: 'provider_unavailable',
      detail: 'http: is not https',
    })
    expect(server.requests).toEqual([])
    await expect(get()).resolves.toMatchObject({ status: 200 })
  })

  it('fails with a certificate of another name, or of an unknown authority', async () => {
    const otherName = await startSecureServer(await (await trustedAuthority()).issue(['login.example']))
    const unknown = await startSecureServer(await (await createCertificateAuthority()).issue(['localhost']))
    for (const one of [otherName, unknown, server]) one.answer(good)

    const refusal = { code: 'provider_unavailable', detail: 'ERR_TLS_CERT_ALTNAME_INVALID' }
    await expect(network({ method: 'GET', url: otherName.url })).rejects.toMatchObject(refusal)
    await expect(network({ method: 'GET', url: unknown.url })).rejects.toMatchObject({ code: 'provider_unavailable' })
    await expect(get()).resolves.toMatchObject({ status: 200 })

    expect([...otherName.requests, ...unknown.requests]).toEqual([])
    await Promise.all([otherName.close(), unknown.close()])
  })

  it('fails with a certificate that has expired', async () => {
    const yesterday = await startSecureServer(await selfSigned(-1))
    const tomorrow = await startSecureServer(await selfSigned(1))
    for (const one of [yesterday, tomorrow]) one.answer(good)

    const refusal = { code: 'provider_unavailable', detail: 'CERT_HAS_EXPIRED' }
    await expect(network({ method: 'GET', url: yesterday.url })).rejects.toMatchObject(refusal)
    await expect(network({ method: 'GET', url: tomorrow.url })).resolves.toMatchObject({ status: 200 })

    expect(yesterday.requests).toEqual([])
    await Promise.all([yesterday.close(), tomorrow.close()])
  })
})

/** A certificate for localhost that this process trusts directly, valid for the given number of days. */
async function selfSigned(days: number): Promise<TlsIdentity> {
  const day = 24 * 60 * 60 * 1000
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const der = await makeSelfSigned({
    publicKey,
    privateKey,
    subject: `CN=localhost, O=${days} days`,
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
    notBefore: new Date(Date.now() - 10 * day),
    notAfter: new Date(Date.now() + days * day),
  })
  const cert = new X509Certificate(der).toString()
  trust(cert)
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}
