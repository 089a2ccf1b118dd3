import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import type { JSONWebKeySet } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createVisitor } from '../../../local/identity-provider/browser.ts'
import {
  billsRead,
  clientId,
  everyScope,
  makeCertificate,
  ordersRead,
  redirectUri,
  send,
  signedOutUri,
  startWorld,
  tenantId,
} from './identity-provider-fixture.ts'
import type { World } from './identity-provider-fixture.ts'

let world: World
const original = { accessTokenSeconds: 3600 }

beforeAll(async () => {
  world = await startWorld()
})
afterEach(() => {
  const { provider } = world
  provider.faults.clear()
  provider.changeTokenResponse()
  provider.transformKeys()
  provider.enablePerson('ada@contoso.example')
  Object.assign(provider.settings, {
    accessTokenSeconds: original.accessTokenSeconds,
    codeSeconds: 600,
    refreshTokenSeconds: 3600,
    singleUseRefreshTokens: false,
    refuseRepeatedJti: false,
    announceIssuer: false,
    assertionAudience: 'token-endpoint',
  })
})
afterAll(() => world.close())

const verifyWithPublishedKeys = async (token: unknown, audience: string) => {
  const keys = createLocalJWKSet((await world.get(world.provider.jwksUrl)).json as unknown as JSONWebKeySet)
  return (await jwtVerify(String(token), keys, { issuer: world.provider.issuer, audience })).payload
}

describe('a sign-in', () => {
  it('ends with an ID token that has Entra’s claims about a person', async () => {
    const signedIn = await world.signIn()

    const { status, json } = await world.redeem(signedIn)

    expect(status).toBe(200)
    const claims = await verifyWithPublishedKeys(json['id_token'], clientId)
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

    const claims = await verifyWithPublishedKeys(json['access_token'], 'api://demo')
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

describe('the token endpoint', () => {
  it('accepts a code once', async () => {
    const signedIn = await world.signIn()

    const answers = [await world.redeem(signedIn), await world.redeem(signedIn)]

    expect(answers.map(({ status }) => status)).toEqual([200, 400])
    expect(answers[1]?.json).toMatchObject({ error: 'invalid_grant', error_codes: [54005] })
  })

  it('accepts a code once when it is sent twice at the same moment', async () => {
    const signedIn = await world.signIn()

    const answers = await Promise.all([world.redeem(signedIn), world.redeem(signedIn)])

    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
  })

  it('ends only the sign-in of the code that was sent twice', async () => {
    const visitor = createVisitor()
    const [first, second] = [await world.signIn({}, { visitor }), await world.signIn({}, { visitor })]
    const [ended, kept] = [await world.redeem(first), await world.redeem(second)]

    await world.redeem(first)

    expect((await world.refresh(ended.json['refresh_token'])).json).toMatchObject({ error: 'invalid_grant' })
    expect((await world.refresh(kept.json['refresh_token'])).status).toBe(200)
  })

  it.each([
    ['an unknown code', { code: 'nobody' }, 70000],
    ['another verifier', { code_verifier: 'x'.repeat(43) }, 501481],
    ['another redirect URI', { redirect_uri: 'http://localhost:7071/other' }, 500112],
  ])('refuses %s', async (_what, form, code) => {
    const { status, json } = await world.redeem(await world.signIn(), form)

    expect(status).toBe(400)
    expect(json).toMatchObject({ error: 'invalid_grant', error_codes: [code] })
  })

  it('distinguishes an expired code from an unknown one', async () => {
    world.provider.settings.codeSeconds = 60
    const signedIn = await world.signIn()
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 120_000 })
    onTestFinished(() => void vi.useRealTimers())

    const { json } = await world.redeem(signedIn)

    expect(json).toMatchObject({ error: 'invalid_grant', error_codes: [70008] })
  })

  it('describes an error as Entra does', async () => {
    const { json, headers } = await world.redeem(await world.signIn(), { code: 'nobody' })

    expect(json).toEqual({
      error: 'invalid_grant',
      error_description: expect.stringMatching(
        /^AADSTS70000: .* Trace ID: .* Correlation ID: .* Timestamp: /,
      ) as string,
      error_codes: [70000],
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/) as string,
      trace_id: expect.any(String) as string,
      correlation_id: expect.any(String) as string,
      error_uri: 'https://login.microsoftonline.com/error?code=70000',
    })
    expect(headers['cache-control']).toBe('no-store')
  })

  it('answers over https only', async () => {
    const signedIn = await world.signIn()
    const plain = new URL(world.provider.tokenUrl)
    const answer = await fetch(`http://127.0.0.1:${plain.port}${plain.pathname}`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: clientId, client_assertion: await world.assertion() }),
    })

    expect(answer.status).toBe(400)
    expect((await world.redeem(signedIn)).status).toBe(200)
  })
})

