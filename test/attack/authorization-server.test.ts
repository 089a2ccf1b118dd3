import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
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
  send,
  signInByCode,
} from '../setup/client.ts'
import { sendRaw } from '../setup/raw-http.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const native = {
  ...app,
  id: 'native',
  redirectUris: [
    'http://127.0.0.1/callback',
    'http://[::1]:9000/callback',
    'http://[::1]/',
    'http://localhost:8000/callback',
    'http://localhost/signed-in',
    'com.contoso.app:/callback',
  ],
}

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
/** A client with a server, which proves itself by a key. */
const server: Registration = {
  ...app,
  id: 'server',
  jwks: { keys: [{ ...pair.publicKey.export({ format: 'jwk' }), kid: 'k1' }] },
}

describe('the authorization server', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [shop, desk, app, native, server] })
  })
  afterAll(() => stack.close())

  const ask = (changes: Readonly<Record<string, string | undefined>>) =>
    stack.person().begin(authorizationRequest(newPkce(), changes))
  /** The parameters that the client receives at its redirect URI. */
  const reported = (location: string | null) => {
    const url = new URL(location ?? 'about:blank')
    return { at: `${url.origin}${url.pathname}`, ...Object.fromEntries(url.searchParams) }
  }

  it('forwards a valid request to the provider, with the broker’s own values only', async () => {
    const begun = await ask({ nonce: 'of-the-client', login_hint: 'ada@contoso.example' })

    const sent = new URL(begun.location!)
    expect(sent.origin).toBe(stack.identityProvider.browserUrl)
    expect(sent.searchParams.getAll('state')).toHaveLength(1)
    expect(sent.searchParams.get('state')).not.toContain('state-of-the-client')
    expect(sent.searchParams.get('nonce')).not.toBe('of-the-client')
    expect(sent.searchParams.get('redirect_uri')).toBe(`${stack.url}/callback`)
    expect(sent.searchParams.get('login_hint')).toBe('ada@contoso.example')
  })

  describe('shows a page and does not redirect when the client or the redirect URI is not valid:', () => {
    it.each([
      ['an unknown client', { client_id: 'nobody' }],
      ['a front end of session front ends', { client_id: 'shop' }],
      ['markup for a client', { client_id: '<script>alert(1)</script>' }],
      ['no redirect URI', { redirect_uri: undefined }],
      ['one slash more', { redirect_uri: `${redirectUri}/` }],
      ['an additional query', { redirect_uri: `${redirectUri}?a=1` }],
      ['a fragment', { redirect_uri: `${redirectUri}#a` }],
      ['another path', { redirect_uri: 'http://127.0.0.1:5173/callback/../admin' }],
      ['the origin alone', { redirect_uri: 'http://127.0.0.1:5173' }],
      ['a registered query left out', { redirect_uri: 'https://app.example.net/callback' }],
      ['a port of https', { redirect_uri: 'https://app.example.net:444/callback?tenant=a' }],
      ['another case', { redirect_uri: 'https://APP.example.net/callback?tenant=a' }],
      ['user information', { redirect_uri: 'http://x@127.0.0.1:5173/callback' }],
      ['http for https', { redirect_uri: 'http://app.example.net/callback?tenant=a' }],
      ['localhost for 127.0.0.1', { redirect_uri: 'http://localhost:5173/callback' }],
      ['a sibling host', { redirect_uri: 'https://app.example.net.evil.example/callback?tenant=a' }],
      ['a script', { redirect_uri: 'javascript:alert(1)' }],
    ])('%s', async (_, changes) => {
      const refused = await ask(changes)

      expect([refused.status, refused.location, refused.cookies]).toEqual([400, null, []])
      expect(refused.headers.get('content-type')).toContain('text/html')
      expect(refused.text).not.toContain('alert(1)')
      expect(refused.text).not.toContain('evil')
    })

    it('client or redirect URI twice', async () => {
      const query = new URLSearchParams(authorizationRequest(newPkce()))
      for (const name of ['client_id', 'redirect_uri']) {
        const doubled = new URLSearchParams(query)
        doubled.append(name, query.get(name)!)

        const refused = await stack.person().open(`/login?${doubled.toString()}`)

        expect([refused.status, refused.location]).toEqual([400, null])
      }
    })
  })

  it.each([
    ['http://127.0.0.1:49152/callback', 303],
    ['http://127.0.0.1/callback', 303],
    ['http://[::1]:1234/callback', 303],
    ['http://localhost:8000/callback', 303],
    ['http://localhost:8001/callback', 400],
    ['http://localhost:49152/signed-in', 303],
    ['http://localhost/signed-in', 303],
    ['http://localhost:0/signed-in', 400],
    ['http://localhost:49152/signed-in/', 400],
    ['http://localhost.evil.example:80/signed-in', 400],
    ['http://localhost:80@evil.example/signed-in', 400],
    ['http://localhost.:80/signed-in', 400],
    ['http://LOCALHOST:80/signed-in', 400],
    ['https://localhost:443/signed-in', 400],
    ['http://127.0.0.1:49152/signed-in', 400],
    ['http://127.0.0.1:0/callback', 400],
    ['http://127.0.0.1:99999/callback', 400],
    ['http://127.0.0.1:8000/other', 400],
    ['http://[::1]:8000', 303],
    ['http://[::1]', 303],
    ['http://[::1]:80@evil.example', 400],
    ['http://127.0.0.1:8000', 400],
    ['http://127.0.0.2:8000/callback', 400],
    ['http://127.0.0.1:80@evil.example/callback', 400],
    ['com.contoso.app:/callback', 303],
    ['com.contoso.app://callback', 400],
    ['com.contoso.app:/callback/', 400],
    ['com.contoso.apps:/callback', 400],
  ])(
    'accepts any port of a registered loopback address, and no other difference: %s is answered %i',
    async (uri, status) => {
      expect((await ask({ client_id: 'native', redirect_uri: uri })).status).toBe(status)
    },
  )

  it('answers a native application at its private scheme, in each response mode', async () => {
    const request = { client_id: 'native', redirect_uri: 'com.contoso.app:/callback', response_type: 'token' }

    const [query, fragment, post] = await Promise.all(
      ['query', 'fragment', 'form_post'].map((response_mode) => ask({ ...request, response_mode })),
    )

    expect(query!.location).toMatch(/^com\.contoso\.app:\/callback\?error=unsupported_response_type&/)
    expect(fragment!.location).toMatch(/^com\.contoso\.app:\/callback#error=unsupported_response_type&/)
    expect(post!.headers.get('content-security-policy')).toMatch(/; form-action com\.contoso\.app:$/)
  })

  describe('reports to the client, with its state and the issuer:', () => {
    it.each([
      ['no response type', { response_type: undefined }, 'unsupported_response_type'],
      ['a token for a response type', { response_type: 'token' }, 'unsupported_response_type'],
      ['an ID token', { response_type: 'code id_token' }, 'unsupported_response_type'],
      ['an answer by a response mode that does not exist', { response_mode: 'none' }, 'invalid_request'],
      ['no challenge', { code_challenge: undefined }, 'invalid_request'],
      ['a plain challenge', { code_challenge_method: 'plain' }, 'invalid_request'],
      ['a challenge without its method', { code_challenge_method: undefined }, 'invalid_request'],
      ['a challenge of another length', { code_challenge: 'a'.repeat(42) }, 'invalid_request'],
      ['a scope that is not registered', { scope: 'api://demo/admin' }, 'invalid_scope'],
      ['a scope of another API beside those of OpenID', { scope: 'openid profile User.Read' }, 'invalid_scope'],
      ['a scope of Microsoft Graph', { scope: 'openid https://graph.microsoft.com/User.Read' }, 'invalid_scope'],
      ['a word that is no scope of OpenID, without openid', { scope: `${ordersRead} groups` }, 'invalid_scope'],
      ['a scope in capital letters', { scope: `openid ${ordersRead.toUpperCase()}` }, 'invalid_scope'],
      [
        'scopes of two APIs, of which one is not registered',
        { scope: `${ordersRead} api://bills/write` },
        'invalid_scope',
      ],
      ['an unknown prompt', { prompt: 'create' }, 'invalid_request'],
      ['an unknown prompt beside a known one', { prompt: 'login create' }, 'invalid_request'],
      ['a prompt in capital letters', { prompt: 'LOGIN' }, 'invalid_request'],
      ['prompts separated by a comma', { prompt: 'login,consent' }, 'invalid_request'],
      ['no interaction, and a new sign-in', { prompt: 'none login' }, 'invalid_request'],
      ['consent, and no interaction', { prompt: ' consent  none ' }, 'invalid_request'],
      ['claims about a person in a claims challenge', { claims: '{"access_token":{"email":null}}' }, 'invalid_request'],
      ['a request object', { request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported'],
      ['a request URI', { request_uri: 'https://evil.example/' }, 'request_uri_not_supported'],
      [
        'a registration of its own',
        { registration: '{"redirect_uris":["https://evil.example/"]}' },
        'registration_not_supported',
      ],
      ['a max_age that is no number', { max_age: '-1' }, 'invalid_request'],
      ['a hint of 6 KB', { login_hint: 'a'.repeat(6000) }, 'invalid_request'],
      ['control characters', { login_hint: 'a\r\nset-cookie: b' }, 'invalid_request'],
    ])('%s', async (_, changes, error) => {
      const refused = await ask(changes)

      expect(refused.status).toBe(303)
      expect(reported(refused.location)).toMatchObject({
        at: redirectUri,
        error,
        state: 'state-of-the-client',
        iss: stack.url,
      })
      expect(refused.cookies).toEqual([])
      expect(refused.location).not.toContain('evil')
    })

    it('the fix of its mistake, behind the code: many libraries show a developer nothing else', async () => {
      const { error_description } = reported((await ask({ code_challenge: undefined })).location) as never

      expect(error_description).toBe(
        'code_challenge_missing: Send code_challenge with code_challenge_method=S256 (PKCE, RFC 7636).',
      )
    })

    it.each([
      ['a state of 2,049 characters', 'a'.repeat(2049)],
      ['a state of 4 KB', 'b'.repeat(4096)],
      ['a state with control characters', 'c\r\nd'],
      ['a state that no cookie can carry', '"'.repeat(1500)],
    ])('%s, which it returns exactly', async (_, state) => {
      const refused = await ask({ state })

      expect(reported(refused.location)).toMatchObject({
        at: redirectUri,
        error: 'invalid_request',
        state,
        iss: stack.url,
      })
      expect(refused.cookies).toEqual([])
    })

    it('no state, if a URL cannot carry the state or it is ambiguous', async () => {
      const long = await ask({ state: `${'é'.repeat(1025)}\n` })
      const query = new URLSearchParams(authorizationRequest(newPkce()))
      query.append('state', 'another')
      const twice = await stack.person().open(`/login?${query.toString()}`)

      for (const { location } of [long, twice]) {
        expect(reported(location)).toMatchObject({ at: redirectUri, error: 'invalid_request', iss: stack.url })
        expect(reported(location)).not.toHaveProperty('state')
      }
    })

    it('no error for an empty parameter, which counts as absent', async () => {
      const empty = {
        scope: '',
        prompt: '',
        login_hint: '',
        claims: '',
        resource: '',
        max_age: '',
        response_mode: '',
        state: '',
      }

      const begun = await ask(empty)

      expect(new URL(begun.location!).pathname).toMatch(/authorize/)
      for (const required of ['client_id', 'redirect_uri']) expect((await ask({ [required]: '' })).status).toBe(400)
      expect(reported((await ask({ code_challenge: '' })).location)).toMatchObject({ error: 'invalid_request' })
    })

    it('that it may start again, after an instance ended between the provider’s answer and the code', async () => {
      const person = stack.person()
      const begun = await person.begin(authorizationRequest(newPkce()))
      const answer = await person.atProvider(begun.location!)
      const cookie = await person.jar.getCookieString(stack.url)
      await person.callback(answer)

      const again = await person.callback(answer, { headers: { cookie } })

      // The error is not invalid_request, which would be the client's own mistake.
      expect(reported(again.location)).toMatchObject({
        error: 'temporarily_unavailable',
        error_description: 'sign_in_unknown',
      })
    })

    it('a repeated parameter', async () => {
      const query = new URLSearchParams(authorizationRequest(newPkce()))
      query.append('scope', ordersRead)

      const refused = await stack.person().open(`/login?${query.toString()}`)

      expect(reported(refused.location)).toMatchObject({ error: 'invalid_request', iss: stack.url })
    })

    it('that the person cancelled, without the provider’s text', async () => {
      const person = stack.person()
      const begun = await person.begin(authorizationRequest(newPkce()))

      const done = await person.callback(await person.atProvider(begun.location!, undefined, { cancelAt: 'sign-in' }))

      expect(reported(done.location)).toEqual({
        at: redirectUri,
        error: 'access_denied',
        error_description: 'sign_in_cancelled',
        state: 'state-of-the-client',
        iss: stack.url,
      })
    })

    it('that the provider is down', async () => {
      stack.identityProvider.faults.add({ endpoint: 'token', status: 503, times: 1 })

      const answer = await authorize(stack.person(), authorizationRequest(newPkce()))

      expect(Object.fromEntries(answer)).toMatchObject({
        error: 'temporarily_unavailable',
        state: 'state-of-the-client',
      })
      expect(answer.has('code')).toBe(false)
    })
  })

  it('answers a repeated callback from the provider with an error, and issues no second code', async () => {
    const person = stack.person()
    const begun = await person.begin(authorizationRequest(newPkce()))
    const answer = await person.atProvider(begun.location!)
    const cookie = await person.jar.getCookieString(stack.url)

    const first = await person.callback(answer)
    const second = await person.callback(answer, { headers: { cookie } })

    expect(reported(first.location)).toHaveProperty('code')
    expect(reported(second.location)).not.toHaveProperty('code')
    expect(second.cookies).toEqual([])
  })

  describe('with prompt=none', () => {
    it('signs in silently a person who is signed in at the provider', async () => {
      const person = stack.person()
      await signInByCode(person, stack.url)

      const begun = await person.begin(authorizationRequest(newPkce(), { prompt: 'none' }))
      const done = await person.callback(await person.visitor.signIn(begun.location!, 'nobody'))

      expect(reported(done.location)).toHaveProperty('code')
    })

    it('reports login_required if the browser never signed in at this client, to the registered redirect URI only', async () => {
      const begun = await stack.person().begin(authorizationRequest(newPkce(), { prompt: 'none' }))

      expect(reported(begun.location)).toMatchObject({
        at: redirectUri,
        error: 'login_required',
        state: 'state-of-the-client',
      })
      expect(begun.cookies).toEqual([])
    })

    it('reports login_required if the session at the provider has ended', async () => {
      const person = stack.person()
      await signInByCode(person, stack.url)
      const begun = await person.begin(authorizationRequest(newPkce(), { prompt: 'none' }))

      const done = await person.callback(await stack.person().visitor.signIn(begun.location!, 'nobody'))

      expect(reported(done.location)).toMatchObject({ at: redirectUri, error: 'login_required' })
    })

    it('reports login_required at once in a frame, where the browser sends no cookie', async () => {
      const person = stack.person()
      await signInByCode(person, stack.url)

      const framed = await person.begin(authorizationRequest(newPkce(), { prompt: 'none' }), {
        headers: { 'sec-fetch-dest': 'iframe' },
      })

      expect(reported(framed.location)).toMatchObject({ at: redirectUri, error: 'login_required' })
      expect(framed.cookies).toEqual([])
    })
  })

  describe('at the token endpoint', () => {
    const byCode = {
      grant_type: 'authorization_code',
      redirect_uri: redirectUri,
      code_verifier: newPkce().codeVerifier,
    }

    it.each([
      ['no grant type', { grant_type: undefined }, 'invalid_request'],
      ['another grant type', { grant_type: 'password' }, 'unsupported_grant_type'],
      ['client credentials', { grant_type: 'client_credentials' }, 'unsupported_grant_type'],
      ['no client', { client_id: undefined }, 'invalid_request'],
      ['an unknown client', { client_id: 'nobody' }, 'invalid_client'],
      ['a client of session front ends', { client_id: 'shop' }, 'invalid_client'],
      ['a secret', { client_secret: 'x' }, 'invalid_client'],
      ['a client assertion', { client_assertion: 'eyJ.e30.x' }, 'invalid_client'],
      ['no refresh token', { refresh_token: undefined }, 'invalid_request'],
      ['a refresh token of 64 KB', { refresh_token: 'a'.repeat(60_000) }, 'invalid_request'],
      ['a made-up refresh token', { refresh_token: Buffer.alloc(52, 7).toString('base64url') }, 'invalid_grant'],
      ['a code that was never issued', { ...byCode, code: 'a'.repeat(43) }, 'invalid_grant'],
      ['a value that cannot be a code', { ...byCode, code: '../service' }, 'invalid_grant'],
      ['a code without its verifier', { ...byCode, code_verifier: undefined, code: 'a'.repeat(43) }, 'invalid_request'],
    ])('%s is rejected with an OAuth error response', async (_, changes, error) => {
      const { refreshToken } = await signInByCode(stack.person(), stack.url)

      const refused = await refresh(stack.url, refreshToken, changes)

      expect([refused.status, refused.json.error]).toEqual([400, error])
      expect(refused.headers.get('content-type')).toContain('application/json')
      expect(refused.headers.get('cache-control')).toBe('no-store')
      expect(refused.json.reference).toBe(refused.headers.get('broker-reference'))
      expect((await refresh(stack.url, refreshToken)).status).toBe(200)
    })

    it('counts an empty parameter as absent (RFC 6749 §3.2), an empty secret too', async () => {
      const { refreshToken } = await signInByCode(stack.person(), stack.url)

      const empty = { client_secret: '', client_assertion: '', scope: '' }
      const next = await refresh(stack.url, refreshToken, empty)
      const missing = await refresh(stack.url, '', {})

      expect(next.status).toBe(200)
      expect(missing.json).toMatchObject({ error: 'invalid_request', parameter: 'refresh_token' })
    })

    it('requires the proof of a confidential client at /token and /revoke, each proof once', async () => {
      const proof = async () => ({
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: await new SignJWT({ jti: randomUUID() })
          .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
          .setIssuer('server')
          .setSubject('server')
          .setAudience(stack.url)
          .setIssuedAt()
          .setExpirationTime('1m')
          .sign(pair.privateKey),
      })
      const pkce = newPkce()
      const request = authorizationRequest(pkce, { client_id: 'server' })
      const code = (await authorize(stack.person(), request)).get('code')!
      const first = await proof()

      const bare = await redeem(stack.url, code, pkce, { client_id: 'server' })
      // RFC 7521 §4.2: the assertion names the client too.
      const redeemed = await redeem(stack.url, code, pkce, { client_id: undefined, ...first })
      const token = redeemed.json.refresh_token as string
      const replayed = await refresh(stack.url, token, { client_id: 'server', ...first })
      const revoked = await post('/revoke', { client_id: 'server', token }, { url: stack.url })
      const withoutPkce = await redeem(stack.url, code, pkce, { code_verifier: undefined, ...(await proof()) })

      // A 401 would need a challenge (RFC 9110 §15.5.2), and no scheme of the header has assertions.
      for (const refused of [bare, replayed, revoked]) {
        expect(refused.status).toBe(400)
        expect(refused.json).toMatchObject({ error: 'invalid_client', code: 'client_assertion_refused' })
      }
      expect(withoutPkce.status).toBe(400)
      expect(redeemed.status).toBe(200)
      expect((await refresh(stack.url, token, { client_id: 'server', ...(await proof()) })).status).toBe(200)
    })

    const basic = (credentials: string) => ({ authorization: `Basic ${Buffer.from(credentials).toString('base64')}` })

    it.each([
      ['in the form', { client_secret: 'hunter2' }, {}],
      ['in the header', {}, basic('app:hunter2')],
      ['in the header alone', { client_id: undefined }, basic('app:hunter2')],
    ])('rejects a secret %s with the description that clients of the broker are public', async (_, fields, headers) => {
      const { refreshToken } = await signInByCode(stack.person(), stack.url)
      const form = { grant_type: 'refresh_token', client_id: 'app', refresh_token: refreshToken, ...fields }

      const refused = await post('/token', form, { url: stack.url, headers })

      expect(refused.json).toMatchObject({ error: 'invalid_client', code: 'client_secret_refused' })
      // RFC 6749 §5.2: a client that used the header receives a challenge of its scheme.
      const usedHeader = 'authorization' in headers
      expect(refused.status).toBe(usedHeader ? 401 : 400)
      expect(refused.headers.get('www-authenticate')).toBe(usedHeader ? 'Basic realm="token"' : null)
      expect(refused.json.error_description).toMatch(/secret.*none/)
      expect(refused.text).not.toContain('hunter2')
      expect((await refresh(stack.url, refreshToken)).status).toBe(200)
    })

    it('accepts the forms that libraries send for a public client: its id in the header, or a header that does not name the client', async () => {
      const { refreshToken } = await signInByCode(stack.person(), stack.url)
      const form = (token: string, fields = {}) => ({ grant_type: 'refresh_token', refresh_token: token, ...fields })

      const byHeader = await post('/token', form(refreshToken), { url: stack.url, headers: basic('app:') })
      const byForm = await post('/token', form(byHeader.json.refresh_token as string, { client_id: 'app' }), {
        url: stack.url,
        headers: { authorization: 'Bearer of-another-api', 'x-requested-with': 'XMLHttpRequest' },
      })
      const other = await post('/token', form('x', { client_id: 'app' }), { url: stack.url, headers: basic('native:') })

      expect([byHeader.status, byForm.status]).toEqual([200, 200])
      expect([other.status, other.json.code]).toEqual([401, 'client_unknown'])
    })

    it.each(['/token', '/revoke'])('reports that a chunked body did not arrive (%s)', async (path) => {
      const body = 'grant_type=refresh_token&client_id=app'
      const headers = [
        ['Host', new URL(stack.url).host],
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Transfer-Encoding', 'chunked'],
      ] as const
      const chunked = await sendRaw(stack.url, {
        method: 'POST',
        target: path,
        headers,
        body: `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
      })
      const empty = await send(path, '', { url: stack.url })

      expect(chunked.status).toBe(400)
      expect(JSON.parse(chunked.text)).toMatchObject({ error: 'invalid_request', code: 'body_missing' })
      expect(empty.json).toMatchObject({ error: 'invalid_request', code: 'body_missing' })
    })

    it('rejects JSON, a repeated parameter, another origin and other methods', async () => {
      const { refreshToken } = await signInByCode(stack.person(), stack.url)
      const form = `grant_type=refresh_token&client_id=app&refresh_token=${refreshToken}`

      const json = await send('/token', '{}', { url: stack.url, headers: { 'content-type': 'application/json' } })
      const doubled = await send('/token', `${form}&client_id=app`, { url: stack.url })
      const foreign = await send('/token', form, { url: stack.url, headers: { origin: 'https://evil.example' } })
      const got = await fetch(`${stack.url}/token?${form}`)

      expect([json.status, doubled.json.error, foreign.json.error, got.status]).toEqual([
        415,
        'invalid_request',
        'invalid_request',
        405,
      ])
      expect(foreign.headers.get('access-control-allow-origin')).toBeNull()
      expect((await send('/token', form, { url: stack.url })).status).toBe(200)
    })

    it('looks up 40 wrong codes by hash, with one read each, and then the right one', async () => {
      const pkce = newPkce()
      const code = (await authorize(stack.person(), authorizationRequest(pkce))).get('code')!
      stack.store.resetRequests()

      const codes = Array.from({ length: 40 }, (_, i) => `${i}`.padStart(43, 'x'))
      const wrong = await Promise.all(codes.map((one) => redeem(stack.url, one, pkce)))
      // Not all requests: the instance reads its certificate's row in the background.
      const lookups = stack.store.requests.filter(({ table }) => table === 'codes')
      const right = await redeem(stack.url, code, pkce)

      expect(new Set(wrong.map(({ json }) => json.error))).toEqual(new Set(['invalid_grant']))
      expect(lookups.map(({ operation }) => operation)).toEqual(codes.map(() => 'find'))
      expect(right.status).toBe(200)
    })
  })

  it('publishes the same metadata for any Host header, and advertises nothing that fails', async () => {
    const url = `${stack.url}/.well-known/oauth-authorization-server`
    const metadata = (await (await fetch(url, { headers: { 'x-forwarded-host': 'evil.example' } })).json()) as Record<
      string,
      unknown
    >

    expect(metadata).toMatchObject({
      issuer: stack.url,
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
      authorization_response_iss_parameter_supported: true,
    })
    const endpoints = Object.entries(metadata).filter(([name]) => name.endsWith('_endpoint'))
    expect(endpoints.map(([, address]) => new URL(address as string).origin)).toEqual(endpoints.map(() => stack.url))
    expect((await post('/token', {}, { url: stack.url })).status).toBe(400)
    expect((await post('/revoke', { client_id: 'app', token: 'x' }, { url: stack.url })).status).toBe(200)
    expect((await ask({})).status).toBe(303)
    if (metadata.jwks_uri !== undefined) expect((await fetch(metadata.jwks_uri as string)).status).toBe(200)
  })

  it('rejects an OAuth client at the session routes, and a session front end at the OAuth routes', async () => {
    const person = stack.person()

    const login = await person.begin({ frontend: 'app' })
    const session = await person.script({ id: 'app', origin: app.origins[0]! }, '/session')

    expect([login.status, session.status]).toEqual([400, 400])
    expect(session.json.code).toBe('front_end_kind_mismatch')
    expect((await person.begin({ frontend: 'shop' })).status).toBe(303)
  })
})
