import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createVisitor } from '../../../local/identity-provider/browser.ts'
import {
  billsRead,
  clientId,
  everyScope,
  ordersRead,
  redirectUri,
  signedOutUri,
  startWorld,
  tenantId,
} from './identity-provider-fixture.ts'
import type { World } from './identity-provider-fixture.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterEach(() => world.reset())
afterAll(() => world.close())

describe('a sign-in', () => {
  it('ends with an ID token that has Entra’s claims about a person', async () => {
    const signedIn = await world.signIn()

    const { status, json } = await world.redeem(signedIn)

    expect(status).toBe(200)
    const claims = await world.verify(json['id_token'], clientId)
    expect(claims).toMatchObject({
      tid: tenantId,
      oid: 'aaaaaaaa-0001-4000-8000-000000000001',
      sid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      preferred_username: 'ada@contoso.example',
      name: 'Ada Lovelace',
      login_hint: expect.stringMatching(/^O\./) as string,
      ver: '2.0',
      nonce: signedIn.nonce,
    })
    expect(claims.sub).not.toBe(claims['oid'])
  })

  it('returns an access token for the API that the scope names', async () => {
    const { json } = await world.redeem(await world.signIn())

    const claims = await world.verify(json['access_token'], 'api://demo')
    expect(claims).toMatchObject({ scp: 'orders.read', tid: tenantId, azp: clientId, name: 'Ada Lovelace' })
    expect(json).toMatchObject({ token_type: 'Bearer', scope: ordersRead, expires_in: 3600 })
  })

  it('names the home tenant of a guest', async () => {
    const { json } = await world.redeem(await world.signIn({ client_info: '1' }, { as: 'margaret@partner.example' }), {
      client_info: '1',
    })

    expect(decodeJwt(String(json['id_token']))['idp']).toMatch(/^https:\/\/sts\.windows\.net\/9999/)
    const clientInfo = JSON.parse(Buffer.from(String(json['client_info']), 'base64url').toString()) as unknown
    expect(clientInfo).toEqual({
      uid: 'aaaaaaaa-0003-4000-8000-000000000003',
      utid: '99999999-9999-4999-8999-999999999999',
    })
  })

  it('sends its answer by a form, with session_state as Entra does and without an issuer', async () => {
    const { answer, state } = await world.signIn()

    expect(answer).toMatchObject({ mode: 'form_post', url: redirectUri, pages: ['sign-in'] })
    expect(Object.keys(answer.fields).sort()).toEqual(['code', 'session_state', 'state'])
    expect(answer.fields['state']).toBe(state)
  })

  it('answers in the query on request', async () => {
    const { answer } = await world.signIn({ response_mode: 'query' })

    expect(answer.mode).toBe('redirect')
    expect(answer.url.startsWith(`${redirectUri}?`)).toBe(true)
    expect(answer.fields).toHaveProperty('code')
  })

  it('names its issuer in the answer and in the metadata where a setting requires it', async () => {
    world.provider.settings.announceIssuer = true

    const { answer } = await world.signIn()

    expect(answer.fields['iss']).toBe(world.provider.issuer)
    const metadata = await world.get(world.provider.discoveryUrl)
    expect(metadata.json['authorization_response_iss_parameter_supported']).toBe(true)
  })

  it('shows no form to a person who is signed in, and shows it again with prompt=login', async () => {
    const visitor = createVisitor()
    await world.signIn({}, { visitor })

    const silent = await world.signIn({ prompt: 'none' }, { visitor })
    const requested = await world.signIn({ prompt: 'login' }, { visitor })

    expect(silent.answer.pages).toEqual([])
    expect(silent.answer.fields).toHaveProperty('code')
    expect(requested.answer.pages).toEqual(['sign-in'])
  })

  it('answers prompt=none with login_required when no person is signed in', async () => {
    const { answer, state } = await world.signIn({ prompt: 'none' })

    expect(answer.fields).toMatchObject({ error: 'login_required', state })
    expect(answer.fields['error_description']).toMatch(/^AADSTS50058/)
  })

  it('signs another person in on the account page, with a separate browser session for each', async () => {
    const visitor = createVisitor()
    const ada = await world.redeem(await world.signIn({}, { visitor }))

    const grace = await world.redeem(
      await world.signIn({ prompt: 'select_account' }, { visitor, as: 'grace@contoso.example' }),
    )

    const [first, second] = [ada, grace].map(({ json }) => decodeJwt(String(json['id_token'])))
    expect(second?.['preferred_username']).toBe('grace@contoso.example')
    expect(second?.['sid']).not.toBe(first?.['sid'])
  })

  it('shows the form again when the login hint names another person than the one signed in', async () => {
    const visitor = createVisitor()
    await world.signIn({}, { visitor })

    const same = await world.signIn({ login_hint: 'ada@contoso.example' }, { visitor })
    const other = await world.signIn({ login_hint: 'grace@contoso.example' }, { visitor, as: 'grace@contoso.example' })

    expect(same.answer.pages).toEqual([])
    expect(other.answer.pages).toEqual(['sign-in'])
  })

  it('shows the permissions with prompt=consent, and returns an error when they are declined', async () => {
    const accepted = await world.signIn({ prompt: 'consent' })
    const declined = await world.signIn({ prompt: 'consent' }, { cancelAt: 'consent' })

    expect(accepted.answer).toMatchObject({ pages: ['sign-in', 'consent'] })
    expect(accepted.answer.fields).toHaveProperty('code')
    expect(declined.answer.fields).toMatchObject({ error: 'access_denied', state: declined.state })
  })

  it('returns to the application when the person cancels', async () => {
    const { answer } = await world.signIn({}, { cancelAt: 'sign-in' })

    expect(answer.fields).toMatchObject({ error: 'access_denied' })
    expect(answer.fields['error_description']).toMatch(/^AADSTS65004/)
  })

  it('reports an unknown username on the form', async () => {
    const { url } = world.begin()

    await expect(createVisitor().signIn(url, 'nobody@contoso.example')).rejects.toThrow(/couldn’t find an account/)
    await expect(createVisitor().signIn(url, ' ADA@contoso.example ')).resolves.toHaveProperty('fields.code')
  })

  it('prefills the form with the hint, escaped', async () => {
    const { url } = world.begin({ login_hint: '"><script>' })

    const page = await followToPage(url)

    expect(page.text).toContain('value="&quot;&gt;&lt;script&gt;"')
    expect(page.policy).toContain("default-src 'none'")
  })

  it('accepts claims, domain_hint and ui_locales, and refuses claims that are no object', async () => {
    const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: 'c1' } } })

    const taken = await world.signIn({ claims, domain_hint: 'contoso.example', ui_locales: 'de' })
    const refused = await world.signIn({ claims: '[]' })

    expect(taken.answer.fields).toHaveProperty('code')
    expect(refused.answer.fields).toMatchObject({ error: 'invalid_request', state: refused.state })
    const seen = world.provider.requests.filter(({ query }) => query['claims'] === claims)
    expect(seen).toHaveLength(1)
  })

  it.each([
    ['an unregistered API', 'openid api://nobody/read', 'invalid_resource'],
    ['a scope that the API does not have', 'openid api://demo/orders.delete', 'invalid_client'],
  ])('returns an error to the application for %s', async (_what, scope, error) => {
    const { answer } = await world.signIn({ scope })

    expect(answer.fields).toMatchObject({ error })
  })

  it('refuses a request without PKCE', async () => {
    const refused = await world.signIn({ code_challenge: undefined, code_challenge_method: undefined })
    const taken = await world.signIn()

    expect(refused.answer.fields).toMatchObject({ error: 'invalid_request' })
    expect(refused.answer.fields['error_description']).toMatch(/^AADSTS9002325/)
    expect(taken.answer.fields).toHaveProperty('code')
  })

  it('shows a page, and redirects nowhere, for a redirect URI or an application that is not registered', async () => {
    const elsewhere = world.begin({ redirect_uri: 'http://localhost:7071/other' })
    const stranger = world.begin({ client_id: 'stranger' })

    await expect(createVisitor().signIn(elsewhere.url, 'ada@contoso.example')).rejects.toThrow(/AADSTS50011/)
    await expect(createVisitor().signIn(stranger.url, 'ada@contoso.example')).rejects.toThrow(/AADSTS700016/)
  })
})

