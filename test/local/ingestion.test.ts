/** The local ingestion endpoint, called as the exporter does, and by callers that it must reject. */
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ingestionAudience, startIngestion } from '../../local/ingestion/ingestion.ts'
import type { Ingestion, IngestionFault } from '../../local/ingestion/ingestion.ts'
import { createAccessTokenIssuer } from '../../local/managed-identity/access-tokens.ts'
import type { AccessTokenIssuer } from '../../local/managed-identity/access-tokens.ts'
import { localIdentity } from '../../local/managed-identity/managed-identity.ts'
import { trustedAuthority } from '../setup/secure-server.ts'

let [ingestion, issuer] = [] as unknown as [Ingestion, AccessTokenIssuer]
beforeAll(async () => {
  issuer = await createAccessTokenIssuer()
  ingestion = await start()
})
afterEach(() => ingestion.clear())
afterAll(() => ingestion.close())

async function start(options: { mostItems?: number } = {}): Promise<Ingestion> {
  return await startIngestion({
    port: 0,
    tls: await (await trustedAuthority()).issue(['localhost']),
    verifyAccessToken: issuer.verifyAccessToken,
    publishers: [localIdentity.clientId],
    ...options,
  })
}

interface Post {
  readonly body?: string | Buffer
  /** undefined sends no token. */
  readonly token?: string | undefined
  readonly headers?: Record<string, string>
  readonly to?: Ingestion
  readonly scheme?: 'http' | 'https'
  readonly path?: string
}

const tokenFor = async (audience = ingestionAudience, identity = localIdentity, lifetimeSeconds = 60) =>
  (await issuer.issueAccessToken({ ...identity, audience, lifetimeSeconds })).token

