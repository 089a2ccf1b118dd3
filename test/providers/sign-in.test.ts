import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { clientId, mockProvider } from '../setup/mock-provider.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { expectBegun, expectPage } from '../setup/refusals.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const mock = mockProvider()
let stack: Stack
let provider: MockProvider
const instances: HostProcess[] = []
beforeAll(async () => {
  stack = await startStack({ provider: mock.start })
  provider = mock.get()
})
beforeEach(() => provider.reset())
afterEach(() => Promise.all(instances.splice(0).map((instance) => instance.close())))
afterAll(() => stack.close())

const returnUrl = 'http://localhost:3000/orders'
const query = { frontend: 'shop', return_url: returnUrl }
const lastOf = (endpoint: 'authorize' | 'token') => provider.requests.findLast((one) => one.endpoint === endpoint)!
/** Another instance, which has not read the metadata yet. @returns its address */
const coldInstance = async (settings: Readonly<Record<string, string>> = {}) => {
  const started = await stack.startInstance(settings)
  instances.push(started)
  provider.resetRequests()
  return started.url
}
const begins = async (at: string) => (await stack.person().begin(query, { at })).status === 303
const requestedScopes = async (at: string) =>
  expectBegun(await stack.person().begin(query, { at }))
    .get('scope')
    ?.split(' ')