describe('signing out', () => {
  it('shows no question and returns with the state when the hint names the person who is signed in', async () => {
    const visitor = createVisitor()
    const { json } = await world.redeem(await world.signIn({}, { visitor }))
    const logout_hint = String(decodeJwt(String(json['id_token']))['login_hint'])

    const back = await visitor.signOut(
      world.signOutUrl({ logout_hint, client_id: clientId, post_logout_redirect_uri: signedOutUri, state: 'there' }),
    )

    expect(back).toBe(`${signedOutUri}?state=there`)
    expect(await visitor.isSignedIn(world.provider.browserUrl)).toBe(false)
    expect((await world.signIn({ prompt: 'none' }, { visitor })).answer.fields).toMatchObject({
      error: 'login_required',
    })
  })

  it('shows a question first without a hint', async () => {
    const visitor = createVisitor()
    await world.signIn({}, { visitor })

    const page = await fetch(world.signOutUrl({ client_id: clientId }), {
      headers: { cookie: await visitor.jar.getCookieString(world.provider.browserUrl) },
    })

    expect(await page.text()).toContain('Do you want to sign out?')
    expect(await visitor.isSignedIn(world.provider.browserUrl)).toBe(true)
  })

  it('returns also when no person is signed in any more', async () => {
    const back = await createVisitor().signOut(
      world.signOutUrl({ client_id: clientId, post_logout_redirect_uri: signedOutUri, state: 'there' }),
    )

    expect(back).toBe(`${signedOutUri}?state=there`)
  })

  it('redirects only to registered URLs', async () => {
    const url = world.signOutUrl({ client_id: clientId, post_logout_redirect_uri: 'http://localhost:7071/elsewhere' })

    await expect(createVisitor().signOut(url)).rejects.toThrow(/AADSTS50011/)
  })
})

