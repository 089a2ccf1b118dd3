/** Several identity providers at once: the local one as the primary, and two with other software beside it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { besideProviders } from '../setup/beside-providers.ts'
import { authorizationRequest, newPkce, ordersRead, redeem, refresh } from '../setup/client.ts'
import type { Pkce } from '../setup/client.ts'
import { clientId } from '../setup/mock-provider.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import type { Person } from '../setup/person.ts'
import { logged } from '../certificate/rolling.ts'
import { expectBegun, expectNothingBegun, expectPage, expectSafeHeaders, linksOf } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const orders = { name: 'orders', scopes: [ordersRead] }
const shop: Registration = {
  id: 'shop',
  origins: ['http://localhost:3000'],
  providers: ['primary', 'partner', 'guests'],
  claims: ['roles', 'department'],
  apis: [orders],
}
const staffOnly: Registration = { id: 'staff-only', origins: ['http://localhost:4200'], apis: [orders] }
const partnerOnly: Registration = { ...staffOnly, id: 'partner-only', providers: ['partner'] }
const client: Registration = {
  id: 'client',
  kind: 'oauth',
  origins: ['http://127.0.0.1:5173'],
  redirectUris: ['http://127.0.0.1:5173/callback'],
  signedOutUrls: ['http://127.0.0.1:5173/'],
  providers: ['primary', 'partner', 'guests'],
  apis: [orders],
}
const everywhere: Registration = { ...client, id: 'everywhere', singleSignOn: true, providers: ['partner', 'primary'] }
const guestsClient: Registration = { ...everywhere, id: 'guests-client', providers: ['guests', 'primary'] }
const frontEnds = [shop, staffOnly, partnerOnly, client, everywhere, guestsClient]

const beside = besideProviders({
  partner: { domains: ['partner.example'], claims: ['department'], offlineAccess: true },
  guests: {
    name: 'Guests & <others>',
    scopes: { [ordersRead]: 'orders-read' },
    offlineAccess: true,
    openIdScopes: ['openid', 'email'],
  },
})
let stack: Stack
let partner: MockProvider
let guests: MockProvider
const instances: HostProcess[] = []
beforeAll(async () => {
  stack = await startStack({ frontEnds, provider: beside.start })
  await warmUp(stack)
  partner = beside.get('partner')
  guests = beside.get('guests')
})
beforeEach(() => {
  partner.reset()
  guests.reset()
})
afterEach(() => Promise.all(instances.splice(0).map((instance) => instance.close())))
afterAll(() => stack.close())

const returnUrl = 'http://localhost:3000/orders?a=1#part'
const query = { frontend: 'shop', return_url: returnUrl }
const page = { id: 'shop', origin: 'http://localhost:3000' }
const originOf = (location: string | null) => new URL(location ?? '').origin
const browserOriginOf = ({ issuer }: MockProvider) => `http://127.0.0.1:${new URL(issuer).port}`
const sessionOf = async (person: Person) => (await person.script(page, '/session')).json
const anotherInstance = async (settings: Readonly<Record<string, string>> = {}) => {
  const started = await stack.startInstance(settings)
  instances.push(started)
  return started.url
}

describe('the page on which a person chooses', () => {
  it('names the providers of the front end in its order, starts no sign-in, and has no script and no form', async () => {
    const reply = await stack.person().begin(query)

    expect(reply.status).toBe(200)
    expectSafeHeaders(reply)
    expect(reply.headers.get('content-security-policy')).toContain("form-action 'none'")
    expect(reply.cookies).toEqual([])
    expect(reply.text).not.toMatch(/<script|<form|<others>/)
    expect([...reply.text.matchAll(/<a [^>]*>([^<]*)<\/a>/g)].map(([, text]) => text)).toEqual([
      'Microsoft',
      'People of partner',
      'Guests &#38; &#60;others&#62;',
    ])
    expect(partner.requests).toEqual([])
  })

  it.each([
    ['primary', () => stack.identityProvider.browserUrl],
    ['partner', () => browserOriginOf(partner)],
    ['guests', () => browserOriginOf(guests)],
  ])('leads to the provider %s with everything that the front end requested', async (id, origin) => {
    const person = stack.person()
    const requested = { ...query, login_hint: 'ada@nowhere.example', ui_locales: 'de en', prompt: 'login' }
    const link = linksOf(await person.begin(requested)).find((one) => one.endsWith(`provider=${id}`))!

    const begun = await person.open(link.slice(stack.url.length))

    expect(originOf(begun.location)).toBe(origin())
    const sent = expectBegun(begun)
    expect(Object.fromEntries(sent)).toMatchObject({
      login_hint: 'ada@nowhere.example',
      ui_locales: 'de en',
      prompt: 'login',
      redirect_uri: `${stack.url}/callback${id === 'primary' ? '' : `/${id}`}`,
    })
    expect((await person.callback(await person.atProvider(begun.location!))).location).toBe(returnUrl)
  })

  it('is not shown for a faulty request, or for a front end with one provider', async () => {
    expectNothingBegun(
      await stack.person().begin({ ...query, return_url: 'https://evil.example/' }),
      'return_url_not_registered',
    )
    expect(originOf((await stack.person().begin({ frontend: 'staff-only' })).location)).toBe(
      stack.identityProvider.browserUrl,
    )
    expect(originOf((await stack.person().begin({ frontend: 'partner-only' })).location)).toBe(browserOriginOf(partner))
  })
})

describe('a provider', () => {
  it('is chosen by the parameter, where the front end accepts that provider', async () => {
    const at = async (frontend: string, provider: string) => stack.person().begin({ frontend, provider })

    expect(originOf((await at('shop', 'guests')).location)).toBe(browserOriginOf(guests))
    expect(originOf((await at('staff-only', 'primary')).location)).toBe(stack.identityProvider.browserUrl)
    for (const [frontend, provider] of [
      ['staff-only', 'partner'],
      ['partner-only', 'primary'],
      ['shop', 'nowhere'],
      ['shop', ''],
    ] as const) {
      expectNothingBegun(await at(frontend, provider), 'provider_not_accepted')
    }
    expectNothingBegun(await at('shop', '<script>alert(1)</script>'.padEnd(40)), 'parameter_invalid')
  })

  it('is chosen by the domain of a hint', async () => {
    const begun = await stack.person().begin({ ...query, login_hint: 'grace@partner.example' })

    expect(originOf(begun.location)).toBe(browserOriginOf(partner))
    expect(expectBegun(begun).get('login_hint')).toBe('grace@partner.example')
    expect((await stack.person().begin({ ...query, domain_hint: 'partner.example.evil.example' })).status).toBe(200)
  })
})

describe('a sign-in that a provider starts', () => {
  const initiated = (more: Readonly<Record<string, string>> = {}) =>
    new URLSearchParams({ iss: partner.issuer, target_link_uri: returnUrl, ...more })
  const follow = (person: Person, reply: { readonly location: string | null }, headers = {}) => {
    expect(reply.location).toMatch(`${stack.url}/login?`)
    return person.open(reply.location!.slice(stack.url.length), { headers })
  }

  it('goes to that provider as by a link to /login, with the hint, and ends at the page that the provider names', async () => {
    const person = stack.person()

    const reply = await person.begin(initiated({ login_hint: 'ada@nowhere.example', lti_message_hint: 'x' }))
    expect([reply.status, reply.cookies]).toEqual([303, []])
    expect(partner.requests).toEqual([])
    const begun = await follow(person, reply)

    expect(originOf(begun.location)).toBe(browserOriginOf(partner))
    expect(expectBegun(begun).get('login_hint')).toBe('ada@nowhere.example')
    expect((await person.callback(await person.atProvider(begun.location!))).location).toBe(returnUrl)
    expect(await sessionOf(person)).toMatchObject({ provider: 'partner' })
  })

  it('may be posted by its page, to an address with a query', async () => {
    const person = stack.person()
    const post = { method: 'POST', headers: { origin: 'https://dashboard.partner.example' } }

    const posted = await person.call('/login?frontend=shop&ui_locales=de', {
      ...post,
      body: new URLSearchParams({ iss: partner.issuer, login_hint: 'ada' }),
    })
    expect([posted.status, posted.cookies]).toEqual([303, []])
    const begun = await follow(person, await follow(person, posted))

    expect(originOf(begun.location)).toBe(browserOriginOf(partner))
    expect(Object.fromEntries(expectBegun(begun))).toMatchObject({ login_hint: 'ada', ui_locales: 'de' })
    // An ID token is no sign-in, whoever posts it.
    expectNothingBegun(
      await person.call('/login?frontend=shop', { ...post, body: new URLSearchParams({ id_token: 'eyJ' }) }),
      'method_not_allowed',
    )
  })

  it.each(['https://evil.example/', 'http://localhost:3000@evil.example/', 'http://localhost:4200/', '//evil.example'])(
    'does not end at the page %s',
    async (target_link_uri) => {
      const person = stack.person()

      const refused = await follow(person, await person.begin(initiated({ frontend: 'shop', target_link_uri })))

      expect(refused.status).toBe(400)
      expect(refused.cookies).toEqual([])
      expect(refused.text).not.toContain('evil.example')
      // The way on keeps the provider.
      const [again] = linksOf(refused)
      expect(again).toBe(`${stack.url}/login?frontend=shop&provider=partner`)
      expect(originOf((await person.open(again!.slice(stack.url.length))).location)).toBe(browserOriginOf(partner))
    },
  )

  it('by an issuer of no provider, or of one that the front end does not accept, is refused with a link', async () => {
    const person = stack.person()
    for (const iss of ['https://evil.example', `${partner.issuer}/`, partner.issuer.toUpperCase()]) {
      const refused = await person.begin(initiated({ iss }))

      expectNothingBegun(refused, 'provider_not_accepted')
      expect(refused.text).not.toContain('evil.example')
      expect(linksOf(refused)).toEqual([
        `${stack.url}/login?${new URLSearchParams({ frontend: 'shop', return_url: returnUrl }).toString()}`,
        returnUrl,
      ])
    }
    expect(partner.requests).toEqual([])
    const other = initiated({ frontend: 'staff-only', target_link_uri: 'http://localhost:4200/' })
    expectNothingBegun(await follow(person, await person.begin(other)), 'provider_not_accepted')
  })

  it('at an OAuth client leads to its page, which starts its own sign-in', async () => {
    const refused = await stack.person().begin({ iss: partner.issuer, frontend: 'client' })

    expectNothingBegun(refused, 'front_end_kind_mismatch')
    expect(linksOf(refused)).toEqual(['http://127.0.0.1:5173/'])
  })

  it('starts in no frame, by no fetch, and by no prefetch', async () => {
    const person = stack.person()
    const reply = await person.begin(initiated())
    for (const dest of ['iframe', 'image', 'empty']) {
      expectNothingBegun(await follow(person, reply, { 'sec-fetch-dest': dest }), 'login_required')
    }
    const path = `/login?${initiated().toString()}`
    expectNothingBegun(await person.open(path, { headers: { 'sec-purpose': 'prefetch' } }), 'prefetch_refused')
    expect((await person.call(path, { method: 'HEAD' })).status).toBe(204)
  })

  it('keeps a session until it has succeeded', async () => {
    const person = stack.person()
    await person.signIn({ ...query, provider: 'guests' })

    await follow(person, await person.begin(initiated()))

    expect((await sessionOf(person)).provider).toBe('guests')
  })
})

describe('a sign-in that fails', () => {
  it('can be tried again at the same provider, with everything that the front end requested', async () => {
    const person = stack.person()
    const requested = { ...query, provider: 'partner', ui_locales: 'de', prompt: 'login', max_age: '600' }
    const begun = await person.begin(requested)
    const state = expectBegun(begun).get('state')!

    const failed = await person.callback({
      mode: 'form_post',
      fields: { state, error: 'temporarily_unavailable', iss: partner.issuer },
      url: `${stack.url}/callback/partner`,
    })

    const [again, back] = linksOf(failed)
    expect([failed.status, back]).toEqual([503, returnUrl])
    expect(Object.fromEntries(new URL(again!).searchParams)).toEqual(requested)
    const sent = expectBegun(await person.open(again!.slice(stack.url.length)))
    expect(Object.fromEntries(sent)).toMatchObject({ ui_locales: 'de', prompt: 'login', max_age: '600' })
  })

  it('names its provider also where the domain of the person chose it', async () => {
    const person = stack.person()
    const begun = await person.begin({ ...query, domain_hint: 'partner.example' })

    const failed = await person.callback({
      mode: 'form_post',
      fields: { state: expectBegun(begun).get('state')!, error: 'access_denied', iss: partner.issuer },
      url: `${stack.url}/callback/partner`,
    })

    expect(Object.fromEntries(new URL(linksOf(failed)[0]!).searchParams)).toEqual({
      ...query,
      provider: 'partner',
      domain_hint: 'partner.example',
    })
  })
})

describe('people of different providers', () => {
  it('have different subjects, also where the providers name the same one', async () => {
    const signedIn = async (provider: string) => {
      const person = stack.person()
      await person.signIn({ ...query, provider })
      return sessionOf(person)
    }
    partner.behaviour.person = { sub: 'same', name: 'Grace Hopper' }
    guests.behaviour.person = { sub: 'same', name: 'Grace Hopper' }

    const [atPartner, atGuests, atPrimary] = [
      await signedIn('partner'),
      await signedIn('guests'),
      await signedIn('primary'),
    ]

    expect(atPartner).toMatchObject({ provider: 'partner', name: 'Grace Hopper' })
    expect(atGuests).toMatchObject({ provider: 'guests' })
    expect(atPrimary).not.toHaveProperty('provider')
    expect(new Set([atPartner.subject, atGuests.subject, 'same']).size).toBe(3)
    expect((await signedIn('partner')).subject).toBe(atPartner.subject)
    // A provider that signs in a person under the subject of another one's person.
    guests.behaviour.person = { sub: String(atPrimary.subject) }
    expect((await signedIn('guests')).subject).not.toBe(atPrimary.subject)
  })

  it('have the registered claims and the addresses that their provider may set', async () => {
    const claims = { roles: ['admin'], department: 'Sales', oid: 'an-oid', tid: 'a-tid' }
    partner.behaviour.person = { sub: 'grace', email: 'grace@partner.example', ...claims }
    guests.behaviour.person = { sub: 'grace', email: 'ceo@contoso.example', ...claims }
    const [one, two] = [stack.person(), stack.person()]
    await one.signIn({ ...query, provider: 'partner' })
    await two.signIn({ ...query, provider: 'guests' })

    expect((await sessionOf(one)).claims).toEqual({ department: 'Sales' })
    expect(await sessionOf(two)).not.toHaveProperty('claims')
    for (const person of [one, two]) {
      expect(await sessionOf(person)).not.toHaveProperty('object_id')
      expect(await sessionOf(person)).not.toHaveProperty('tenant_id')
    }
  })

  it('are signed in at a cost of one request to their provider and two to the store, and none to the other ones', async () => {
    await stack.person().signIn({ ...query, provider: 'partner' })
    const person = stack.person()
    const answer = await person.atProvider((await person.begin({ ...query, provider: 'partner' })).location!)
    for (const one of [partner, guests, stack.identityProvider, stack.store]) one.resetRequests()

    await person.callback(answer)

    expect(partner.requests.map(({ endpoint }) => endpoint)).toEqual(['token'])
    expect(guests.requests).toEqual([])
    expect(stack.identityProvider.requests).toEqual([])
    expect(stack.store.requests.map(({ operation }) => operation)).toEqual(['insert', 'insert'])
  })

  it('are renewed at their own provider', async () => {
    partner.behaviour.accessTokenSeconds = 2
    const person = stack.person()
    await person.signIn({ ...query, provider: 'partner' })
    for (const one of [partner, guests, stack.identityProvider]) one.resetRequests()

    expect((await person.sessionToken(page, { api: 'orders' })).status).toBe(200)

    expect(partner.requests.map(({ parameters }) => parameters.grant_type)).toEqual(['refresh_token'])
    expect(guests.requests).toEqual([])
    expect(stack.identityProvider.requests).toEqual([])
  })

  it('have access tokens for the scopes in the spelling of their provider, which front ends do not see', async () => {
    guests.behaviour.accessTokenSeconds = 2
    const person = stack.person()
    await person.signIn({ ...query, provider: 'guests' })
    const requested = guests.requests.find(({ endpoint }) => endpoint === 'authorize')!.parameters.scope

    expect(requested?.split(' ')).toEqual(['openid', 'offline_access', 'orders-read'])
    const { status, json } = await person.sessionToken(page, { api: 'orders' })
    expect(status).toBe(200)
    expect(guests.requests.at(-1)?.parameters).toMatchObject({ grant_type: 'refresh_token' })
    expect(guests.requests.at(-1)?.parameters.scope?.split(' ').sort()).toEqual([
      'offline_access',
      'openid',
      'orders-read',
    ])
    expect(String(json.scope).split(' ')).toContain(ordersRead)
    expect(String(json.scope)).not.toContain('orders-read')
  })

  it('are sent back to their own provider where a renewal needs them', async () => {
    partner.behaviour.accessTokenSeconds = 2
    partner.behaviour.refreshTokens = false
    const person = stack.person()
    await person.signIn({ ...query, provider: 'partner' })

    const { status, json } = await person.sessionToken(page, { api: 'orders', scope: ordersRead })

    expect({ status, code: json.code }).toEqual({ status: 403, code: 'interaction_required' })
    const url = new URL(String(json.sign_in_url))
    expect(url.searchParams.get('provider')).toBe('partner')
    expect(originOf((await person.open(url.pathname + url.search)).location)).toBe(browserOriginOf(partner))
  })

  it('are signed out at their own provider', async () => {
    const person = stack.person()
    await person.signIn({ ...query, provider: 'partner' })

    const { json } = await person.script(page, '/logout', { method: 'POST', body: '{}' })

    expect(originOf(String(json.url))).toBe(browserOriginOf(partner))
    expect(new URL(String(json.url)).searchParams.get('client_id')).toBe(clientId)
  })

  it('are signed out by their own provider only', async () => {
    partner.behaviour.person = { sub: 'same', sid: 'session-1' }
    guests.behaviour.person = { sub: 'same', sid: 'session-1' }
    const [one, two] = [stack.person(), stack.person()]
    await one.signIn({ ...query, provider: 'partner' })
    await two.signIn({ ...query, provider: 'guests' })
    const send = async (by: MockProvider, iss: string) =>
      stack.person().call('/logout/backchannel', {
        method: 'POST',
        body: new URLSearchParams({ logout_token: await by.sign(logoutToken(iss)) }),
      })

    // Signed by one provider in the name of the other one.
    expect((await send(guests, partner.issuer)).json).toMatchObject({ code: 'logout_token_refused' })
    expect((await sessionOf(one)).provider).toBe('partner')
    expect((await send(guests, guests.issuer)).status).toBe(200)
    expect((await sessionOf(one)).provider).toBe('partner')
    expect((await two.script(page, '/session')).status).toBe(401)
    // By a frame: the issuer decides among the same session ids.
    await stack
      .person()
      .open(`/logout/frontchannel?${new URLSearchParams({ iss: guests.issuer, sid: 'session-1' }).toString()}`)
    expect((await sessionOf(one)).provider).toBe('partner')
    await stack
      .person()
      .open(`/logout/frontchannel?${new URLSearchParams({ iss: partner.issuer, sid: 'session-1' }).toString()}`)
    expect((await one.script(page, '/session')).status).toBe(401)
  })
})

describe('a front end that no longer accepts a provider', () => {
  const withoutPartner = JSON.stringify(
    frontEnds
      .map((one) => ({
        ...one,
        ...(one.providers ? { providers: one.providers.filter((id) => id !== 'partner') } : {}),
      }))
      .filter(({ providers }) => providers?.length !== 0),
  )

  it('has no session of it, and is offered a sign-in; its sessions of other providers stay', async () => {
    const [one, two] = [stack.person(), stack.person()]
    await one.signIn({ ...query, provider: 'partner' })
    await two.signIn({ ...query, provider: 'guests' })
    const at = await anotherInstance({ Broker__FrontEnds: withoutPartner })

    const { status, json } = await one.script(page, '/session', { at })

    expect({ status, code: json.code }).toEqual({ status: 401, code: 'signed_out' })
    expect(json.sign_in_url).toBe(`${stack.url}/login?frontend=shop`)
    expect((await one.sessionToken(page, { api: 'orders' }, { at })).json).toMatchObject({ code: 'signed_out' })
    expect((await two.script(page, '/session', { at })).status).toBe(200)
    // The session is there where the provider is.
    expect((await one.script(page, '/session')).status).toBe(200)
  })

  it('accepts no response, no code, no refresh token and no access token of it', async () => {
    const at = await anotherInstance({ Broker__FrontEnds: withoutPartner })
    const person = stack.person()
    const answer = await person.atProvider((await person.begin({ ...query, provider: 'partner' })).location!)
    expectPage(await person.callback(answer, { at }), 'provider_not_accepted')

    const { code, pkce } = await authorizeAt(stack.person(), 'client', {
      provider: 'partner',
      scope: `openid ${ordersRead}`,
    })
    const late = await authorizeAt(stack.person(), 'client', { provider: 'partner' })
    const tokens = (await redeem(stack.url, code, pkce, { client_id: 'client' })).json
    const userinfo = (url: string) =>
      fetch(`${url}/userinfo`, { headers: { authorization: `Bearer ${String(tokens.access_token)}` } })

    expect((await redeem(at, late.code, late.pkce, { client_id: 'client' })).json).toMatchObject({
      error: 'invalid_grant',
    })
    expect((await userinfo(at)).status).toBe(401)
    expect((await userinfo(stack.url)).status).toBe(200)
    expect((await refresh(at, String(tokens.refresh_token), { client_id: 'client' })).json).toMatchObject({
      error: 'invalid_grant',
    })
    expect((await refresh(stack.url, String(tokens.refresh_token), { client_id: 'client' })).status).toBe(200)
  })
})

describe('an OAuth client', () => {
  it('receives an ID token with the issuer of the provider, and a subject that is the broker’s', async () => {
    partner.behaviour.person = { sub: 'grace', email: 'grace@partner.example' }
    const { code, pkce } = await authorizeAt(stack.person(), 'client', {
      provider: 'partner',
      scope: `openid email ${ordersRead}`,
    })

    const { json } = await redeem(stack.url, code, pkce, { client_id: 'client' })

    const claims = claimsOf(String(json.id_token))
    expect(claims).toMatchObject({ iss: stack.url, idp: partner.issuer, email: 'grace@partner.example' })
    expect(claims.sub).not.toBe('grace')
    const out = await stack
      .person()
      .open(`/end-session?${new URLSearchParams({ id_token_hint: String(json.id_token) }).toString()}`)
    expect(originOf(out.location)).toBe(browserOriginOf(partner))
  })

  it('receives an address of userinfo too, and none outside the domains of the provider', async () => {
    partner.behaviour.person = { sub: 'grace', name: 'Grace Hopper' }
    const addressAfter = async (email: string) => {
      partner.behaviour.userinfo = { sub: 'grace', email }
      const scope = `openid email ${ordersRead}`
      const { code, pkce } = await authorizeAt(stack.person(), 'client', { provider: 'partner', scope })
      return claimsOf(String((await redeem(stack.url, code, pkce, { client_id: 'client' })).json.id_token)).email
    }

    expect(await addressAfter('grace@partner.example')).toBe('grace@partner.example')
    expect(await addressAfter('ceo@contoso.example')).toBeUndefined()
  })

  it('goes to the provider of its mark without a page, and to the page where the person selects an account', async () => {
    const person = stack.person()
    await authorizeAt(person, 'client', { provider: 'partner' })

    expect(originOf((await askAt(person, 'client')).location)).toBe(browserOriginOf(partner))
    expect(originOf((await askAt(person, 'client', { prompt: 'none' })).location)).toBe(browserOriginOf(partner))
    expect((await askAt(person, 'client', { prompt: 'select_account' })).status).toBe(200)
    expect((await askAt(stack.person(), 'client')).status).toBe(200)
  })

  it('with single sign-on follows the mark of another client, at a provider of its own only', async () => {
    const person = stack.person()
    await authorizeAt(person, 'client', { provider: 'partner' })

    expect(originOf((await askAt(person, 'everywhere')).location)).toBe(browserOriginOf(partner))
    // This client does not take the partner: the mark must not decide, and reveals nothing.
    expect((await askAt(person, 'guests-client')).status).toBe(200)
    const silent = await askAt(person, 'guests-client', { prompt: 'none' })
    expect(new URL(silent.location!).searchParams.get('error')).toBe('login_required')
  })

  it('is not signed in silently at a provider at which its mark was not made', async () => {
    const person = stack.person()
    await authorizeAt(person, 'client', { provider: 'partner' })

    const silent = await askAt(person, 'client', { prompt: 'none', provider: 'guests' })

    expect(new URL(silent.location!).searchParams.get('error')).toBe('login_required')
    const requested = new URL((await askAt(person, 'client', { provider: 'guests' })).location!).searchParams
    expect(requested.get('prompt')).toBe('select_account')
    expect(requested.get('login_hint')).toBeNull()
  })
})

describe('a provider that is down', () => {
  it('stops its own sign-ins only, the log names it, and the broker stays ready', async () => {
    partner.behaviour.down = ['metadata']
    const at = await anotherInstance()

    expectPage(await stack.person().begin({ ...query, provider: 'partner' }, { at }), 'provider_unavailable')
    expect(logged(stack, 'refused').at(-1)).toMatchObject({ code: 'provider_unavailable', provider: 'partner' })
    expect((await stack.person().begin({ ...query, provider: 'guests' }, { at })).status).toBe(303)
    expect((await stack.person().signIn({ frontend: 'staff-only' }, undefined, { at })).status).toBe(303)
    expect((await stack.person().begin(query, { at })).status).toBe(200)
    expect((await stack.person().call('/health/ready', { at })).text).toBe('ready')
  })
})

async function askAt(person: Person, client_id: string, changes: Readonly<Record<string, string>> = {}) {
  return person.begin(authorizationRequest(newPkce(), { client_id, ...changes }))
}

async function authorizeAt(
  person: Person,
  client_id: string,
  changes: Readonly<Record<string, string>>,
): Promise<{ code: string; pkce: Pkce }> {
  const pkce = newPkce()
  const done = await person.signIn(authorizationRequest(pkce, { client_id, ...changes }))
  const code = new URL(done.location ?? `${done.status}: ${done.text}`).searchParams.get('code')
  return { code: code!, pkce }
}

function claimsOf(idToken: string): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown>
}

function logoutToken(iss: string) {
  return {
    iss,
    aud: clientId,
    iat: Math.floor(Date.now() / 1000),
    jti: crypto.randomUUID(),
    sid: 'session-1',
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  }
}
