import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { app, refresh, signInByCode } from '../setup/client.ts'
import { clockAhead } from '../setup/clock.ts'
import { mockProvider } from '../setup/mock-provider.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import { shopPage } from '../setup/person.ts'
import type { Call, Person, Reply } from '../setup/person.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const read = 'api://demo/orders.read'
/** Granted only by a sign-in that requests it. */
const bills = { name: 'bills', scopes: ['api://bills/read'] }

// An issuer with a slash at its end, as some have it.
const mock = mockProvider('/')
let stack: Stack
let provider: MockProvider
/** The time at which tokens of ten minutes have expired. */
let later: HostProcess
let person: Person
beforeAll(async () => {
  stack = await startStack({
    instances: 2,
    provider: mock.start,
    settings: { Broker__OfflineAccess: 'true' },
    frontEnds: [{ ...shop, apis: [...shop.apis, bills] }, app],
  })
  await warmUp(stack)
  provider = mock.get()
  later = await stack.startInstance(clockAhead(700))
})
beforeEach(() => {
  provider.reset()
  person = stack.person()
})
afterAll(() => stack.close())

const signIn = async () => {
  provider.behaviour.accessTokenSeconds = 600
  await person.signIn({ frontend: 'shop' })
  provider.resetRequests()
  stack.store.resetRequests()
}
/** Scopes that are at hand since the sign-in. */
const ask = (call?: Call): Promise<Reply> => person.sessionToken(shopPage, { api: 'orders' }, call)
/** Scopes that the provider has to grant first. */
const fetchAnew = (call?: Call): Promise<Reply> => person.sessionToken(shopPage, { api: 'orders', scope: read }, call)
const isSignedIn = async (at = stack.url) => (await person.script(shopPage, '/session', { at })).status === 200

describe('a provider without refresh tokens', () => {
  beforeEach(async () => {
    provider.behaviour.refreshTokens = false
    await signIn()
  })

  it('serves the token until it ends, then answers with sign_in_url, and the session stays', async () => {
    expect((await ask()).status).toBe(200)

    const over = await ask({ at: later.url })

    expect(over.status).toBe(403)
    expect(over.json).toMatchObject({ code: 'interaction_required' })
    expect(over.json.sign_in_url).toContain('/login?')
    expect(await isSignedIn(later.url)).toBe(true)
    expect(provider.asked('token')).toBe(0)
    // The next sign-in brings the next token.
    await person.signIn({ frontend: 'shop' }, undefined, { at: later.url })
    expect((await ask({ at: later.url })).status).toBe(200)
  })

  it('answers so at once for scopes without a token', async () => {
    expect((await fetchAnew()).json).toMatchObject({ code: 'interaction_required' })
    expect((await ask()).status).toBe(200)
  })
})

describe('a provider with refresh tokens for one use', () => {
  beforeEach(signIn)

  it('issues the next one with each, and none is lost', async () => {
    const tokens = new Set<unknown>()
    for (let i = 0; i < 3; i++) {
      // Its own clock is ahead, so that each answer is over at once.
      const { status, json } = await ask({ at: later.url })
      expect(status).toBe(200)
      tokens.add(json.access_token)
      provider.behaviour.accessTokenSeconds = 6
    }

    expect(provider.asked('token')).toBe(tokens.size)
    const sent = provider.requests.map(({ parameters }) => parameters.refresh_token)
    expect(new Set(sent).size).toBe(sent.length)
    expect((await fetchAnew()).status).toBe(200)
  })

  it('receives one request from two instances that renew at the same moment', async () => {
    provider.behaviour.refreshDelay = 200
    const [one, two] = stack.brokers

    const replies = await Promise.all(Array.from({ length: 10 }, (_, i) => fetchAnew({ at: (i % 2 ? one : two)!.url })))

    expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect(new Set(replies.map(({ json }) => json.access_token)).size).toBe(1)
    expect(provider.asked('token')).toBe(1)
    // No token was used twice, which would have ended the family.
    provider.behaviour.refreshDelay = 0
    expect((await ask({ at: later.url })).status).toBe(200)
  })

  it('costs one request to the provider and three to the store', async () => {
    await fetchAnew()

    expect(provider.requests.map(({ endpoint }) => endpoint)).toEqual(['token'])
    expect(stack.store.requests.map(({ operation }) => operation)).toEqual(['find', 'replace', 'replace'])
  })

  it('is sent what RFC 6749 and 7523 name, and no offline_access that was not granted', async () => {
    await fetchAnew()

    const { parameters } = provider.requests[0]!
    expect(Object.keys(parameters).sort()).toEqual([
      'client_assertion',
      'client_assertion_type',
      'client_id',
      'grant_type',
      'refresh_token',
      'scope',
    ])
    expect(parameters.scope?.split(' ').sort()).toEqual([read, 'offline_access', 'openid', 'profile'])
  })

  it('requires the person’s consent where scopes were never granted, and the session stays', async () => {
    const refused = await person.sessionToken(shopPage, { api: 'bills' })

    expect(refused.json).toMatchObject({ code: 'interaction_required' })
    expect(await isSignedIn()).toBe(true)
    await person.signIn({ frontend: 'shop', scope: 'api://bills/read' })
    expect((await person.sessionToken(shopPage, { api: 'bills' })).status).toBe(200)
  })

  it('serves an OAuth client by the same rotation', async () => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)

    const renewed = await refresh(stack.url, refreshToken, { scope: read })
    expect(renewed.status).toBe(200)
    const again = await refresh(stack.url, renewed.json.refresh_token as string, { scope: read })
    expect(again.status).toBe(200)
  })
})

describe('an ID token that comes with a refresh', () => {
  beforeEach(signIn)

  it.each<[string, Readonly<Record<string, unknown>>]>([
    ['sub', { sub: 'person-2' }],
    ['iss', { iss: 'https://login.example' }],
    ['aud', { aud: 'another-client' }],
  ])('with another %s is refused, and then the person renews the session by signing in', async (_, claims) => {
    provider.behaviour.refreshClaims = claims

    const refused = await fetchAnew()

    expect(refused.status).toBe(502)
    expect(refused.json).toMatchObject({ code: 'id_token_refused' })
    expect(await isSignedIn()).toBe(true)
    expect((await ask()).status).toBe(200)

    // The refresh token that speaks for another person is not used again.
    provider.resetRequests()
    const next = await fetchAnew()
    expect(next.status).toBe(403)
    expect(next.json).toMatchObject({ code: 'interaction_required', sign_in_url: expect.any(String) as string })
    expect(provider.asked('token')).toBe(0)
    provider.behaviour.refreshClaims = {}
    await signIn()
    expect((await fetchAnew()).status).toBe(200)
  })

  it('of the same person is accepted', async () => {
    provider.behaviour.refreshClaims = { name: 'Grace B. Hopper' }

    expect((await fetchAnew()).status).toBe(200)
  })
})

describe('a refresh token that the provider revokes', () => {
  it('is the only error that ends the session', async () => {
    await signIn()
    provider.behaviour.down = ['token']
    expect((await fetchAnew()).status).toBe(503)
    expect(await isSignedIn()).toBe(true)

    provider.behaviour.down = []
    provider.forgetGrants()
    expect((await fetchAnew()).status).toBe(401)
    expect(await isSignedIn()).toBe(false)
  })
})