describe('the client assertion', () => {
  const answerTo = async (
    changes: Parameters<World['assertion']>[0],
    certificate?: Awaited<ReturnType<typeof makeCertificate>>,
  ) => world.redeem(await world.signIn(), { client_assertion: await world.assertion(changes, certificate) })

  it('is accepted with PS256 and with RS256, and with the older thumbprint', async () => {
    const { createHash } = await import('node:crypto')
    const sha1 = createHash('sha1').update(world.certificate.der).digest('base64url')

    expect((await answerTo({})).status).toBe(200)
    expect((await answerTo({ header: { alg: 'RS256' } })).status).toBe(200)
    expect((await answerTo({ header: { 'x5t#S256': undefined, x5t: sha1 } })).status).toBe(200)
  })

  it('is refused when its certificate is not registered', async () => {
    const { status, json } = await answerTo({}, await makeCertificate())

    expect(status).toBe(401)
    expect(json).toMatchObject({ error: 'invalid_client', error_codes: [700027] })
  })

  it('is refused when another key signed it in the name of a registered certificate', async () => {
    const { privateKey } = await makeCertificate()

    const { json } = await answerTo({}, { ...world.certificate, privateKey })

    expect(json).toMatchObject({ error: 'invalid_client', error_codes: [700027] })
  })

  const now = () => Math.floor(Date.now() / 1000)
  it.each([
    ['for another audience', () => ({ aud: 'https://localhost/other' }), 700023],
    ['with a second audience', () => ({ aud: [world.provider.tokenUrl, 'https://other.example'] }), 700023],
    ['of another application', () => ({ iss: 'other' }), 700021],
    ['that has ended', () => ({ exp: now() - 600 }), 700024],
    ['that begins later', () => ({ nbf: now() + 3600, exp: now() + 7200 }), 700024],
    ['without an end', () => ({ exp: undefined }), 700024],
  ])('is refused %s', async (_what, claims, code) => {
    const { status, json } = await answerTo({ claims: claims() })

    expect(status).toBe(401)
    expect(json).toMatchObject({ error: 'invalid_client', error_codes: [code] })
  })

  it('is refused when it is missing, and the request names its application', async () => {
    const form = { grant_type: 'authorization_code', code: 'x', redirect_uri: redirectUri }

    expect((await world.post({ ...form, client_id: clientId })).json).toMatchObject({ error_codes: [7000218] })
    expect((await world.post({ ...form, client_id: 'stranger' })).json).toMatchObject({ error_codes: [700016] })
  })

  it('may be sent again, as at Entra, unless the provider is configured as strict', async () => {
    const redeem = async (client_assertion: string) => world.redeem(await world.signIn(), { client_assertion })
    const [first, second] = [await world.assertion(), await world.assertion()]

    expect([(await redeem(first)).status, (await redeem(first)).status]).toEqual([200, 200])

    world.provider.settings.refuseRepeatedJti = true
    const answers = [await redeem(second), await redeem(second)]
    expect(answers.map(({ status }) => status)).toEqual([200, 401])
    expect(answers[1]?.json).toMatchObject({ error: 'invalid_client' })
    expect(answers[1]?.json).not.toHaveProperty('error_codes')
  })

  it('names the issuer as its audience at a provider that requires it', async () => {
    world.provider.settings.assertionAudience = 'issuer'

    expect((await answerTo({})).json).toMatchObject({ error_codes: [700023] })
    expect((await answerTo({ claims: { aud: world.provider.issuer } })).status).toBe(200)
  })

  it('is refused by a certificate that is no longer valid, though registered', async () => {
    const expired = await makeCertificate(-2, -1)
    const other = await startWorld({}, (own) => [own.pem, expired.der])
    try {
      const redeem = async (certificate = other.certificate) =>
        other.redeem(await other.signIn(), { client_assertion: await other.assertion({}, certificate) })

      expect((await redeem()).status).toBe(200)
      expect((await redeem(expired)).json).toMatchObject({ error: 'invalid_client', error_codes: [700027] })
    } finally {
      await other.close()
    }
  })

  it('counts from the moment its certificate is registered', async () => {
    const registered: string[] = []
    const other = await startWorld({}, () => registered)
    try {
      const signedIn = await other.signIn()

      const before = await other.redeem(signedIn)
      registered.push(other.certificate.pem)
      const after = await other.redeem(signedIn)

      expect([before.status, after.status]).toEqual([401, 200])
    } finally {
      await other.close()
    }
  })
})

