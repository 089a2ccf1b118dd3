import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { createRemoteJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT, UnsecuredJWT } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  app,
  authorizationRequest,
  authorize,
  newPkce,
  ordersRead,
  post,
  redeem,
  redirectUri,
  refresh,
} from '../setup/client.ts'
import { ada } from '../setup/person.ts'
import { desk, startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const scope = `openid profile email offline_access ${ordersRead}`
const modern: Registration = { ...app, id: 'modern', idTokenAlgorithm: 'ES256' }
/** A client that signs people in, and calls no API. */
const bare: Registration = { ...app, id: 'bare', apis: [] }
/** The only client with this page after a sign-out. */
const solo: Registration = { ...app, id: 'solo', signedOutUrls: ['https://solo.example.net/bye'] }
const other: Registration = { ...app, id: 'other', origins: ['https://other.example.net'] }

/** A client that speaks OpenID Connect, as its documentation shows; plain http is the only change, for loopback. */
describe('the broker as OpenID provider', () => {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the library marks it so that it is noticed
  const overHttp = { [oauth.allowInsecureRequests]: true }
  let stack: Stack
  let here: string
  let there: string
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [desk, app, modern, bare, other, solo], instances: 2 })
    ;[here, there] = stack.brokers.map(({ url }) => url) as [string, string]
  })
  afterAll(() => stack.close())

  const signIn = async (
    changes: Readonly<Record<string, string | undefined>> = {},
    person = stack.person(),
    username = ada,
  ) => {
    const pkce = newPkce()
    const request = authorizationRequest(pkce, { scope, nonce: 'n-of-the-client', ...changes })
    const answer = await authorize(person, request, username)
    const code = answer.get('code')!
    const tokens = await redeem(here, code, pkce, { client_id: request.client_id })
    return { person, answer, tokens: tokens.json as Record<string, string>, status: tokens.status }
  }
  const verify = async (idToken: string, audience = 'app') => {
    const { jwks_uri } = (await (await fetch(`${here}/.well-known/openid-configuration`)).json()) as {
      jwks_uri: string
    }
    return jwtVerify(idToken, createRemoteJWKSet(new URL(jwks_uri)), { issuer: here, audience })
  }
  const userinfo = (token: string, method = 'GET', headers: Readonly<Record<string, string>> = {}) =>
    fetch(`${here}/userinfo`, { method, headers: { authorization: `Bearer ${token}`, ...headers } })

  describe('its metadata', () => {
    it('is readable by every origin, and so are its keys; it names no endpoint or feature that fails', async () => {
      const response = await fetch(`${here}/.well-known/openid-configuration`, {
        headers: { origin: 'https://any.example' },
      })
      const metadata = (await response.json()) as Record<string, unknown>

      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(metadata).toMatchObject({
        issuer: here,
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'ES256'],
        request_uri_parameter_supported: false,
        scopes_supported: ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'],
      })
      const keys = await fetch(metadata.jwks_uri as string, { headers: { origin: 'https://any.example' } })
      expect(keys.headers.get('access-control-allow-origin')).toBe('*')
      expect(((await keys.json()) as { keys: object[] }).keys.length).toBeGreaterThan(0)
      for (const mode of metadata.response_modes_supported as string[]) {
        const request = authorizationRequest(newPkce(), { response_mode: mode })
        const { status, location, text } = await stack.person().signIn(request)
        expect([status, location ?? text]).toEqual(
          mode === 'form_post'
            ? [200, expect.stringContaining('name="code"')]
            : [303, expect.stringContaining('code=')],
        )
      }
    })

    it('contains no key of the client assertion, which is published at its own URL', async () => {
      const set = async (path: string) =>
        (await (await fetch(`${here}${path}`)).json()) as { keys: { kid: string; n?: string }[] }
      const [assertion, ids] = [await set('/.well-known/jwks.json'), await set('/.well-known/id-token-keys.json')]

      expect(assertion.keys.length).toBeGreaterThan(0)
      for (const { kid, n } of ids.keys) {
        expect(assertion.keys.map((key) => key.kid)).not.toContain(kid)
        if (n !== undefined) expect(assertion.keys.map((key) => key.n)).not.toContain(n)
      }
    })
  })

  it('issues an ID token for a code, signed by a key of the metadata, with the claims of the scopes', async () => {
    const { tokens } = await signIn()

    const { payload, protectedHeader } = await verify(tokens.id_token!)

    const shop = stack.person()
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT' })
    expect(payload).toMatchObject({
      iss: here,
      aud: 'app',
      nonce: 'n-of-the-client',
      name: 'Ada Lovelace',
      preferred_username: ada,
      email: ada,
      tid: '11111111-1111-4111-8111-111111111111',
    })
    expect(payload.exp! - payload.iat!).toBe(3600)
    expect(tokens.scope!.split(' ')).toEqual(['openid', 'profile', 'email', 'offline_access', ordersRead])
    expect(decodeJwt(tokens.access_token!)).toMatchObject({ aud: 'api://demo' })
    // The subject of /session.
    await shop.signIn({ frontend: 'desk' })
    const session = await shop.script({ id: 'desk', origin: desk.origins[0]! }, '/session')
    expect([payload.sub, payload.oid]).toEqual([session.json.subject, session.json.object_id])
  })

  it('issues one at each refresh, of the same person and session, without the nonce', async () => {
    const { tokens } = await signIn()
    const first = (await verify(tokens.id_token!)).payload

    const next = await refresh(there, tokens.refresh_token!)

    const { payload } = await verify(next.json.id_token as string)
    for (const claim of ['iss', 'aud', 'sub', 'sid', 'oid', 'tid', 'auth_time'])
      expect(payload[claim]).toEqual(first[claim])
    expect(payload).not.toHaveProperty('nonce')
    const narrower = await refresh(here, next.json.refresh_token as string, { scope: ordersRead })
    expect([narrower.status, narrower.json.scope]).toEqual([200, ordersRead])
    expect(narrower.json).not.toHaveProperty('id_token')
  })

  it('grants no more than was requested: the claims of the scopes, and no ID token without openid', async () => {
    const plain = await signIn({ scope: ordersRead })
    const narrow = await signIn({ scope: `openid ${ordersRead}` })

    expect(plain.tokens).not.toHaveProperty('id_token')
    expect(plain.tokens.scope).toBe(ordersRead)
    const { payload } = await verify(narrow.tokens.id_token!)
    for (const claim of ['name', 'preferred_username', 'email']) expect(payload).not.toHaveProperty(claim)
    const wider = await refresh(here, narrow.tokens.refresh_token!, { scope: 'openid profile email' })
    expect(wider.json.scope).toBe(`openid ${ordersRead}`)
    expect(decodeJwt(wider.json.id_token as string)).not.toHaveProperty('email')
  })

  it.each(['openid profile email phone address', 'openid groups roles profile email'])(
    'ignores scopes about the person that it does not have (%s), and names those that it granted',
    async (requested) => {
      const person = stack.person()
      const begun = await person.begin(authorizationRequest(newPkce(), { scope: requested }))
      const { tokens } = await signIn({ scope: requested }, person)
      const bareTokens = (await signIn({ scope: requested, client_id: 'bare' })).tokens

      // Entra ID refuses a scope that it does not know.
      expect(new URL(begun.location!).searchParams.get('scope')).toMatch(/^openid profile email offline_access api:/)
      expect(tokens.scope).toBe('openid profile email api://demo/orders.read api://demo/orders.write')
      expect(bareTokens.scope).toBe('openid profile email')
      expect((await refresh(there, tokens.refresh_token!, { scope: requested })).json.scope).toBe(tokens.scope)
    },
  )

  it('signs by ES256 where the registration sets it', async () => {
    const { tokens } = await signIn({ client_id: 'modern' })

    const { payload } = await verify(tokens.id_token!, 'modern')

    expect(decodeProtectedHeader(tokens.id_token!).alg).toBe('ES256')
    expect(payload.aud).toBe('modern')
  })

  it('answers in the fragment where the client requests it, errors too', async () => {
    const pkce = newPkce()
    const done = await stack.person().signIn(authorizationRequest(pkce, { response_mode: 'fragment' }))
    const refused = await stack
      .person()
      .begin(authorizationRequest(pkce, { response_mode: 'fragment', prompt: 'create' }))

    const answer = new URLSearchParams(new URL(done.location!).hash.slice(1))
    expect(Object.fromEntries(answer)).toMatchObject({ state: 'state-of-the-client', iss: here })
    expect(new URL(done.location!).search).toBe('')
    expect((await redeem(here, answer.get('code')!, pkce)).status).toBe(200)
    expect(new URLSearchParams(new URL(refused.location!).hash.slice(1)).get('error')).toBe('invalid_request')
  })

  describe('userinfo', () => {
    it('answers by GET, by POST and by a form, with the subject of the ID token', async () => {
      const { tokens } = await signIn()
      const { sub } = decodeJwt(tokens.id_token!)
      const form = new URLSearchParams({ access_token: tokens.access_token! })

      const answers = [
        await userinfo(tokens.access_token!),
        await userinfo(tokens.access_token!, 'POST'),
        await fetch(`${there}/userinfo`, { method: 'POST', body: form }),
      ]

      for (const answer of answers) {
        expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
        expect(await answer.json()).toMatchObject({ sub, name: 'Ada Lovelace', email: ada })
      }
    })

    it('answers for a renewed access token, and no longer after the sign-out', async () => {
      stack.identityProvider.settings.accessTokenSeconds = 4
      const { tokens } = await signIn()
      stack.identityProvider.settings.accessTokenSeconds = 3600
      const next = await refresh(here, tokens.refresh_token!)
      const renewed = next.json.access_token as string
      expect(renewed).not.toBe(tokens.access_token)
      expect((await userinfo(renewed)).status).toBe(200)

      await post('/revoke', { client_id: 'app', token: next.json.refresh_token as string }, { url: there })

      const after = await userinfo(renewed)
      expect([after.status, after.headers.get('www-authenticate')]).toEqual([401, 'Bearer error="invalid_token"'])
    })

    it.each([
      ['no token', {}],
      ['a made-up token', { authorization: 'Bearer made-up' }],
      ['a token in another scheme', { authorization: 'Basic YXBwOng=' }],
    ])('refuses %s as in RFC 6750', async (_, headers: Record<string, string>) => {
      const refused = await fetch(`${here}/userinfo`, { headers })

      expect(refused.status).toBe(401)
      expect(await refused.json()).toMatchObject({ error: 'invalid_token', code: 'access_token_invalid' })
    })

    it('refuses a token without openid, an ID token, a refresh token, a token in the query, and another client’s page', async () => {
      const { tokens } = await signIn()
      const plain = await signIn({ scope: ordersRead })

      const refused = [
        await userinfo(plain.tokens.access_token!),
        await userinfo(tokens.id_token!),
        await userinfo(tokens.refresh_token!),
        await fetch(`${here}/userinfo?access_token=${tokens.access_token!}`),
      ]
      const foreign = await userinfo(tokens.access_token!, 'GET', { origin: 'https://other.example.net' })

      expect(refused.map(({ status }) => status)).toEqual([401, 401, 401, 401])
      expect(foreign.status).toBe(400)
      expect((await userinfo(tokens.access_token!, 'GET', { origin: app.origins[0]! })).status).toBe(200)
    })
  })

  describe('for a client without an API', () => {
    it('signs in, with a token for userinfo that no API accepts, and nothing to refresh', async () => {
      const { tokens } = await signIn({ client_id: 'bare', scope: 'openid profile' })

      expect(Object.keys(tokens).sort()).toEqual(['access_token', 'expires_in', 'id_token', 'scope', 'token_type'])
      expect((await verify(tokens.id_token!, 'bare')).payload).toMatchObject({ name: 'Ada Lovelace' })
      expect(tokens.access_token).not.toMatch(/^eyJ/) // not one of the provider
      expect(await (await userinfo(tokens.access_token!)).json()).toMatchObject({ name: 'Ada Lovelace' })
    })

    it.each([undefined, 'profile', ordersRead, `openid ${ordersRead}`])('refuses the scope %s', async (requested) => {
      const begun = await stack.person().begin(authorizationRequest(newPkce(), { client_id: 'bare', scope: requested }))

      expect(new URL(begun.location!).searchParams.get('error')).toBe('invalid_scope')
    })
  })

  it('passes max_age on, and refuses an answer of a provider that does not name the time or authenticated too long ago', async () => {
    const person = stack.person()
    const { tokens } = await signIn({ max_age: '600' }, person)
    expect(decodeJwt(tokens.id_token!).auth_time).toBeGreaterThan(Date.now() / 1000 - 600)

    const begun = await person.begin(authorizationRequest(newPkce(), { scope, max_age: '0' }))
    expect(new URL(begun.location!).searchParams.get('max_age')).toBe('0')

    for (const auth_time of [undefined, Math.floor(Date.now() / 1000) - 3600]) {
      stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const claims = { ...decodeJwt(answer.id_token as string), auth_time }
        return { ...answer, id_token: await signIdToken(claims) }
      })
      const answer = await authorize(stack.person(), authorizationRequest(newPkce(), { scope, max_age: '600' }))
      expect(Object.fromEntries(answer)).toMatchObject({ error: 'login_required' })
      expect(answer.has('code')).toBe(false)
    }
    stack.identityProvider.changeTokenResponse(({ answer }) => answer)
  })

  it.each(['login', 'consent login'])(
    'refuses an answer to prompt=%s where the provider names an earlier sign-in',
    async (prompt) => {
      const request = authorizationRequest(newPkce(), { scope, prompt })
      const answerWith = async (auth_time: number | undefined, person = stack.person()) => {
        stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
          const claims = { ...decodeJwt(answer.id_token as string), auth_time }
          return { ...answer, id_token: await signIdToken(claims) }
        })
        return authorize(person, request)
      }
      const now = Math.floor(Date.now() / 1000)

      // As after an attacker at the person's browser removed the prompt from the URL of the provider.
      const refused = await answerWith(now - 3600)
      const [fresh, unnamed] = [await answerWith(now), await answerWith(undefined)]
      stack.identityProvider.changeTokenResponse(({ answer }) => answer)

      expect([refused.get('error'), refused.has('code')]).toEqual(['login_required', false])
      expect([fresh.has('code'), unnamed.has('code')]).toEqual([true, true])
    },
  )

  describe('the parameter claims', () => {
    const claimsOf = (value: object) => ({ claims: JSON.stringify(value) })
    const withAcr = async (acr: string | undefined, changes: Readonly<Record<string, string>>) => {
      stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const claims = { ...decodeJwt(answer.id_token as string), acr }
        return { ...answer, id_token: await signIdToken(claims) }
      })
      try {
        return await signIn(changes)
      } finally {
        stack.identityProvider.changeTokenResponse(({ answer }) => answer)
      }
    }
    const sentBy = async (changes: Readonly<Record<string, string>>) => {
      const begun = await stack.person().begin(authorizationRequest(newPkce(), { scope: 'openid', ...changes }))
      return new URL(begun.location!).searchParams
    }

    it('ignores voluntary parts, and grants the scopes of essential ones', async () => {
      const voluntary = {
        id_token: { email: null, acr: { values: ['a'] } },
        userinfo: { name: { essential: false } },
        x: 1,
      }
      expect((await sentBy(claimsOf(voluntary))).get('claims')).toBe('{"access_token":{"xms_cc":{"values":["cp1"]}}}')
      const plain = await signIn({ scope: `openid ${ordersRead}`, ...claimsOf(voluntary) })
      const wider = await signIn({
        scope: `openid ${ordersRead}`,
        ...claimsOf({ userinfo: { email: { essential: true } }, id_token: { phone_number: { essential: true } } }),
      })

      expect(plain.tokens.scope).toBe(`openid ${ordersRead}`)
      expect(decodeJwt(plain.tokens.id_token!)).not.toHaveProperty('email')
      expect(wider.tokens.scope).toBe(`openid email ${ordersRead}`)
      expect(decodeJwt(wider.tokens.id_token!)).toMatchObject({ email: ada })
      expect(decodeJwt(wider.tokens.id_token!)).not.toHaveProperty('name')
    })

    it('passes an essential acr on beside a claims challenge, and accepts no other one', async () => {
      const id_token = { acr: { essential: true, values: ['phr', 'urn:mfa'] }, auth_time: { essential: true } }
      const access_token = { acrs: { essential: true, value: 'c1' } }
      const request = claimsOf({ id_token, access_token })

      expect(JSON.parse((await sentBy(request)).get('claims')!)).toEqual({
        access_token: { ...access_token, xms_cc: { values: ['cp1'] } },
        id_token,
      })
      const met = await withAcr('urn:mfa', request)
      expect(decodeJwt(met.tokens.id_token!).acr).toBe('urn:mfa')
      const renewed = await refresh(there, met.tokens.refresh_token!)
      expect(decodeJwt(renewed.json.id_token as string).acr).toBe('urn:mfa')
      for (const acr of [undefined, 'pwd', 'urn:mfa ']) {
        const { answer } = await withAcr(acr, request)
        expect([answer.get('error'), answer.has('code')]).toEqual(['unmet_authentication_requirements', false])
      }
    })

    it('answers for the person of its sub alone', async () => {
      const { sub } = decodeJwt((await signIn()).tokens.id_token!)
      const of = (value: unknown) => signIn(claimsOf({ id_token: { sub: { value } } }))

      expect((await of(sub)).answer.has('code')).toBe(true)
      expect((await of(`${sub}x`)).answer.get('error')).toBe('login_required')
    })

    it.each([
      '[]',
      '{"id_token":[]}',
      '{"id_token":{"acr":"a"}}',
      '{"id_token":{"acr":{"essential":true,"values":"a"}}}',
      '{"id_token":{"acr":{"essential":true,"values":["a b"]}}}',
      '{"id_token":{"acr":{"essential":true,"value":"<script>"}}}',
      '{"id_token":{"sub":{"value":{}}}}',
      '{"access_token":{"email":null},"id_token":{}}',
      '{',
    ])('is refused as %s', async (claims) => {
      expect(Object.fromEntries(await sentBy({ claims }))).toMatchObject({
        error: 'invalid_request',
        error_description: 'claims_not_allowed',
      })
    })

    it('passes acr_values on, within an allow-list of characters', async () => {
      const values = 'urn:mace:incommon:iap:silver phr'
      for (const same of [values, ` ${values.replace(' ', '  ')} `]) {
        expect((await sentBy({ acr_values: same })).get('acr_values')).toBe(values)
      }
      for (const refused of ['a,b', 'a"b', 'é', '<a>', Array(11).fill('a').join(' '), 'a'.repeat(129)]) {
        expect((await sentBy({ acr_values: refused })).get('error_description')).toBe('parameter_invalid')
      }
    })
  })

  it('accepts a posted request: the browser repeats it by GET, with its cookies (Core §3.1.2.1)', async () => {
    const { person } = await signIn({ client_id: 'modern' })
    const pkce = newPkce()
    const request = new URLSearchParams(authorizationRequest(pkce, { client_id: 'modern', prompt: 'none' }))
    const form = (body: string) => ({
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'cross-site' },
    })

    const posted = await person.open('/login', form(request.toString()))

    expect([posted.status, posted.location, posted.cookies]).toEqual([303, `${here}/login?${request.toString()}`, []])
    expect(new URL((await person.open(posted.location!)).location!).searchParams.get('error')).toBeNull()
    // Only an OAuth client's: a session front end has links.
    expect((await person.open('/login', form('frontend=desk'))).status).toBe(405)
    expect((await person.open('/login', form(`client_id=modern&state=${'a'.repeat(8000)}`))).status).toBe(414)
  })

  it('answers prompt=none for the person of id_token_hint only', async () => {
    const { person, tokens } = await signIn({ client_id: 'modern' })
    const payload = (changes: object) =>
      Buffer.from(JSON.stringify({ ...decodeJwt(tokens.id_token!), ...changes })).toString('base64url')
    const silent = async (id_token_hint: string, changes = {}) => {
      const request = { client_id: 'modern', prompt: 'none', id_token_hint, ...changes }
      const done = await person.signIn(authorizationRequest(newPkce(), request))
      return new URL(done.location!).searchParams.get('error')
    }

    expect(await silent(tokens.id_token!)).toBeNull()
    expect(await silent(`e30.${payload({ sub: 'another' })}.x`)).toBe('login_required')
    // A hint of another issuer or client says nothing here, and one that is no token neither.
    expect(await silent(`e30.${payload({ sub: 'another', aud: 'app' })}.x`)).toBeNull()
    expect(await silent(`e30.${payload({ sub: 'another', iss: 'https://other.example' })}.x`)).toBeNull()
    expect(await silent('x'.repeat(5000))).toBeNull()
  })

  describe('the parameter resource', () => {
    it('selects the API, at /login and at /token', async () => {
      const pkce = newPkce()
      const request = authorizationRequest(pkce, { scope: 'openid', resource: 'api://bills' })
      const code = (await authorize(stack.person(), request)).get('code')!

      const refused = await redeem(here, code, pkce, { resource: 'api://demo' })
      const tokens = await redeem(here, code, pkce, { resource: 'api://bills' })

      expect([refused.status, refused.json.error]).toEqual([400, 'invalid_target'])
      expect([tokens.status, tokens.json.scope]).toEqual([200, 'openid api://bills/read'])
      const token = tokens.json.refresh_token as string
      expect((await refresh(here, token, { resource: 'api://demo' })).json.error).toBe('invalid_target')
      expect((await refresh(here, token, { resource: 'api://bills' })).status).toBe(200)
    })

    it.each([
      'api://other',
      'api://demo/',
      'api://DEMO',
      'api://demo api://bills',
      'https://evil.example/&scope=x',
      'api:',
    ])('is invalid_target for %s, and for an API that the scopes do not belong to', async (resource) => {
      const refusals = [
        await stack.person().begin(authorizationRequest(newPkce(), { scope: 'openid', resource })),
        await stack.person().begin(authorizationRequest(newPkce(), { scope: ordersRead, resource: 'api://bills' })),
      ]

      for (const { location } of refusals) {
        expect(new URL(location!).searchParams.get('error')).toBe('invalid_target')
        expect(location).not.toContain('evil')
      }
      expect((await signIn({ scope: ordersRead, resource: 'api://demo' })).status).toBe(200)
    })
  })

  describe('a grant for several APIs', () => {
    const both = `openid ${ordersRead} api://bills/read`
    const scopeOf = ({ json }: { json: Readonly<Record<string, unknown>> }) => String(json.scope ?? json.error)

    it.each<[string, Readonly<Record<string, string>>]>([
      ['its scope', { scope: 'api://bills/read' }],
      ['its resource', { resource: 'api://bills' }],
      ['its resource, with all granted scopes', { resource: 'api://bills', scope: both }],
    ])('is for the first one, and a refresh selects another one by %s, on any instance', async (_, selection) => {
      const { tokens } = await signIn({ scope: both })
      expect(tokens.scope).toBe(`openid ${ordersRead}`)

      const other = await refresh(there, tokens.refresh_token!, selection)
      const first = await refresh(here, other.json.refresh_token as string)

      expect([scopeOf(other).split(' ').at(-1), scopeOf(first)]).toEqual(['api://bills/read', `openid ${ordersRead}`])
      expect(decodeJwt(other.json.access_token as string)).toMatchObject({ scp: 'read' })
      expect(first.json.access_token).toBe(tokens.access_token)
    })

    it('is for the API of the first resource, and has the APIs of the others', async () => {
      const pkce = newPkce()
      const query = new URLSearchParams(authorizationRequest(pkce, { scope: 'openid' }))
      for (const resource of ['api://bills', 'api://demo']) query.append('resource', resource)
      const code = (await authorize(stack.person(), query)).get('code')!

      // The code is for the first one. It is not used up by the refusal.
      expect((await redeem(here, code, pkce, { resource: 'api://demo' })).json.error).toBe('invalid_target')
      const tokens = await redeem(here, code, pkce, { resource: 'api://bills' })
      const demo = await refresh(here, tokens.json.refresh_token as string, {
        resource: 'api://demo',
        scope: ordersRead,
      })

      expect(scopeOf(tokens)).toBe('openid api://bills/read')
      expect(scopeOf(demo)).toBe(ordersRead)
    })

    it('gives no scope that was not granted, and nothing for a resource that is not registered', async () => {
      const { tokens } = await signIn({ scope: both })
      const token = tokens.refresh_token!

      expect(scopeOf(await refresh(here, token, { scope: 'api://demo/orders.write' }))).toBe('invalid_scope')
      expect(scopeOf(await refresh(here, token, { resource: 'api://other' }))).toBe('invalid_target')
      expect(scopeOf(await refresh(here, token, { scope: ordersRead, resource: 'api://bills' }))).toBe('invalid_target')
      expect((await refresh(here, token)).status).toBe(200)
    })
  })

  describe('a sign-out by redirect', () => {
    const page = 'http://127.0.0.1:5173/'
    const endSession = (parameters: Readonly<Record<string, string>>, person = stack.person()) =>
      person.open(`/end-session?${new URLSearchParams(parameters).toString()}`)

    it('ends the session of the ID token, at the provider too, and returns with the state', async () => {
      const { person, tokens } = await signIn({ client_id: 'modern' })

      const out = await endSession(
        { id_token_hint: tokens.id_token!, post_logout_redirect_uri: page, state: 'of the client' },
        person,
      )

      expect(out.status).toBe(303)
      const atProvider = new URL(out.location!)
      expect(atProvider.searchParams.get('post_logout_redirect_uri')).toBe(`${here}/logout/done`)
      // Of the provider's ID token; the client does not know it.
      expect(atProvider.searchParams.get('logout_hint')).toMatch(/^O\../)
      const state = atProvider.searchParams.get('state')!
      const done = await person.open(`/logout/done?${new URLSearchParams({ state }).toString()}`)
      expect(done.location).toBe(`${page}?state=of+the+client`)
      expect((await refresh(there, tokens.refresh_token!, { client_id: 'modern' })).json.error).toBe('invalid_grant')
      const begun = await person.begin(authorizationRequest(newPkce(), { client_id: 'modern', prompt: 'none' }))
      expect(new URL(begun.location!).searchParams.get('error')).toBe('login_required') // its mark has ended
    })

    it('by POST does the same', async () => {
      const { tokens, person } = await signIn()
      const body = new URLSearchParams({ id_token_hint: tokens.id_token!, client_id: 'app' })

      const out = await person.open('/end-session', { method: 'POST', body })

      expect(out.status).toBe(303)
      expect((await refresh(here, tokens.refresh_token!)).json.error).toBe('invalid_grant')
    })

    it('without an ID token ends no session here: a link on another site cannot sign a person out', async () => {
      const { person, tokens } = await signIn()

      const out = await endSession({ client_id: 'app', post_logout_redirect_uri: page }, person)

      expect([out.status, new URL(out.location!).origin]).toEqual([
        303,
        new URL(stack.identityProvider.browserUrl).origin,
      ])
      expect((await refresh(here, tokens.refresh_token!)).status).toBe(200)
    })

    it('goes to registered pages only, and ends no session where it is refused', async () => {
      const { tokens } = await signIn()
      const hint = { id_token_hint: tokens.id_token! }
      const [header, payload, signature] = tokens.id_token!.split('.') as [string, string, string]
      const forged = Buffer.from(JSON.stringify({ ...decodeJwt(tokens.id_token!), sid: 'a.b' })).toString('base64url')
      const none = Buffer.from('{"alg":"none"}').toString('base64url')
      const hmac = Buffer.from(JSON.stringify({ ...decodeProtectedHeader(tokens.id_token!), alg: 'HS256' })).toString(
        'base64url',
      )

      for (const to of [
        'https://evil.example/',
        `${page}x`,
        `${page}?a`,
        '//evil.example',
        'javascript:alert(1)',
        'http://127.0.0.1:5173\\@evil.example/',
      ]) {
        const refused = await endSession({ ...hint, post_logout_redirect_uri: to })
        expect([refused.status, refused.location], to).toEqual([400, null])
        expect(refused.text).not.toContain('evil.example')
      }
      for (const id_token_hint of [
        `${header}.${forged}.${signature}`,
        `${none}.${payload}.`,
        `${hmac}.${payload}.${signature}`,
        'x',
        tokens.access_token!,
        `${tokens.id_token!}.x`,
      ]) {
        expect((await endSession({ id_token_hint, client_id: 'app' })).text).toContain('id_token_hint_invalid')
      }
      expect((await endSession({ ...hint, client_id: 'other' })).text).toContain('id_token_hint_invalid')
      expect((await endSession({ client_id: 'nobody' })).text).toContain('client_unknown')
      expect((await endSession({})).text).toContain('client_unknown')
      expect((await refresh(here, tokens.refresh_token!)).status).toBe(200)
    })

    it('by a prefetch ends no session', async () => {
      const { person, tokens } = await signIn()
      const query = new URLSearchParams({ id_token_hint: tokens.id_token! }).toString()

      const refused = await person.open(`/end-session?${query}`, { headers: { 'sec-purpose': 'prefetch' } })

      expect([refused.status, refused.location]).toEqual([403, null])
      expect((await refresh(here, tokens.refresh_token!)).status).toBe(200)
    })

    it('ends the mark of the client at once: a provider may have no sign-out to come back from', async () => {
      const { person, tokens } = await signIn({ client_id: 'modern' })
      const silent = async () => {
        const begun = await person.begin(authorizationRequest(newPkce(), { client_id: 'modern', prompt: 'none' }))
        return new URL(begun.location!).searchParams.get('error')
      }
      await endSession({ client_id: 'modern' }, person)
      expect(await silent()).toBeNull() // nothing proves that the client knows the person

      await endSession({ id_token_hint: tokens.id_token! }, person)

      expect(await silent()).toBe('login_required')
      // A provider may drop the state: the mark is gone, and the page still leads to the client.
      const done = await person.open('/logout/done')
      expect(done.text).toContain(`href="${page}"`)
    })

    it('by an ID token with an expired key is one without a session: the person still signs out at the provider', async () => {
      const { person, tokens } = await signIn()
      const [, payload, signature] = tokens.id_token!.split('.') as [string, string, string]
      const withHeader = (header: object) =>
        `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}.${signature}`
      const kid = 'k'.repeat(43)

      const out = await endSession({ id_token_hint: withHeader({ alg: 'RS256', kid }) }, person)
      expect([out.status, new URL(out.location!).origin]).toEqual([
        303,
        new URL(stack.identityProvider.browserUrl).origin,
      ])
      for (const header of [
        { alg: 'HS256', kid },
        { alg: 'none', kid },
        { alg: 'RS256' },
        { alg: 'RS256', kid: [kid] },
      ]) {
        const refused = await endSession({ id_token_hint: withHeader(header) }, person)
        expect(refused.text, JSON.stringify(header)).toContain('id_token_hint_invalid')
      }
      expect((await refresh(here, tokens.refresh_token!)).status).toBe(200)
    })

    it.each(['x'.repeat(1024), 'ł'.repeat(700)])(
      'carries the longest state through the provider (%#)',
      async (state) => {
        const { person, tokens } = await signIn()

        const out = await endSession({ id_token_hint: tokens.id_token!, state }, person)
        const sealed = new URL(out.location!).searchParams.get('state')!
        const done = await person.open(`/logout/done?${new URLSearchParams({ state: sealed }).toString()}`)

        expect(new URL(done.location!).searchParams.get('state')).toBe(state)
      },
    )

    it('finds the client by the page to return to, where one client alone has it, and ends no session', async () => {
      const { person, tokens } = await signIn({ client_id: 'solo' })

      const out = await endSession({ post_logout_redirect_uri: 'https://solo.example.net/bye', state: 's' }, person)
      const sealed = new URL(out.location!).searchParams.get('state')!
      const done = await person.open(`/logout/done?${new URLSearchParams({ state: sealed }).toString()}`)

      expect(done.location).toBe('https://solo.example.net/bye?state=s')
      expect((await refresh(here, tokens.refresh_token!, { client_id: 'solo' })).status).toBe(200)
      // Several clients have the first page, none the second.
      for (const post_logout_redirect_uri of [page, 'https://evil.example/']) {
        const refused = await endSession({ post_logout_redirect_uri }, person)
        expect([refused.status, refused.location], post_logout_redirect_uri).toEqual([400, null])
        expect(refused.text).toContain('client_unknown')
      }
    })

    it('refuses a state that would not come back', async () => {
      const { person, tokens } = await signIn()

      for (const state of ['x'.repeat(1025), '東'.repeat(1024)]) {
        const body = new URLSearchParams({ id_token_hint: tokens.id_token!, state })
        const refused = await person.open('/end-session', { method: 'POST', body })
        expect([refused.status, refused.location]).toEqual([400, null])
      }
      expect((await refresh(here, tokens.refresh_token!)).status).toBe(200)
    })

    it('ends a code that waits for its client, and by an ID token whose session is over it does not', async () => {
      const { person, tokens } = await signIn()
      const codeFor = async () => {
        const pkce = newPkce()
        const code = (await authorize(person, authorizationRequest(pkce))).get('code')!
        return () => redeem(here, code, pkce)
      }
      const waiting = await codeFor()
      await endSession({ id_token_hint: tokens.id_token! }, person)
      expect((await waiting()).json.error).toBe('invalid_grant')

      // A thief of the ID token keeps sending it. The person is signed in at the provider, and signs in again.
      const later = await codeFor()
      await endSession({ id_token_hint: tokens.id_token! })
      expect((await later()).status).toBe(200)
    })

    it('by the ID token of one session leaves the other sessions of the person', async () => {
      const [first, second] = [await signIn(), await signIn()]

      await endSession({ id_token_hint: first.tokens.id_token! }, first.person)

      expect((await refresh(here, first.tokens.refresh_token!)).json.error).toBe('invalid_grant')
      expect((await refresh(here, second.tokens.refresh_token!)).status).toBe(200)
    })
  })

  it('keeps clients apart: a code and an ID token of one are rejected for the other', async () => {
    const pkce = newPkce()
    const code = (await authorize(stack.person(), authorizationRequest(pkce, { scope }))).get('code')!

    const refused = await post(
      '/token',
      {
        grant_type: 'authorization_code',
        client_id: 'other',
        redirect_uri: redirectUri,
        code,
        code_verifier: pkce.codeVerifier,
      },
      { url: here, headers: { origin: 'https://other.example.net' } },
    )

    expect(refused.json.error).toBe('invalid_grant')
    const { tokens } = await signIn()
    await expect(verify(tokens.id_token!, 'other')).rejects.toThrow(/aud/)
    await expect(verify(tokens.id_token!)).resolves.toBeDefined()
  })

  it('binds each ID token to the access token beside it', async () => {
    const { tokens } = await signIn()
    const next = (await refresh(there, tokens.refresh_token!)).json as Record<string, string>
    const bare = await signIn({ client_id: 'bare', scope: 'openid' })

    for (const answer of [tokens, next, bare.tokens]) {
      // Core §3.1.3.6: the left half of the hash.
      const half = createHash('sha256').update(answer.access_token!).digest().subarray(0, 16).toString('base64url')
      expect(decodeJwt(answer.id_token!).at_hash).toBe(half)
    }
  })

  it.each(['app', 'modern'])(
    'publishes keys by which a client refuses every forged ID token (%s)',
    async (client_id) => {
      const { tokens } = await signIn({ client_id })
      const { keys } = (await (await fetch(`${here}/.well-known/id-token-keys.json`)).json()) as { keys: JsonWebKey[] }
      const header = decodeProtectedHeader(tokens.id_token!) as { alg: string; kid: string; typ: string }
      const claims = { ...decodeJwt(tokens.id_token!), sub: 'another person' }
      const key = keys.find(({ kid }) => kid === header.kid)!
      const publicKey = createPublicKey({ key, format: 'jwk' })
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const sign = (alg: string, by: Parameters<SignJWT['sign']>[0], changes: object = {}) =>
        new SignJWT(claims).setProtectedHeader({ ...header, alg, ...changes }).sign(by)
      const secrets = [
        publicKey.export({ type: 'spki', format: 'pem' }),
        publicKey.export({ type: 'spki', format: 'der' }),
      ]

      const forged = [
        new UnsecuredJWT(claims).encode(),
        // The public key as the secret of an HMAC.
        ...(await Promise.all(secrets.map((secret) => sign('HS256', Buffer.from(secret))))),
        await sign('RS256', rsa.privateKey),
        await sign('PS256', rsa.privateKey),
        await sign('ES256', elliptic.privateKey),
        await sign('RS256', rsa.privateKey, { jwk: rsa.publicKey.export({ format: 'jwk' }) }),
        await sign('RS256', rsa.privateKey, { kid: 'unknown', jku: 'https://attacker.example/jwks.json' }),
        `${tokens.id_token!.split('.')[0]}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${tokens.id_token!.split('.')[2]}`,
      ]

      for (const token of forged) await expect(verify(token, client_id)).rejects.toThrow()
      await expect(verify(tokens.id_token!, client_id)).resolves.toBeDefined()
      // One algorithm for each key, and nothing of a private or a symmetric one.
      for (const { kty, alg, use, ...members } of keys) {
        expect([kty, alg, use]).toEqual(kty === 'RSA' ? ['RSA', 'RS256', 'sig'] : ['EC', 'ES256', 'sig'])
        expect(Object.keys(members).filter((one) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(one))).toEqual([])
      }
    },
  )

  it('answers at userinfo for the person of the access token, and a library refuses that of another person', async () => {
    const [one, two] = [await signIn(), await signIn({}, stack.person(), 'grace@contoso.example')]
    const subOf = ({ tokens }: typeof one) => decodeJwt(tokens.id_token!).sub!
    expect(subOf(one)).not.toBe(subOf(two))
    const server = { issuer: here, userinfo_endpoint: `${here}/userinfo` }
    const client: oauth.Client = { client_id: 'app' }
    const read = async (sub: string, token: string) =>
      oauth.processUserInfoResponse(server, client, sub, await oauth.userInfoRequest(server, client, token, overHttp))

    expect(await read(subOf(two), two.tokens.access_token!)).toMatchObject({
      preferred_username: 'grace@contoso.example',
    })
    await expect(read(subOf(one), two.tokens.access_token!)).rejects.toThrow(/sub/)
  })

  it('works with oauth4webapi by its quick start: discovery, nonce, ID token, userinfo', async () => {
    const issuer = new URL(here)
    const client: oauth.Client = { client_id: 'app' }
    const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, overHttp))
    const codeVerifier = oauth.generateRandomCodeVerifier()
    const [nonce, state] = [oauth.generateRandomNonce(), oauth.generateRandomState()]
    const done = await stack.person().signIn({
      ...{ client_id: 'app', redirect_uri: redirectUri, response_type: 'code', scope: 'openid email', nonce, state },
      code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
    })

    const checked = oauth.validateAuthResponse(server, client, new URL(done.location!), state)
    const response = await oauth.authorizationCodeGrantRequest(
      ...([server, client, oauth.None(), checked, redirectUri, codeVerifier, overHttp] as const),
    )
    const expected = { expectedNonce: nonce, requireIdToken: true }
    const result = await oauth.processAuthorizationCodeResponse(server, client, response, expected)
    await oauth.validateApplicationLevelSignature(server, response, overHttp)

    const { sub } = oauth.getValidatedIdTokenClaims(result)!
    const about = await oauth.userInfoRequest(server, client, result.access_token, overHttp)
    expect(await oauth.processUserInfoResponse(server, client, sub, about)).toMatchObject({ sub, email: ada })
    const again = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), result.refresh_token!, overHttp)
    expect(
      oauth.getValidatedIdTokenClaims(await oauth.processRefreshTokenResponse(server, client, again)),
    ).toMatchObject({ sub })
  })

  it('works with openid-client by its quick start, for a client without an API too', async () => {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the library marks it so that it is noticed
    const options = { execute: [openid.allowInsecureRequests] }
    const config = await openid.discovery(new URL(here), 'bare', undefined, openid.None(), options)
    openid.enableNonRepudiationChecks(config)
    const pkceCodeVerifier = openid.randomPKCECodeVerifier()
    const [expectedNonce, expectedState] = [openid.randomNonce(), openid.randomState()]
    const url = openid.buildAuthorizationUrl(config, {
      ...{ redirect_uri: redirectUri, scope: 'openid profile', nonce: expectedNonce, state: expectedState },
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    })
    const done = await stack.person().signIn(Object.fromEntries(url.searchParams))

    const checks = { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true }
    const tokens = await openid.authorizationCodeGrant(config, new URL(done.location!), checks)

    const { sub, name } = tokens.claims()!
    expect(name).toBe('Ada Lovelace')
    expect(await openid.fetchUserInfo(config, tokens.access_token, sub)).toMatchObject({ name })
  })
})
