/** A client that speaks OpenID Connect, as its documentation shows; plain http is the only change, for loopback. */
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto'
import type { JsonWebKey } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader, SignJWT, UnsecuredJWT } from 'jose'
import * as oauth from 'oauth4webapi'
import * as openid from 'openid-client'
import { describe, expect, it } from 'vitest'
import { claimsOfScope } from '../../shared/settings/openid-scopes.ts'
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
import { desk } from '../setup/stack.ts'
import { scope, useOpenIdProvider } from './openid-provider.ts'

describe('the broker as OpenID provider', () => {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- the library marks it so that it is noticed
  const overHttp = { [oauth.allowInsecureRequests]: true }
  const op = useOpenIdProvider()

  const userinfo = (token: string, method = 'GET', headers: Readonly<Record<string, string>> = {}) =>
    fetch(`${op.here}/userinfo`, { method, headers: { authorization: `Bearer ${token}`, ...headers } })

  describe('its metadata', () => {
    it('is readable by every origin, and so are its keys; it names no endpoint or feature that fails', async () => {
      const response = await fetch(`${op.here}/.well-known/openid-configuration`, {
        headers: { origin: 'https://any.example' },
      })
      const metadata = (await response.json()) as Record<string, unknown>

      expect(response.headers.get('access-control-allow-origin')).toBe('*')
      expect(metadata).toMatchObject({
        issuer: op.here,
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256', 'ES256'],
        request_uri_parameter_supported: false,
        scopes_supported: ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'],
        claims_supported: expect.arrayContaining(Object.values(claimsOfScope).flat()) as string[],
      })
      // RFC 7591, 7662, 8628, 9101, 9126, 9449; Session Management, Front-Channel and Back-Channel Logout.
      const others =
        /^(registration|introspection|device|pushed|backchannel|check_session|frontchannel|dpop|require|request_object|tls|mtls)/
      expect(Object.keys(metadata).filter((name) => others.test(name))).toEqual([])
      const oauth = await fetch(`${op.here}/.well-known/oauth-authorization-server`, {
        headers: { origin: 'https://any.example' },
      })
      expect(oauth.headers.get('access-control-allow-origin')).toBe('*')
      const ofServer = (await oauth.json()) as Record<string, unknown>
      expect(metadata).toMatchObject(ofServer)
      expect(ofServer.scopes_supported).toEqual(metadata.scopes_supported) // RECOMMENDED (RFC 8414 §2)
      const keys = await fetch(metadata.jwks_uri as string, { headers: { origin: 'https://any.example' } })
      expect(keys.headers.get('access-control-allow-origin')).toBe('*')
      expect(keys.headers.get('content-type')).toBe('application/json')
      expect(((await keys.json()) as { keys: object[] }).keys.length).toBeGreaterThan(0)
      for (const mode of metadata.response_modes_supported as string[]) {
        const request = authorizationRequest(newPkce(), { response_mode: mode })
        const { status, location, text } = await op.stack.person().signIn(request)
        expect([status, location ?? text]).toEqual(
          mode === 'form_post'
            ? [200, expect.stringContaining('name="code"')]
            : [303, expect.stringContaining('code=')],
        )
      }
    })

    it('contains no key of the client assertion, which is published at its own URL', async () => {
      const set = async (path: string) =>
        (await (await fetch(`${op.here}${path}`)).json()) as { keys: { kid: string; n?: string }[] }
      const [assertion, ids] = [await set('/.well-known/jwks.json'), await set('/.well-known/id-token-keys.json')]

      expect(assertion.keys.length).toBeGreaterThan(0)
      for (const { kid, n } of ids.keys) {
        expect(assertion.keys.map((key) => key.kid)).not.toContain(kid)
        if (n !== undefined) expect(assertion.keys.map((key) => key.n)).not.toContain(n)
      }
    })
  })

  it('issues an ID token for a code, signed by a key of the metadata, with the claims of the scopes', async () => {
    const { tokens } = await op.signIn()

    const { payload, protectedHeader } = await op.verify(tokens.id_token!)

    const shop = op.stack.person()
    expect(protectedHeader).toMatchObject({ alg: 'RS256', typ: 'JWT' })
    expect(payload).toMatchObject({
      iss: op.here,
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
    const { tokens } = await op.signIn()
    const first = (await op.verify(tokens.id_token!)).payload

    const next = await refresh(op.there, tokens.refresh_token!)

    const { payload } = await op.verify(next.json.id_token as string)
    for (const claim of ['iss', 'aud', 'sub', 'sid', 'oid', 'tid', 'auth_time'])
      expect(payload[claim]).toEqual(first[claim])
    expect(payload).not.toHaveProperty('nonce')
    const narrower = await refresh(op.here, next.json.refresh_token as string, { scope: ordersRead })
    expect([narrower.status, narrower.json.scope]).toEqual([200, ordersRead])
    expect(narrower.json).not.toHaveProperty('id_token')
  })

  it('grants no more than was requested: the claims of the scopes, and no ID token without openid', async () => {
    const plain = await op.signIn({ scope: ordersRead })
    const narrow = await op.signIn({ scope: `openid ${ordersRead}` })

    expect(plain.tokens).not.toHaveProperty('id_token')
    expect(plain.tokens.scope).toBe(ordersRead)
    const { payload } = await op.verify(narrow.tokens.id_token!)
    for (const claim of ['name', 'preferred_username', 'email']) expect(payload).not.toHaveProperty(claim)
    const wider = await refresh(op.here, narrow.tokens.refresh_token!, { scope: 'openid profile email' })
    expect(wider.json.scope).toBe(`openid ${ordersRead}`)
    expect(decodeJwt(wider.json.id_token as string)).not.toHaveProperty('email')
  })

  it.each(['openid profile email phone address', 'openid groups roles profile email'])(
    'ignores scopes about the person that it does not have (%s), and names those that it granted',
    async (requested) => {
      const person = op.stack.person()
      const begun = await person.begin(authorizationRequest(newPkce(), { scope: requested }))
      const { tokens } = await op.signIn({ scope: requested }, person)
      const bareTokens = (await op.signIn({ scope: requested, client_id: 'bare' })).tokens

      // Entra ID refuses a scope that it does not know.
      expect(new URL(begun.location!).searchParams.get('scope')).toMatch(/^openid profile email offline_access api:/)
      expect(tokens.scope).toBe('openid profile email api://demo/orders.read api://demo/orders.write')
      expect(bareTokens.scope).toBe('openid profile email')
      expect((await refresh(op.there, tokens.refresh_token!, { scope: requested })).json.scope).toBe(tokens.scope)
    },
  )

  it('signs by ES256 where the registration sets it', async () => {
    const { tokens } = await op.signIn({ client_id: 'modern' })

    const { payload } = await op.verify(tokens.id_token!, 'modern')

    expect(decodeProtectedHeader(tokens.id_token!).alg).toBe('ES256')
    expect(payload.aud).toBe('modern')
  })

  it('answers in the fragment where the client requests it, errors too', async () => {
    const pkce = newPkce()
    const done = await op.stack.person().signIn(authorizationRequest(pkce, { response_mode: 'fragment' }))
    const refused = await op.stack
      .person()
      .begin(authorizationRequest(pkce, { response_mode: 'fragment', prompt: 'create' }))

    const answer = new URLSearchParams(new URL(done.location!).hash.slice(1))
    expect(Object.fromEntries(answer)).toMatchObject({ state: 'state-of-the-client', iss: op.here })
    expect(new URL(done.location!).search).toBe('')
    expect((await redeem(op.here, answer.get('code')!, pkce)).status).toBe(200)
    expect(new URLSearchParams(new URL(refused.location!).hash.slice(1)).get('error')).toBe('invalid_request')
  })

  describe('userinfo', () => {
    it('answers by GET, by POST and by a form, with the subject of the ID token', async () => {
      const { tokens } = await op.signIn()
      const { sub } = decodeJwt(tokens.id_token!)
      const form = new URLSearchParams({ access_token: tokens.access_token! })

      const answers = [
        await userinfo(tokens.access_token!),
        await userinfo(tokens.access_token!, 'POST'),
        await fetch(`${op.there}/userinfo`, { method: 'POST', body: form }),
      ]

      for (const answer of answers) {
        expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
        expect(await answer.json()).toMatchObject({ sub, name: 'Ada Lovelace', email: ada })
      }
    })

    it('answers for an access token with any visible character, as Salesforce issues it', async () => {
      const issued = "00D5e000000Ab!AQ.~+/'(x)=="
      op.stack.identityProvider.changeTokenResponse(({ answer }) => ({ ...answer, access_token: issued }))
      const { tokens } = await op.signIn()
      op.stack.identityProvider.changeTokenResponse()
      expect(tokens.access_token).toBe(issued)

      expect((await userinfo(issued)).status).toBe(200)
      for (const other of [`${issued}!`, `${issued}, ${issued}`, `${issued} `.repeat(2).trim()]) {
        expect((await userinfo(other)).status).toBe(401)
      }
    })

    it('answers for a renewed access token, and no longer after the sign-out', async () => {
      op.stack.identityProvider.settings.accessTokenSeconds = 4
      const { tokens } = await op.signIn()
      op.stack.identityProvider.settings.accessTokenSeconds = 3600
      const next = await refresh(op.here, tokens.refresh_token!)
      const renewed = next.json.access_token as string
      expect(renewed).not.toBe(tokens.access_token)
      expect((await userinfo(renewed)).status).toBe(200)

      await post('/revoke', { client_id: 'app', token: next.json.refresh_token as string }, { url: op.there })

      const after = await userinfo(renewed)
      expect([after.status, after.headers.get('www-authenticate')]).toEqual([401, 'Bearer error="invalid_token"'])
    })

    // RFC 6750 §3.1: where no token was sent, the challenge names no error.
    it.each<[string, Record<string, string>, string, string]>([
      ['no token', {}, 'access_token_missing', 'Bearer realm="userinfo"'],
      [
        'a token in another scheme',
        { authorization: 'Basic YXBwOng=' },
        'access_token_missing',
        'Bearer realm="userinfo"',
      ],
      ['a made-up token', { authorization: 'Bearer made-up' }, 'access_token_invalid', 'Bearer error="invalid_token"'],
      ['two tokens', { authorization: 'Bearer one two' }, 'access_token_invalid', 'Bearer error="invalid_token"'],
    ])('refuses %s as in RFC 6750', async (_, headers, code, challenge) => {
      const refused = await fetch(`${op.here}/userinfo`, { headers })

      expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([401, challenge])
      expect(await refused.json()).toMatchObject({ error: 'invalid_token', code })
    })

    it('accepts a token by one method in each request (RFC 6750 §2)', async () => {
      const { tokens } = await op.signIn()
      const token = ['access_token', tokens.access_token!] as [string, string]
      const header = { authorization: `Bearer ${tokens.access_token!}` }
      const send = async (headers: Record<string, string>, body: URLSearchParams | string) => {
        const answer = await fetch(`${op.here}/userinfo`, { method: 'POST', headers, body })
        return [answer.status, ((await answer.json()) as Record<string, unknown>).error]
      }

      for (const [headers, body] of [
        [{}, [token, token]],
        [header, [token]],
        [{}, [token, ['access_token', 'another']]],
      ] as [Record<string, string>, [string, string][]][]) {
        expect(await send(headers, new URLSearchParams(body))).toEqual([400, 'invalid_request'])
      }
      expect(await send({}, new URLSearchParams([token, ['access_token', '']]))).toEqual([200, undefined])
      expect(await send(header, new URLSearchParams({ schema: 'openid' }))).toEqual([200, undefined])
      expect(await send({ ...header, 'content-type': 'application/json' }, '{}')).toEqual([200, undefined])
    })

    it('refuses a token without openid, an ID token, a refresh token, a token in the query, and another client’s page', async () => {
      const { tokens } = await op.signIn()
      const plain = await op.signIn({ scope: ordersRead })

      const refused = [
        await userinfo(plain.tokens.access_token!),
        await userinfo(tokens.id_token!),
        await userinfo(tokens.refresh_token!),
        await fetch(`${op.here}/userinfo?access_token=${tokens.access_token!}`),
      ]
      const foreign = await userinfo(tokens.access_token!, 'GET', { origin: 'https://other.example.net' })

      expect(refused.map(({ status }) => status)).toEqual([401, 401, 401, 401])
      expect(foreign.status).toBe(400)
      expect((await userinfo(tokens.access_token!, 'GET', { origin: app.origins[0]! })).status).toBe(200)
    })
  })

  describe('for a client without an API', () => {
    it('ends its session by /revoke with the access token, its only token (RFC 7009 §2.1)', async () => {
      const [mine, others] = [
        await op.signIn({ client_id: 'bare', scope: 'openid' }),
        await op.signIn({ client_id: 'bare', scope: 'openid' }),
      ]
      const token = mine.tokens.access_token!
      const revoke = (client_id: string) => post('/revoke', { client_id, token }, { url: op.there })

      expect((await revoke('app')).status).toBe(200)
      expect((await userinfo(token)).status).toBe(200)
      expect((await revoke('bare')).status).toBe(200)

      expect((await userinfo(token)).status).toBe(401)
      expect((await userinfo(others.tokens.access_token!)).status).toBe(200)
    })

    it('signs in, with a token for userinfo that no API accepts, and nothing to refresh', async () => {
      const { tokens } = await op.signIn({ client_id: 'bare', scope: 'openid profile' })

      expect(Object.keys(tokens).sort()).toEqual(['access_token', 'expires_in', 'id_token', 'scope', 'token_type'])
      expect((await op.verify(tokens.id_token!, 'bare')).payload).toMatchObject({ name: 'Ada Lovelace' })
      expect(tokens.access_token).not.toMatch(/^eyJ/) // not one of the provider
      expect(await (await userinfo(tokens.access_token!)).json()).toMatchObject({ name: 'Ada Lovelace' })
    })

    it.each([undefined, 'profile', ordersRead, `openid ${ordersRead}`])('refuses the scope %s', async (requested) => {
      const begun = await op.stack
        .person()
        .begin(authorizationRequest(newPkce(), { client_id: 'bare', scope: requested }))

      expect(new URL(begun.location!).searchParams.get('error')).toBe('invalid_scope')
    })
  })

  it('keeps clients apart: a code and an ID token of one are rejected for the other', async () => {
    const pkce = newPkce()
    const code = (await authorize(op.stack.person(), authorizationRequest(pkce, { scope }))).get('code')!

    const refused = await post(
      '/token',
      {
        grant_type: 'authorization_code',
        client_id: 'other',
        redirect_uri: redirectUri,
        code,
        code_verifier: pkce.codeVerifier,
      },
      { url: op.here, headers: { origin: 'https://other.example.net' } },
    )

    expect(refused.json.error).toBe('invalid_grant')
    const { tokens } = await op.signIn()
    await expect(op.verify(tokens.id_token!, 'other')).rejects.toThrow(/aud/)
    await expect(op.verify(tokens.id_token!)).resolves.toBeDefined()
  })

  it('binds each ID token to the access token beside it', async () => {
    const { tokens } = await op.signIn()
    const next = (await refresh(op.there, tokens.refresh_token!)).json as Record<string, string>
    const bare = await op.signIn({ client_id: 'bare', scope: 'openid' })

    for (const answer of [tokens, next, bare.tokens]) {
      // Core §3.1.3.6: the left half of the hash.
      const half = createHash('sha256').update(answer.access_token!).digest().subarray(0, 16).toString('base64url')
      expect(decodeJwt(answer.id_token!).at_hash).toBe(half)
    }
  })

  it.each(['app', 'modern'])(
    'publishes keys by which a client refuses every forged ID token (%s)',
    async (client_id) => {
      const { tokens } = await op.signIn({ client_id })
      const { keys } = (await (await fetch(`${op.here}/.well-known/id-token-keys.json`)).json()) as {
        keys: JsonWebKey[]
      }
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

      for (const token of forged) await expect(op.verify(token, client_id)).rejects.toThrow()
      await expect(op.verify(tokens.id_token!, client_id)).resolves.toBeDefined()
      // One algorithm for each key, and nothing of a private or a symmetric one.
      for (const { kty, alg, use, ...members } of keys) {
        expect([kty, alg, use]).toEqual(kty === 'RSA' ? ['RSA', 'RS256', 'sig'] : ['EC', 'ES256', 'sig'])
        expect(Object.keys(members).filter((one) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(one))).toEqual([])
      }
    },
  )

  it('answers at userinfo for the person of the access token, and a library refuses that of another person', async () => {
    const [one, two] = [await op.signIn(), await op.signIn({}, op.stack.person(), 'grace@contoso.example')]
    const subOf = ({ tokens }: typeof one) => decodeJwt(tokens.id_token!).sub!
    expect(subOf(one)).not.toBe(subOf(two))
    const server = { issuer: op.here, userinfo_endpoint: `${op.here}/userinfo` }
    const client: oauth.Client = { client_id: 'app' }
    const read = async (sub: string, token: string) =>
      oauth.processUserInfoResponse(server, client, sub, await oauth.userInfoRequest(server, client, token, overHttp))

    expect(await read(subOf(two), two.tokens.access_token!)).toMatchObject({
      preferred_username: 'grace@contoso.example',
    })
    await expect(read(subOf(one), two.tokens.access_token!)).rejects.toThrow(/sub/)
  })

  it('works with oauth4webapi by its quick start: discovery, nonce, ID token, userinfo', async () => {
    const issuer = new URL(op.here)
    const client: oauth.Client = { client_id: 'app' }
    const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, overHttp))
    const codeVerifier = oauth.generateRandomCodeVerifier()
    const [nonce, state] = [oauth.generateRandomNonce(), oauth.generateRandomState()]
    const done = await op.stack.person().signIn({
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
    const config = await openid.discovery(new URL(op.here), 'bare', undefined, openid.None(), options)
    openid.enableNonRepudiationChecks(config)
    const pkceCodeVerifier = openid.randomPKCECodeVerifier()
    const [expectedNonce, expectedState] = [openid.randomNonce(), openid.randomState()]
    const url = openid.buildAuthorizationUrl(config, {
      ...{ redirect_uri: redirectUri, scope: 'openid profile', nonce: expectedNonce, state: expectedState },
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
    })
    const done = await op.stack.person().signIn(Object.fromEntries(url.searchParams))

    const checks = { pkceCodeVerifier, expectedNonce, expectedState, idTokenExpected: true }
    const tokens = await openid.authorizationCodeGrant(config, new URL(done.location!), checks)

    const { sub, name } = tokens.claims()!
    expect(name).toBe('Ada Lovelace')
    expect(await openid.fetchUserInfo(config, tokens.access_token, sub)).toMatchObject({ name })
  })
})