describe('the metadata', () => {
  it('is at Entra’s path, with http URLs for the browser and https URLs for the rest', async () => {
    const { provider } = world

    const { json } = await world.get(`${provider.authority}/v2.0/.well-known/openid-configuration`)

    expect(json).toMatchObject({
      issuer: `https://localhost:${provider.port}/${tenantId}/v2.0`,
      authorization_endpoint: `http://127.0.0.1:${provider.port}/${tenantId}/oauth2/v2.0/authorize`,
      end_session_endpoint: `http://127.0.0.1:${provider.port}/${tenantId}/oauth2/v2.0/logout`,
      token_endpoint: `https://localhost:${provider.port}/${tenantId}/oauth2/v2.0/token`,
      jwks_uri: `https://localhost:${provider.port}/${tenantId}/discovery/v2.0/keys`,
    })
    expect(json).not.toHaveProperty('authorization_response_iss_parameter_supported')
  })

  it('does not exist for another tenant', async () => {
    const other = await world.get(
      `https://localhost:${world.provider.port}/other/v2.0/.well-known/openid-configuration`,
    )

    expect(other.status).toBe(400)
    expect(other.json).toMatchObject({ error: 'invalid_tenant' })
  })

  it('shows public keys only', async () => {
    const { json } = await world.get(world.provider.jwksUrl)

    const keys = json['keys'] as Record<string, unknown>[]
    expect(keys.map((key) => Object.keys(key).sort())).toEqual([['e', 'issuer', 'kid', 'kty', 'n', 'use']])
  })
})

describe('scopes', () => {
  it('serve the first API that is named', async () => {
    const { json } = await world.redeem(await world.signIn({ scope: `${everyScope} ${billsRead}` }))

    expect(json['scope']).toBe(ordersRead)
  })

  it('mean all of an API by .default', async () => {
    const { json } = await world.redeem(await world.signIn({ scope: 'openid api://demo/.default' }))

    expect(decodeJwt(String(json['access_token']))).toMatchObject({ scp: 'orders.read orders.write' })
  })
})

async function followToPage(url: string): Promise<{ text: string; policy: string | null }> {
  const first = await fetch(url, { redirect: 'manual' })
  const cookie = first.headers
    .getSetCookie()
    .map((value) => value.split(';')[0])
    .join('; ')
  const page = await fetch(new URL(first.headers.get('location') ?? '', url), { headers: { cookie } })
  return { text: await page.text(), policy: page.headers.get('content-security-policy') }
}