async function post({ body = JSON.stringify([event('a')]), headers = {}, ...rest }: Post = {}): Promise<Response> {
  const { to = ingestion, scheme = 'https', path = '/v2.1/track' } = rest
  const token = 'token' in rest ? rest.token : await tokenFor()
  return await fetch(`${scheme}://${new URL(to.url).host}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: typeof body === 'string' ? body : new Uint8Array(body),
  })
}

const operation = '0af7651916cd43dd8448eb211c80319c'
const envelope = (baseType: string, baseData: object, tags: object = {}, iKey?: string) => ({
  ver: 1,
  name: 'Microsoft.ApplicationInsights.Something',
  time: '2026-11-25T02:28:53.060Z',
  sampleRate: 100,
  iKey: iKey ?? ingestion.instrumentationKey,
  tags: { 'ai.operation.id': operation, 'ai.cloud.role': 'broker', ...tags },
  data: { baseType, baseData: { ver: 2, ...baseData } },
})
const event = (name: string, properties: Record<string, string> = {}, parent = 'b7ad6b7169203331') =>
  envelope('EventData', { name, properties }, { 'ai.operation.parentId': parent })
const span = (id: string, parent: string) =>
  envelope(
    'RemoteDependencyData',
    { id, name: 'redeem', target: 'login', duration: '1.00:00:01.5004000', success: false, resultCode: '400' },
    { 'ai.operation.parentId': parent },
  )

describe('a report that the endpoint accepts', () => {
  it('is a JSON array or one envelope per line, with and without gzip', async () => {
    const [array, lines] = [
      JSON.stringify([event('a'), event('b')]),
      `${JSON.stringify(event('c'))}\n${JSON.stringify(event('d'))}\n`,
    ]
    const zipped = { 'content-encoding': 'gzip' }

    const answers = [
      await post({ body: array }),
      await post({ body: lines, headers: { 'content-type': 'application/x-json-stream' } }),
      await post({ body: gzipSync(array), headers: zipped }),
      await post({ body: gzipSync(lines), headers: zipped, path: '/v2/track' }),
    ]

    const two = { itemsReceived: 2, itemsAccepted: 2, errors: [] }
    expect(await Promise.all(answers.map((answer) => answer.json()))).toEqual([two, two, two, two])
    expect(ingestion.received().map(({ name }) => name)).toEqual(['a', 'b', 'c', 'd', 'a', 'b', 'c', 'd'])
    expect(ingestion.rawBodies.map(String)).toEqual([array, lines, array, lines])
    expect(ingestion.requests.map(({ caller, accepted, status }) => [caller, accepted, status])).toEqual(
      Array(4).fill([localIdentity.clientId, 2, 200]),
    )
  })

  it('is parsed by its type: spans, events, traces, exceptions and metrics', async () => {
    const exceptions = [{ typeName: 'RangeError', message: 'too far', stack: '' }]
    const metrics = [{ name: 'vault.calls', value: 3, count: 1 }]
    await post({
      body: JSON.stringify([
        span('969ae12d06a82718', 'b7ad6b7169203331'),
        event('started', { frontEnd: 'shop' }),
        envelope('MessageData', { message: 'a line', severityLevel: 'Warning' }),
        envelope('ExceptionData', { exceptions }),
        envelope('MetricData', { metrics, properties: { frontEnd: 'shop' } }),
      ]),
    })

    expect(ingestion.received()).toMatchObject([
      {
        ...{ type: 'span', kind: 'dependency', name: 'redeem', target: 'login', success: false, resultCode: '400' },
        ...{ operationId: operation, parentId: 'b7ad6b7169203331', id: '969ae12d06a82718', duration: 86_401_500.4 },
      },
      { type: 'event', name: 'started', role: 'broker', properties: { frontEnd: 'shop' } },
      { type: 'trace', name: 'a line', severity: 'Warning' },
      { type: 'exception', name: 'RangeError: too far' },
      { type: 'metric', name: 'vault.calls', value: 3, count: 1, properties: { frontEnd: 'shop' } },
    ])
  })
})

describe('a report that the endpoint rejects', () => {
  const other = { ...localIdentity, clientId: '77777777-7777-4777-8777-777777777777' }

  it.each<[string, () => Promise<Post>, number]>([
    ['a post without a token', () => Promise.resolve({ token: undefined }), 401],
    ['a token for another resource', async () => ({ token: await tokenFor('https://vault.azure.net') }), 401],
    ['a token that has expired', async () => ({ token: await tokenFor(ingestionAudience, localIdentity, -60) }), 401],
    ['an identity without the role', async () => ({ token: await tokenFor(ingestionAudience, other) }), 403],
    ['a token over http', () => Promise.resolve({ scheme: 'http' }), 400],
    ['an empty post', () => Promise.resolve({ body: '' }), 400],
    ['a body that is no envelope', () => Promise.resolve({ body: '[{"name":"a"}]' }), 400],
    ['an invalid gzip body', () => Promise.resolve({ headers: { 'content-encoding': 'gzip' } }), 400],
    ['another encoding', () => Promise.resolve({ headers: { 'content-encoding': 'br' } }), 415],
    ['another path, live metrics among them', () => Promise.resolve({ path: '/QuickPulseService.svc/ping' }), 404],
  ])('is %s', async (_, refused, status) => {
    const answer = await post(await refused())

    expect(answer.status).toBe(status)
    expect(await answer.json()).toMatchObject({ itemsAccepted: 0 })
    expect(ingestion.received()).toEqual([])
    expect((await post()).status).toBe(200)
    expect(ingestion.requests.map((request) => request.status)).toEqual([status, 200])
  })

  it('is only the item with another instrumentation key, and not its neighbour', async () => {
    const foreign = envelope('EventData', { name: 'b' }, {}, '88888888-8888-4888-8888-888888888888')

    const answer = await post({ body: JSON.stringify([event('a'), foreign]) })

    expect(answer.status).toBe(206)
    expect(await answer.json()).toEqual({
      itemsReceived: 2,
      itemsAccepted: 1,
      errors: [{ index: 1, statusCode: 400, message: 'Invalid instrumentation key' }],
    })
    expect(ingestion.received().map(({ name }) => name)).toEqual(['a'])
    expect((await post({ body: JSON.stringify([foreign]) })).status).toBe(400)
  })

  it('is still kept for a search, in its original form', async () => {
    await post({ token: undefined, body: 'anything' })

    expect(ingestion.rawBodies.map(String)).toEqual(['anything'])
  })
})

describe('a fault', () => {
  it.each([429, 439, 500, 503])('answers %i, with Retry-After if set, until its count is used up', async (status) => {
    ingestion.faults.add({ status, retryAfterSeconds: 7, times: 1 })

    const [refused, next] = [await post(), await post()]

    expect([refused.status, refused.headers.get('retry-after'), next.status]).toEqual([status, '7', 200])
    expect(ingestion.received()).toHaveLength(1)
  })

  it.each<[string, IngestionFault, number]>([
    ['ends the connection', { dropConnection: true, times: 1 }, 0],
    ['loses the answer of an accepted report', { loseAnswer: true, times: 1 }, 1],
  ])('%s', async (_, fault, kept) => {
    ingestion.faults.add(fault)

    await expect(post()).rejects.toThrow('fetch failed')

    expect(ingestion.received()).toHaveLength(kept)
    expect((await post()).status).toBe(200)
  })

  it('accepts the first item and rejects the others', async () => {
    ingestion.faults.add({ refuseItems: 429, times: 1 })

    const answer = await post({ body: JSON.stringify([event('a'), event('b'), event('c')]) })

    expect(answer.status).toBe(206)
    expect(await answer.json()).toMatchObject({
      itemsAccepted: 1,
      errors: [
        { index: 1, statusCode: 429 },
        { index: 2, statusCode: 429 },
      ],
    })
  })

  it('hangs, and the end of the endpoint releases every waiting caller', async () => {
    const endpoint = await start()
    endpoint.faults.add({ hang: true })
    const waiting = expect(post({ to: endpoint })).rejects.toThrow('fetch failed')
    await expect.poll(() => endpoint.rawBodies.length).toBe(1)

    await endpoint.close()

    await waiting
  })

  it('rejects every connection until it listens again, on the same port', async () => {
    await ingestion.stopListening()
    onTestFinished(() => ingestion.startListening())
    await expect(post()).rejects.toMatchObject({ cause: { code: 'ECONNREFUSED' } })

    await ingestion.startListening()

    expect((await post()).status).toBe(200)
  })
})

describe('the items that the endpoint keeps', () => {
  it('are the newest, with the number of removed ones', async () => {
    const endpoint = await start({ mostItems: 3 })
    onTestFinished(() => endpoint.close())

    await post({ to: endpoint, body: JSON.stringify(['a', 'b', 'c', 'd', 'e'].map((name) => event(name))) })

    expect(endpoint.received().map(({ name }) => name)).toEqual(['c', 'd', 'e'])
    expect(endpoint.dropped).toEqual({ items: 2, bodies: 0 })
    expect(await (await fetch(endpoint.url)).text()).toContain('2 older ones are gone')
  })

  it('are shown to a person as a tree: newest operation first, escaped, without a script', async () => {
    const later = { ...event('later'), time: '2026-11-25T03:00:00.000Z' }
    later.tags['ai.operation.id'] = 'f'.repeat(32)
    const evil = event('<script>alert(1)</script>', { '"><img src=x>': '<b>&' }, '969ae12d06a82718')
    const metric = envelope('MetricData', { metrics: [{ name: 'vault.calls', value: 3 }] })
    await post({ body: JSON.stringify([evil, span('969ae12d06a82718', 'b7ad6b7169203331'), metric, metric, later]) })

    const answer = await fetch(ingestion.url)
    const page = (await answer.text()).replace(/\s+/g, ' ')

    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-[^']+';/)
    expect(page).not.toMatch(/<script|<img|<b>/)
    expect(page).toMatch(/>f{32}<.*>0af7651916cd43dd8448eb211c80319c</)
    expect(page).toMatch(
      /<li>.{0,50}dependency.{0,50}<strong>redeem<.{0,200}<ul> <li>.{0,50}event.{0,50}&#60;script&#62;/,
    )
    expect(page).toMatch(/vault\.calls.*<td class="number">3<\/td> <td class="number">6<\/td>/)
  })

  it('are folded if they belong to no step, and ages are not added up', async () => {
    const alone = span('c', 'd')
    alone.tags['ai.operation.id'] = 'e'.repeat(32)
    const age = envelope('MetricData', { metrics: [{ name: 'broker.assertion.age_seconds', value: 57 }] })
    await post({ body: JSON.stringify([event('broker.token'), span('a', 'b'), alone, age, age]) })

    const page = (await (await fetch(ingestion.url)).text()).replace(/\s+/g, ' ')

    expect(page).toMatch(/<h3>token<\/h3>.*>0af7651916cd43dd8448eb211c80319c<.*<details>.*>e{32}<.*<\/details>/)
    expect(page).toMatch(/age_seconds.*<td class="number">57<\/td> <td class="number"><\/td>/)
  })

  it('are shown once, even if they are their own parent or the parent of their parent', async () => {
    await post({ body: JSON.stringify([span('a', 'a'), span('b', 'c'), span('c', 'b')]) })

    const page = await (await fetch(ingestion.url)).text()

    expect(page.match(/<strong>redeem</g)).toHaveLength(3)
  })

  it('are returned to programs as JSON, on request for one operation only', async () => {
    const elsewhere = event('elsewhere')
    elsewhere.tags['ai.operation.id'] = 'f'.repeat(32)
    await post({ body: JSON.stringify([event('here'), elsewhere]) })
    const items = async (query: string) =>
      (await (await fetch(`${ingestion.url}/items${query}`)).json()) as { name: string }[]

    expect((await items('')).map(({ name }) => name)).toEqual(['here', 'elsewhere'])
    expect((await items(`?operation=${operation}`)).map(({ name }) => name)).toEqual(['here'])
    expect(await items('?operation=unknown')).toEqual([])
  })
})