describe('a refresh token', () => {
  const signedIn = async () => (await world.redeem(await world.signIn())).json['refresh_token']

  it('is not issued without offline_access', async () => {
    const { json } = await world.redeem(await world.signIn({ scope: `openid ${ordersRead}` }))

    expect(json).toHaveProperty('access_token')
    expect(json).not.toHaveProperty('refresh_token')
    expect(await signedIn()).toEqual(expect.any(String))
  })

  it('returns new tokens and a new refresh token, and stays valid', async () => {
    const first = await signedIn()

    const answers = [await world.refresh(first), await world.refresh(first)]

    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(answers[0]?.json['refresh_token']).not.toBe(first)
    expect(decodeJwt(String(answers[0]?.json['access_token'])).aud).toBe('api://demo')
    expect(answers[0]?.json).toHaveProperty('id_token')
  })

  it('is accepted once where the provider is configured so, and its reuse ends the family', async () => {
    world.provider.settings.singleUseRefreshTokens = true
    const first = await signedIn()
    const second = (await world.refresh(first)).json['refresh_token']
    const third = (await world.refresh(second)).json['refresh_token']

    const reused = await world.refresh(first)

    expect(reused.json).toMatchObject({ error: 'invalid_grant', error_codes: [70000] })
    expect((await world.refresh(third)).json).toMatchObject({ error: 'invalid_grant' })
  })

  it('succeeds for one of two requests at the same time', async () => {
    world.provider.settings.singleUseRefreshTokens = true
    const token = await signedIn()

    const answers = await Promise.all([world.refresh(token), world.refresh(token)])

    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
  })

  it("returns a token for another API when the request has that API's scope", async () => {
    const token = await signedIn()

    const { json } = await world.refresh(token, { scope: `openid offline_access ${billsRead}` })

    expect(await verifyWithPublishedKeys(json['access_token'], 'api://bills')).toMatchObject({ scp: 'read' })
    expect(json['scope']).toBe(billsRead)
    expect((await world.refresh(token, { scope: 'api://nobody/read' })).json).toMatchObject({ error_codes: [500011] })
  })

  it('returns access tokens with the configured lifetime, in both places that state it', async () => {
    world.provider.settings.accessTokenSeconds = 30

    const { json } = await world.refresh(await signedIn())

    const { exp, iat } = decodeJwt(String(json['access_token']))
    expect([json['expires_in'], Number(exp) - Number(iat)]).toEqual([30, 30])
  })

  it('is refused once the account is disabled, and the person cannot sign in again', async () => {
    const visitor = createVisitor()
    const token = (await world.redeem(await world.signIn({}, { visitor }))).json['refresh_token']
    expect((await world.refresh(token)).status).toBe(200)

    world.provider.disablePerson('ada@contoso.example')

    expect((await world.refresh(token)).json).toMatchObject({ error: 'invalid_grant', error_codes: [50057] })
    await expect(world.signIn({}, { visitor })).rejects.toThrow(/disabled/)
  })

  it("is refused once the person's sessions are revoked, while those of others are accepted", async () => {
    const ada = await signedIn()
    const grace = (await world.redeem(await world.signIn({}, { as: 'grace@contoso.example' }))).json['refresh_token']

    world.provider.revokeRefreshTokens('ada@contoso.example')

    expect((await world.refresh(ada)).json).toMatchObject({ error: 'invalid_grant', error_codes: [50173] })
    expect((await world.refresh(grace)).status).toBe(200)
  })

  it('stays valid after a sign-out in the browser', async () => {
    const visitor = createVisitor()
    const token = (await world.redeem(await world.signIn({}, { visitor }))).json['refresh_token']

    await visitor.signOut(signOutUrl({ logout_hint: 'ada@contoso.example' }))

    expect((await world.refresh(token)).status).toBe(200)
  })
})