describe('a sign-in at another provider', () => {
  it('signs a person in by issuer and subject, and by no other claim', async () => {
    provider.behaviour.person = { sub: 'person-1', name: 'Grace Hopper', oid: 'an-oid', tid: 'a-tid', upn: 'grace' }
    const person = stack.person()

    const done = await person.signIn(query)

    expect(done.location).toBe(returnUrl)
    const { json } = await person.script(shopPage, '/session')
    expect(json).toMatchObject({ subject: 'person-1', name: 'Grace Hopper', username: 'grace' })
    expect(json).not.toHaveProperty('object_id')
    expect(json).not.toHaveProperty('tenant_id')
  })

  it('reads names from userinfo where the ID token has none, and succeeds without them', async () => {
    const namesOf = async (person: Person) => {
      const { json } = await person.script(shopPage, '/session')
      return { subject: json.subject, name: json.name, username: json.username }
    }
    const signIn = async (userinfo: MockProvider['behaviour']['userinfo'], at: string) => {
      provider.behaviour.person = { sub: 'person-1' }
      provider.behaviour.userinfo = userinfo
      const person = stack.person()
      expect((await person.signIn(query, undefined, { at })).location).toBe(returnUrl)
      return namesOf(person)
    }
    const at = await coldInstance()

    expect(await signIn({ sub: 'person-1', name: 'Grace Hopper', preferred_username: 'grace' }, at)).toEqual({
      subject: 'person-1',
      name: 'Grace Hopper',
      username: 'grace',
    })
    // Core §5.3.2: of another person.
    expect(await signIn({ sub: 'person-2', name: 'Mallory' }, at)).toEqual({ subject: 'person-1' })
    expect(await signIn(undefined, at)).toEqual({ subject: 'person-1' })
    // A refusal concerns one access token. An endpoint that does not answer is not requested for a minute.
    expect((await signIn({ sub: 'person-1', name: 'Grace Hopper' }, at)).name).toBe('Grace Hopper')
    provider.behaviour.down = ['userinfo']
    expect(await signIn(undefined, at)).toEqual({ subject: 'person-1' })
    provider.behaviour.down = []
    provider.resetRequests()
    expect(await signIn({ sub: 'person-1', name: 'Grace Hopper' }, at)).toEqual({ subject: 'person-1' })
    expect(provider.asked('userinfo')).toBe(0)
  })

  it('reads claims of OpenID Connect’s scopes from userinfo where the ID token lacks them, and no roles', async () => {
    const claims = ['given_name', 'email', 'email_verified', 'roles']
    const at = await coldInstance({ Broker__FrontEnds: JSON.stringify([{ ...shop, claims }]) })
    const claimsAfter = async (idToken: object, userinfo: object) => {
      provider.behaviour.person = { sub: 'person-1', name: 'Grace Hopper', ...idToken }
      provider.behaviour.userinfo = { sub: 'person-1', ...userinfo }
      provider.resetRequests()
      const person = stack.person()
      await person.signIn(query, undefined, { at })
      return (await person.script(shopPage, '/session', { at })).json.claims
    }
    const names = { given_name: 'Grace', email: 'grace@example.com' }

    expect(await claimsAfter({}, { ...names, email_verified: 'true', roles: ['admin'] })).toEqual({
      ...names,
      email_verified: true,
    })
    expect(await claimsAfter({ given_name: 'G.', roles: ['user'] }, { ...names, roles: ['admin'] })).toEqual({
      ...names,
      given_name: 'G.',
      roles: ['user'],
    })
    // The person has confirmed an address of their own, and not the one that the ID token has.
    const ceo = { given_name: 'Grace', email: 'ceo@contoso.com' }
    expect(await claimsAfter(ceo, { ...names, email_verified: true })).toEqual(ceo)
    expect(await claimsAfter({}, { ...names, sub: 'person-2' })).toEqual({})
    expect(await claimsAfter({ ...names, email_verified: true }, {})).toEqual({ ...names, email_verified: true })
    expect(provider.asked('userinfo')).toBe(0)
  })

  it('goes on to the front end with a stale response, in a browser that is signed in', async () => {
    const person = stack.person()
    const stale = await person.atProvider((await person.begin(query)).location ?? '')
    await person.signIn(query)
    await person.callback(stale)
    const again = { ...stale, fields: { ...stale.fields, state: `${'x'.repeat(43)}.shop` } }

    const reply = await person.callback(again)

    expect(reply.status).toBe(303)
    expect(reply.location).toBe('http://localhost:3000/')
    expect(reply.cookies).toEqual([])
    expectPage(await stack.person().callback(again), 'sign_in_unknown')
  })

  it('shows another site’s page nothing of a session: a made-up state is answered alike with and without one', async () => {
    const person = stack.person()
    await person.signIn(query)
    const path = `/callback?${new URLSearchParams({ code: 'c', state: `${'x'.repeat(43)}.shop` }).toString()}`
    const followed = (by: Person) => by.open(path, { headers: { 'sec-fetch-site': 'cross-site' } })

    const [signedIn, unknown] = [await followed(person), await followed(stack.person())]

    for (const reply of [signedIn, unknown]) expectPage(reply, 'sign_in_unknown')
    const withoutReference = ({ text }: Reply) => text.replace(/Reference: \w+/, '')
    expect(withoutReference(signedIn)).toBe(withoutReference(unknown))
    expect(signedIn.text).toContain('http://localhost:3000/')
    expect((await person.open(path, { headers: { 'sec-fetch-site': 'none' } })).location).toBe('http://localhost:3000/')
  })

  it('costs one request to the provider and two to the store', async () => {
    await stack.person().signIn(query)
    await warmUp(stack, stack.brokers.slice(0, 1))
    const person = stack.person()
    const answer = await person.atProvider((await person.begin(query)).location ?? '')
    provider.resetRequests()
    stack.store.resetRequests()

    await person.callback(answer)

    expect(provider.requests.map(({ endpoint }) => endpoint)).toEqual(['token'])
    expect(stack.store.requests.map(({ operation }) => operation)).toEqual(['insert', 'insert'])
  })

  it('sends what RFC 6749, 7636, 7523 and OpenID Connect name, and no other parameter', async () => {
    await stack.person().signIn(query)

    const requested = Object.keys(lastOf('authorize').parameters).sort()
    expect(requested).toEqual([
      'client_id',
      'code_challenge',
      'code_challenge_method',
      'nonce',
      'redirect_uri',
      'response_mode',
      'response_type',
      'scope',
      'state',
    ])
    const sent = lastOf('token').parameters
    const redeemed = Object.keys(sent).sort()
    expect(redeemed).toEqual([
      'client_assertion',
      'client_assertion_type',
      'client_id',
      'code',
      'code_verifier',
      'grant_type',
      'redirect_uri',
    ])
    for (const secret of ['code', 'code_verifier', 'client_assertion']) {
      expect(stack.log()).not.toContain(sent[secret])
    }
  })

  it('is refused where the ID token is for another application', async () => {
    provider.behaviour.person = { sub: 'person-1', aud: 'another' }
    expectPage(await stack.person().signIn(query), 'id_token_refused')

    provider.behaviour.person = { sub: 'person-1' }
    expect((await stack.person().signIn(query)).location).toBe(returnUrl)
  })

  it('accepts ID tokens that are signed by PS256, ES384, ES512 and EdDSA', async () => {
    const algorithms = ['PS256', 'ES384', 'ES512', 'EdDSA']
    provider.behaviour.metadata = { id_token_signing_alg_values_supported: algorithms }
    const at = await coldInstance()

    for (const algorithm of algorithms) {
      await provider.rotateKeys(algorithm)
      expect((await stack.person().signIn(query, undefined, { at })).location, algorithm).toBe(returnUrl)
    }
    await provider.rotateKeys()
  })
})

