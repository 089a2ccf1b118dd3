import { decodeJwt } from 'jose'
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
  signInByCode,
} from '../setup/client.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const other = {
  ...app,
  id: 'other',
  origins: ['http://127.0.0.1:6000'],
  redirectUris: ['http://127.0.0.1:6000/callback'],
}

describe('an OAuth client', () => {
  let stack: Stack
  let here: string
  let there: string
  beforeAll(async () => {
    stack = await startStack({ instances: 2, frontEnds: [shop, desk, app, other] })
    ;[here, there] = stack.brokers.map(({ url }) => url) as [string, string]
    await warmUp(stack)
  })
  afterAll(() => stack.close())

  it('receives a code with its state and the issuer, and for the code an access token of the API', async () => {
    const pkce = newPkce()

    const answer = await authorize(stack.person(), authorizationRequest(pkce))

    expect([...answer.keys()].sort()).toEqual(['code', 'iss', 'state'])
    expect(answer.get('state')).toBe('state-of-the-client')
    expect(answer.get('iss')).toBe(stack.url)
    const token = await redeem(here, answer.get('code')!, pkce)
    expect(token.status).toBe(200)
    expect(token.headers.get('cache-control')).toBe('no-store')
    expect(token.json).toMatchObject({ token_type: 'Bearer', scope: ordersRead })
    expect(token.json.expires_in).toBeGreaterThan(3000)
    expect(decodeJwt(token.json.access_token as string)).toMatchObject({ aud: 'api://demo', scp: 'orders.read' })
    expect(Object.keys(token.json).sort()).toEqual([
      'access_token',
      'expires_in',
      'refresh_token',
      'scope',
      'token_type',
    ])
    expect(token.text).not.toContain('id_token')
  })

  it('signs in with one request to the provider and two to the store', async () => {
    const person = stack.person()
    const pkce = newPkce()
    const begun = await person.begin(authorizationRequest(pkce))
    const answer = await person.atProvider(begun.location!)
    stack.identityProvider.resetRequests()
    stack.store.resetRequests()

    await person.callback(answer)

    expect(stack.identityProvider.requests.map(({ endpoint }) => endpoint)).toEqual(['token'])
    expect(stack.store.requests.map(({ operation, table }) => `${operation} ${table}`)).toEqual([
      'insert states',
      'insert codes',
    ])
  })

  describe('a code', () => {
    it('is good on any instance, and only once: its second use revokes the tokens of the first one', async () => {
      const { code, pkce, refreshToken } = await signInByCode(stack.person(), here)

      const again = await redeem(there, code, pkce)

      expect(again.status).toBe(400)
      expect(again.json).toMatchObject({ error: 'invalid_grant' })
      expect((await refresh(here, refreshToken)).json).toMatchObject({ error: 'invalid_grant' })
    })

    it('is redeemed once when twenty requests present it at once on two instances', async () => {
      const pkce = newPkce()
      const code = (await authorize(stack.person(), authorizationRequest(pkce))).get('code')!

      const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => redeem(i % 2 ? here : there, code, pkce)))

      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
      expect(answers.filter(({ json }) => json.error === 'invalid_grant')).toHaveLength(19)
      const winner = answers.find(({ status }) => status === 200)!
      expect((await refresh(here, winner.json.refresh_token as string)).json).toMatchObject({ error: 'invalid_grant' })
    })

    it.each([
      ['another verifier', { code_verifier: newPkce().codeVerifier }],
      ['a verifier of 42 characters', { code_verifier: 'a'.repeat(42) }],
      ['a verifier of 129 characters', { code_verifier: 'a'.repeat(129) }],
      ['another redirect URI', { redirect_uri: 'https://app.example.net/callback?tenant=a' }],
      ['another client', { client_id: 'other' }],
      ['no verifier', { code_verifier: undefined }, 'Parameter code_verifier: missing'],
      ['no redirect URI', { redirect_uri: undefined }, 'Parameter redirect_uri: missing'],
    ])('is refused with %s, and its client can still redeem it', async (_, changes, missing?: string) => {
      const pkce = newPkce()
      const code = (await authorize(stack.person(), authorizationRequest(pkce))).get('code')!
      const headers = 'client_id' in changes ? { origin: 'http://127.0.0.1:6000' } : {}

      const refused = await post(
        '/token',
        {
          grant_type: 'authorization_code',
          client_id: 'app',
          redirect_uri: redirectUri,
          code,
          code_verifier: pkce.codeVerifier,
          ...changes,
        },
        { url: here, headers },
      )

      expect([refused.status, refused.json.error]).toEqual([400, missing ? 'invalid_request' : 'invalid_grant'])
      expect(refused.json.error_description).toContain(missing ?? 'Start a new authorization request')
      expect((await redeem(here, code, pkce)).status).toBe(200)
    })
  })

  describe('a refresh token', () => {
    it('returns an access token and the next refresh token, on any instance', async () => {
      const { refreshToken, accessToken } = await signInByCode(stack.person(), here)

      const first = await refresh(there, refreshToken)
      const second = await refresh(here, first.json.refresh_token as string)

      expect([first.status, second.status]).toEqual([200, 200])
      expect(first.json.access_token).toBe(accessToken) // still fresh: no request was sent to the provider
      expect(new Set([refreshToken, first.json.refresh_token, second.json.refresh_token]).size).toBe(3)
    })

    it('that is repeated because an answer was lost receives the same answer', async () => {
      const { refreshToken } = await signInByCode(stack.person(), here)

      const first = await refresh(here, refreshToken)
      const repeated = await refresh(there, refreshToken)

      expect(repeated.status).toBe(200)
      expect(repeated.json.refresh_token).toBe(first.json.refresh_token)
      expect(repeated.json.access_token).toBe(first.json.access_token)
      expect((await refresh(here, first.json.refresh_token as string)).status).toBe(200)
    })

    it('that is repeated a second time, or from another site, ends the family', async () => {
      const [twice, elsewhere] = [await signInByCode(stack.person(), here), await signInByCode(stack.person(), here)]
      const first = await refresh(here, twice.refreshToken)
      expect((await refresh(there, twice.refreshToken)).status).toBe(200)
      const other = await refresh(here, elsewhere.refreshToken)

      const again = await refresh(there, twice.refreshToken)
      const { status, json } = await post(
        '/token',
        { grant_type: 'refresh_token', client_id: 'app', refresh_token: elsewhere.refreshToken },
        { url: there, headers: { origin: 'https://app.example.net' } },
      )

      expect([again.status, again.json.error]).toEqual([400, 'invalid_grant'])
      expect([status, json.error]).toEqual([400, 'invalid_grant'])
      for (const token of [first, other].map((answer) => answer.json.refresh_token as string)) {
        expect((await refresh(here, token)).json.error).toBe('invalid_grant')
      }
    })

    it('that comes back after its successor was used ends the family', async () => {
      const { refreshToken } = await signInByCode(stack.person(), here)
      const first = await refresh(here, refreshToken)
      const second = await refresh(here, first.json.refresh_token as string)

      const stolen = await refresh(there, refreshToken)

      expect([stolen.status, stolen.json.error]).toEqual([400, 'invalid_grant'])
      expect((await refresh(here, second.json.refresh_token as string)).json).toMatchObject({ error: 'invalid_grant' })
    })

    it('returns the same next token to twenty requests that present it at once on two instances', async () => {
      const { refreshToken } = await signInByCode(stack.person(), here)

      const answers = await Promise.all(
        Array.from({ length: 20 }, (_, i) => refresh(i % 2 ? here : there, refreshToken)),
      )

      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
      expect(new Set(answers.map(({ json }) => json.refresh_token)).size).toBe(1)
      expect((await refresh(here, answers[0]!.json.refresh_token as string)).status).toBe(200)
    })

    it('renews at the provider once, for any caller, when the access token is near its end', async () => {
      stack.identityProvider.settings.accessTokenSeconds = 4
      const { refreshToken, accessToken } = await signInByCode(stack.person(), here)
      stack.identityProvider.settings.accessTokenSeconds = 3600
      stack.identityProvider.resetRequests()

      const answers = await Promise.all([
        refresh(here, refreshToken),
        refresh(there, refreshToken),
        refresh(here, refreshToken),
      ])

      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
      expect(new Set(answers.map(({ json }) => json.refresh_token)).size).toBe(1)
      expect(answers[0].json.access_token).not.toBe(accessToken)
      expect(stack.identityProvider.requests.filter(({ grantType }) => grantType === 'refresh_token')).toHaveLength(1)
    })

    it('may request fewer scopes than were granted, but not more and not another API', async () => {
      const { refreshToken } = await signInByCode(stack.person(), here, {
        scope: 'api://demo/orders.read api://demo/orders.write',
      })

      const fewer = await refresh(here, refreshToken, { scope: ordersRead })
      const next = fewer.json.refresh_token as string
      const otherApi = await refresh(here, next, { scope: 'api://bills/read' })
      const unknown = await refresh(here, next, { scope: 'api://demo/admin' })

      expect(decodeJwt(fewer.json.access_token as string)).toMatchObject({ scp: 'orders.read' })
      expect([otherApi.json.error, unknown.json.error]).toEqual(['invalid_scope', 'invalid_scope'])
      expect((await refresh(here, next)).status).toBe(200)
    })

    it('of another client is rejected', async () => {
      const { refreshToken } = await signInByCode(stack.person(), here)

      const refused = await refresh(here, refreshToken, { client_id: 'other' })
      const byOther = await post(
        '/token',
        { grant_type: 'refresh_token', client_id: 'other', refresh_token: refreshToken },
        { url: here, headers: { origin: 'http://127.0.0.1:6000' } },
      )

      expect(refused.status).toBe(400) // the origin is not the other client's
      expect(byOther.json.error).toBe('invalid_grant')
      expect((await refresh(here, refreshToken)).status).toBe(200)
    })

    it('ignores the claims request of the sign-in beside it, and refuses every other one', async () => {
      const { refreshToken } = await signInByCode(stack.person(), here)
      // As MSAL.js sends it with each refresh.
      const claims = JSON.stringify({ id_token: { login_hint: { essential: false }, signin_state: null } })

      const first = await refresh(here, refreshToken, { claims })
      const second = await refresh(here, first.json.refresh_token as string, { claims: '{"userinfo":{"name":null}}' })

      expect([first.status, second.status]).toEqual([200, 200])
      for (const other of [
        '{}',
        '{"id_token":"name"}',
        '{"id_token":{},"other":{}}',
        '{"id_token":{},"access_token":{"email":null}}',
        '[]',
        'null',
        'x',
      ]) {
        const refused = await refresh(here, second.json.refresh_token as string, { claims: other })
        expect([other, refused.status, refused.json.code]).toEqual([other, 400, 'claims_not_allowed'])
      }
      expect((await refresh(here, second.json.refresh_token as string)).status).toBe(200)
    })

    it('ends with the person at the provider, and stays valid where the provider requires a further step', async () => {
      stack.identityProvider.settings.accessTokenSeconds = 4
      const { refreshToken } = await signInByCode(stack.person(), here)
      const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: 'c1' } } })
      stack.identityProvider.nextTokenError({
        error: 'invalid_grant',
        suberror: 'basic_action',
        error_codes: [50076],
        claims,
        grantType: 'refresh_token',
      })

      const requested = await refresh(here, refreshToken)
      stack.identityProvider.nextTokenError({
        error: 'invalid_grant',
        error_codes: [50173],
        grantType: 'refresh_token',
      })
      const ended = await refresh(here, refreshToken)

      expect([requested.status, requested.json.error]).toEqual([400, 'interaction_required'])
      const url = new URL(requested.json.sign_in_url as string)
      expect(url.pathname).toBe('/login')
      expect(url.searchParams.get('client_id')).toBe('app')
      expect(JSON.parse(url.searchParams.get('claims')!)).toEqual(JSON.parse(claims))
      expect(ended.json.error).toBe('invalid_grant')
      stack.identityProvider.settings.accessTokenSeconds = 3600
      expect((await refresh(here, refreshToken)).json.error).toBe('invalid_grant')
    })
  })

  describe('a revocation', () => {
    it('ends the family of a refresh token, used or not', async () => {
      const { refreshToken } = await signInByCode(stack.person(), here)
      const next = (await refresh(here, refreshToken)).json.refresh_token as string

      const revoked = await post('/revoke', { client_id: 'app', token: next }, { url: there })

      expect([revoked.status, revoked.headers.get('content-type'), revoked.json]).toEqual([
        200,
        'application/json; charset=utf-8',
        {},
      ])
      expect((await refresh(here, next)).json.error).toBe('invalid_grant')
    })

    it('of something else, or of another client’s token, answers the same and revokes no token', async () => {
      const { refreshToken, accessToken } = await signInByCode(stack.person(), here)

      const answers = await Promise.all([
        post('/revoke', { client_id: 'app', token: accessToken }, { url: here }),
        post('/revoke', { client_id: 'app', token: 'nothing' }, { url: here }),
        // Of a person in 200 groups.
        post('/revoke', { client_id: 'app', token: 'a'.repeat(12_000) }, { url: here }),
        post(
          '/revoke',
          { client_id: 'other', token: refreshToken },
          { url: here, headers: { origin: 'http://127.0.0.1:6000' } },
        ),
      ])

      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
      expect((await refresh(here, refreshToken)).status).toBe(200)
    })
  })

  it('signs out with its refresh token, and receives the URL that ends the provider’s session', async () => {
    const person = stack.person()
    const { refreshToken } = await signInByCode(person, here)

    const out = await person.script({ id: 'app', origin: app.origins[0]! }, '/logout', {
      method: 'POST',
      body: JSON.stringify({ refresh_token: refreshToken }),
      headers: { 'sec-fetch-site': 'cross-site' },
    })

    expect(out.status).toBe(200)
    expect((await refresh(here, refreshToken)).json.error).toBe('invalid_grant')
    const back = await person.visitor.signOut(out.json.url as string)
    const done = await person.open(new URL(back!).pathname + new URL(back!).search)
    expect(done.location).toBe('http://127.0.0.1:5173/')
  })

  it('leaves neither the access token nor the refresh token in a log', async () => {
    const { accessToken, refreshToken } = await signInByCode(stack.person(), here)

    await refresh(here, refreshToken)
    await refresh(here, 'made-up')

    expect(stack.log()).toContain('grant_invalid')
    for (const secret of [accessToken, refreshToken]) expect(stack.log()).not.toContain(secret)
  })
})