describe('signing out', () => {
  it('shows no question and returns with the state when the hint names the person who is signed in', async () => {
    const visitor = createVisitor()
    const { json } = await world.redeem(await world.signIn({}, { visitor }))
    const logout_hint = String(decodeJwt(String(json['id_token']))['login_hint'])

    const back = await visitor.signOut(
      signOutUrl({ logout_hint, client_id: clientId, post_logout_redirect_uri: signedOutUri, state: 'there' }),
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

    const page = await fetch(signOutUrl({ client_id: clientId }), {
      headers: { cookie: await visitor.jar.getCookieString(world.provider.browserUrl) },
    })

    expect(await page.text()).toContain('Do you want to sign out?')
    expect(await visitor.isSignedIn(world.provider.browserUrl)).toBe(true)
  })

  it('returns also when no person is signed in any more', async () => {
    const back = await createVisitor().signOut(
      signOutUrl({ client_id: clientId, post_logout_redirect_uri: signedOutUri, state: 'there' }),
    )

    expect(back).toBe(`${signedOutUri}?state=there`)
  })

  it('redirects only to registered URLs', async () => {
    const url = signOutUrl({ client_id: clientId, post_logout_redirect_uri: 'http://localhost:7071/elsewhere' })

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

describe('on request', () => {
  it('rolls its keys: old tokens verify while the old key is kept, new ones with the new key', async () => {
    const before = (await world.redeem(await world.signIn())).json['id_token']

    await world.provider.rotateKeys()
    const after = await world.redeem(await world.signIn())

    await expect(verifyWithPublishedKeys(before, clientId)).resolves.toHaveProperty('oid')
    await expect(verifyWithPublishedKeys(after.json['id_token'], clientId)).resolves.toHaveProperty('oid')

    await world.provider.rotateKeys({ keepOld: false })
    await expect(verifyWithPublishedKeys(before, clientId)).rejects.toThrow(/no applicable key/)
  })

  it('completes the sign-ins under way when its keys roll', async () => {
    const signedIn = await world.signIn()

    await world.provider.rotateKeys()

    const { status, json } = await world.redeem(signedIn)
    expect(status).toBe(200)
    expect((await world.refresh(json['refresh_token'])).status).toBe(200)
  })

  it('answers an ID token that is changed and signed as a test defines', async () => {
    const change = (payload: object, header?: object) =>
      world.provider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const claims = { ...decodeJwt(String(answer['id_token'])), ...payload }
        return { ...answer, id_token: await signIdToken(claims, { ...header }) }
      })

    change({ nonce: 'another' })
    const { json } = await world.redeem(await world.signIn())
    expect(await verifyWithPublishedKeys(json['id_token'], clientId)).toMatchObject({ nonce: 'another' })

    change({}, { alg: 'none' })
    const unsigned = await world.redeem(await world.signIn())
    expect(String(unsigned.json['id_token']).endsWith('.')).toBe(true)
  })

  it('changes its key set', async () => {
    world.provider.transformKeys(() => [])

    expect((await world.get(world.provider.jwksUrl)).json).toEqual({ keys: [] })
  })

  it('refuses the next token request as configured, once, and keeps the code for the next', async () => {
    const signedIn = await world.signIn()
    world.provider.nextTokenError({
      error: 'interaction_required',
      error_codes: [50076],
      suberror: 'basic_action',
      claims: '{"access_token":{}}',
      grantType: 'authorization_code',
    })

    const answers = [await world.redeem(signedIn), await world.redeem(signedIn)]

    expect(answers.map(({ status }) => status)).toEqual([400, 200])
    expect(answers[0]?.json).toMatchObject({
      error: 'interaction_required',
      error_codes: [50076],
      suberror: 'basic_action',
      claims: '{"access_token":{}}',
    })
    expect(answers[0]?.json).not.toHaveProperty('grantType')
  })

  it('answers with the response of a fault, as often and for the grant type that the fault defines', async () => {
    const signedIn = await world.signIn()
    const fault = {
      endpoint: 'token',
      status: 503,
      body: '<html>',
      contentType: 'text/html',
      retryAfterSeconds: 7,
    } as const
    world.provider.faults.add({ ...fault, times: 1, grantType: 'refresh_token' })

    const code = await world.redeem(signedIn)
    const refreshes = [await world.refresh(code.json['refresh_token']), await world.refresh(code.json['refresh_token'])]

    expect(code.status).toBe(200)
    expect(refreshes.map(({ status }) => status)).toEqual([503, 200])
    expect(refreshes[0]).toMatchObject({ text: '<html>' })
    expect(refreshes[0]?.headers).toMatchObject({
      'retry-after': '7',
      'content-type': expect.stringContaining('text/html') as string,
    })
  })

  it('drops the connection before or after the work', async () => {
    const signedIn = await world.signIn()

    world.provider.faults.add({ endpoint: 'token', dropConnection: true, times: 1 })
    await expect(world.redeem(signedIn)).rejects.toThrow()
    world.provider.faults.add({ endpoint: 'token', loseAnswer: true, times: 1 })
    await expect(world.redeem(signedIn)).rejects.toThrow()

    expect((await world.redeem(signedIn)).json).toMatchObject({ error_codes: [54005] })
  })

  it('hangs, for one endpoint or for all, and is slow', async () => {
    world.provider.faults.add({ endpoint: '*', hang: true, times: 1 })
    const hung = world.get(world.provider.jwksUrl).catch(() => 'ended')
    expect(await Promise.race([hung, new Promise((done) => setTimeout(done, 100, 'waiting'))])).toBe('waiting')

    world.provider.faults.add({ endpoint: 'keys', delayMs: 50, times: 1 })
    expect((await world.get(world.provider.jwksUrl)).status).toBe(200)
  })

  it('accepts faults by its local route, from programs only', async () => {
    const { browserUrl } = world.provider
    const add = (type: string) =>
      fetch(`${browserUrl}/local/faults`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: JSON.stringify({ endpoint: 'keys', status: 500 }),
      })

    expect((await add('text/plain')).status).toBe(415)
    expect((await world.get(world.provider.jwksUrl)).status).toBe(200)
    expect((await add('application/json')).status).toBe(204)
    expect((await world.get(world.provider.jwksUrl)).status).toBe(500)
    expect((await fetch(`${browserUrl}/local/faults`, { method: 'DELETE' })).status).toBe(204)
    expect((await world.get(world.provider.jwksUrl)).status).toBe(200)
  })

  it('keeps a list of requests, until it is emptied', async () => {
    world.provider.resetRequests()

    const { json } = await world.redeem(await world.signIn())
    await world.refresh(json['refresh_token'])

    const tokens = world.provider.requests.filter(({ endpoint }) => endpoint === 'token')
    expect(tokens.map(({ method, status, grantType }) => [method, status, grantType])).toEqual([
      ['POST', 200, 'authorization_code'],
      ['POST', 200, 'refresh_token'],
    ])
    expect(tokens[0]?.form).toMatchObject({ client_id: clientId, redirect_uri: redirectUri })
    world.provider.resetRequests()
    expect(world.provider.requests).toEqual([])
  })

  it('lists the people who can sign in on its first page', async () => {
    const page = await (await fetch(world.provider.browserUrl)).text()

    for (const { username } of world.provider.people) expect(page).toContain(username)
    expect((await send(`https://localhost:${world.provider.port}/nowhere`, world.ca)).status).toBe(404)
  })
})

function signOutUrl(parameters: Record<string, string>): string {
  return `${world.provider.browserUrl}/${tenantId}/oauth2/v2.0/logout?${new URLSearchParams(parameters).toString()}`
}

async function followToPage(url: string): Promise<{ text: string; policy: string | null }> {
  const first = await fetch(url, { redirect: 'manual' })
  const cookie = first.headers
    .getSetCookie()
    .map((value) => value.split(';')[0])
    .join('; ')
  const page = await fetch(new URL(first.headers.get('location') ?? '', url), { headers: { cookie } })
  return { text: await page.text(), policy: page.headers.get('content-security-policy') }
}

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