describe('a client assertion for another provider', () => {
  it('names the issuer alone, and its key as the published keys do', async () => {
    await stack.person().signIn(query)

    const { header, claims } = lastOf('token').assertion!
    expect(claims).toMatchObject({ iss: clientId, sub: clientId, aud: provider.issuer })
    expect(Number(claims.exp) - Number(claims.iat)).toBe(120)
    const published = await stack.person().open('/.well-known/jwks.json')
    expect(published.headers.get('content-type')).toBe('application/json')
    expect(published.json).toMatchObject({ keys: [{ kid: header.kid, 'x5t#S256': header['x5t#S256'] }] })
  })

  it('is a new one each time, for a provider that accepts each once', async () => {
    for (let i = 0; i < 3; i++) expect((await stack.person().signIn(query)).location).toBe(returnUrl)
    const jtis = provider.requests.flatMap(({ assertion }) => (assertion ? [assertion.claims.jti] : []))
    expect(new Set(jtis).size).toBe(3)

    // An instance with the setting that sends them again.
    const at = await coldInstance({ Broker__AssertionReuse: 'true' })
    expect((await stack.person().signIn(query, undefined, { at })).location).toBe(returnUrl)
    expectPage(await stack.person().signIn(query, undefined, { at }), 'client_refused')
  })

  it('has the audience and the type of the settings, where the provider accepts no other ones', async () => {
    const [audience, typ] = [`${provider.issuer}/token`, 'client-authentication+jwt']
    for (const required of [{ audience }, { typ }]) {
      provider.behaviour.assertion = required
      expectPage(await stack.person().signIn(query), 'client_refused')
    }

    provider.behaviour.assertion = { audience, typ }
    const at = await coldInstance({ Broker__AssertionAudience: audience, Broker__AssertionType: typ })
    expect((await stack.person().signIn(query, undefined, { at })).location).toBe(returnUrl)
  })

  it('names no key where a setting requires it, and is valid for five minutes at most where it is sent again', async () => {
    const at = await coldInstance({ Broker__AssertionKeyId: 'false', Broker__AssertionReuse: 'true' })
    expect((await stack.person().signIn(query, undefined, { at })).location).toBe(returnUrl)

    const { header, claims } = lastOf('token').assertion!
    expect(Object.keys(header).sort()).toEqual(['alg', 'typ', 'x5t#S256'])
    expect(Number(claims.exp) - Number(claims.iat)).toBe(300)
  })

  const algorithms = 'token_endpoint_auth_signing_alg_values_supported'
  it.each<[string, readonly string[] | undefined, Readonly<Record<string, string>>, string]>([
    ['RS256 where it is the only accepted one', ['RS256'], {}, 'RS256'],
    ['PS256 where both are', ['RS256', 'PS256'], {}, 'PS256'],
    ['PS256 without a list', undefined, {}, 'PS256'],
    ['the algorithm of a setting', undefined, { Broker__AssertionAlgorithm: 'RS256' }, 'RS256'],
  ])('is signed by %s', async (_, taken, settings, algorithm) => {
    provider.behaviour.metadata = { [algorithms]: taken }
    provider.behaviour.assertion = { algorithms: [algorithm] }

    const at = await coldInstance(settings)

    expect((await stack.person().signIn(query, undefined, { at })).location).toBe(returnUrl)
    expect(lastOf('token').assertion?.header.alg).toBe(algorithm)
  })
})

describe('a feature that a provider does not offer', () => {
  it.each<[string, Readonly<Record<string, unknown>>, Readonly<Record<string, string>>]>([
    ['form_post', {}, { Broker__ResponseMode: 'form_post' }],
    ['codes', { response_types_supported: ['id_token'] }, {}],
  ])('%s is reported before a person is sent there, and ready is red', async (_, metadata, settings) => {
    provider.behaviour.metadata = metadata
    const at = await coldInstance(settings)

    expectPage(await stack.person().begin(query, { at }), 'provider_unsuitable')
    const ready = await stack.person().open('/health/ready', { at })
    expect([ready.status, ready.text]).toEqual([503, 'provider'])
    expect(await begins(stack.url)).toBe(true)
  })

  it('is not requested: form_post where it is listed, and query only by a setting', async () => {
    provider.behaviour.metadata = { response_modes_supported: ['query', 'form_post'] }
    const modeAt = async (settings: Readonly<Record<string, string>>) => {
      const begun = await stack.person().begin(query, { at: await coldInstance(settings) })
      return expectBegun(begun).get('response_mode')
    }

    expect(await modeAt({ Broker__ResponseMode: 'form_post' })).toBe('form_post')
    expect(await modeAt({})).toBe('query')
  })

  it('is not requested: offline_access only where it is listed, or by a setting', async () => {
    expect(await requestedScopes(stack.url)).not.toContain('offline_access')
    expect(await requestedScopes(await coldInstance({ Broker__OfflineAccess: 'true' }))).toContain('offline_access')

    provider.behaviour.metadata = { scopes_supported: ['openid', 'offline_access'] }
    const requested = await requestedScopes(await coldInstance())
    expect(requested).toEqual(expect.arrayContaining(['openid', 'profile', 'offline_access']))
  })
})
