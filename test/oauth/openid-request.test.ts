/** Parameters of OpenID Connect and of several APIs in the request of a client. */
import { decodeJwt } from 'jose'
import { describe, expect, it } from 'vitest'
import { authorizationRequest, authorize, newPkce, ordersRead, redeem, refresh, send } from '../setup/client.ts'
import { ada } from '../setup/person.ts'
import { scope, useOpenIdProvider } from './openid-provider.ts'

describe('the broker as OpenID provider', () => {
  const op = useOpenIdProvider()

  it('passes max_age on, and refuses an answer of a provider that does not name the time or authenticated too long ago', async () => {
    const person = op.stack.person()
    const { tokens } = await op.signIn({ max_age: '600' }, person)
    expect(decodeJwt(tokens.id_token!).auth_time).toBeGreaterThan(Date.now() / 1000 - 600)

    const begun = await person.begin(authorizationRequest(newPkce(), { scope, max_age: '0' }))
    expect(new URL(begun.location!).searchParams.get('max_age')).toBe('0')

    for (const auth_time of [undefined, Math.floor(Date.now() / 1000) - 3600]) {
      op.stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const claims = { ...decodeJwt(answer.id_token as string), auth_time }
        return { ...answer, id_token: await signIdToken(claims) }
      })
      const answer = await authorize(op.stack.person(), authorizationRequest(newPkce(), { scope, max_age: '600' }))
      expect(Object.fromEntries(answer)).toMatchObject({ error: 'login_required' })
      expect(answer.has('code')).toBe(false)
    }
    op.stack.identityProvider.changeTokenResponse(({ answer }) => answer)
  })

  it.each(['login', 'consent login'])(
    'refuses an answer to prompt=%s where the provider names an earlier sign-in',
    async (prompt) => {
      const request = authorizationRequest(newPkce(), { scope, prompt })
      const answerWith = async (auth_time: number | undefined, person = op.stack.person()) => {
        op.stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
          const claims = { ...decodeJwt(answer.id_token as string), auth_time }
          return { ...answer, id_token: await signIdToken(claims) }
        })
        return authorize(person, request)
      }
      const now = Math.floor(Date.now() / 1000)

      // As after an attacker at the person's browser removed the prompt from the URL of the provider.
      const refused = await answerWith(now - 3600)
      const [fresh, unnamed] = [await answerWith(now), await answerWith(undefined)]
      op.stack.identityProvider.changeTokenResponse(({ answer }) => answer)

      expect([refused.get('error'), refused.has('code')]).toEqual(['login_required', false])
      expect([fresh.has('code'), unnamed.has('code')]).toEqual([true, true])
    },
  )

  describe('the parameter claims', () => {
    const claimsOf = (value: object) => ({ claims: JSON.stringify(value) })
    const withAcr = async (acr: string | undefined, changes: Readonly<Record<string, string>>) => {
      op.stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => {
        const claims = { ...decodeJwt(answer.id_token as string), acr }
        return { ...answer, id_token: await signIdToken(claims) }
      })
      try {
        return await op.signIn(changes)
      } finally {
        op.stack.identityProvider.changeTokenResponse(({ answer }) => answer)
      }
    }
    const sentBy = async (changes: Readonly<Record<string, string>>) => {
      const begun = await op.stack.person().begin(authorizationRequest(newPkce(), { scope: 'openid', ...changes }))
      return new URL(begun.location!).searchParams
    }

    it('ignores voluntary parts, and grants the scopes of essential ones', async () => {
      const voluntary = {
        id_token: { email: null, acr: { values: ['a'] } },
        userinfo: { name: { essential: false } },
        x: 1,
      }
      expect((await sentBy(claimsOf(voluntary))).get('claims')).toBe('{"access_token":{"xms_cc":{"values":["cp1"]}}}')
      const plain = await op.signIn({ scope: `openid ${ordersRead}`, ...claimsOf(voluntary) })
      const wider = await op.signIn({
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
      const renewed = await refresh(op.there, met.tokens.refresh_token!)
      expect(decodeJwt(renewed.json.id_token as string).acr).toBe('urn:mfa')
      for (const acr of [undefined, 'pwd', 'urn:mfa ']) {
        const { answer } = await withAcr(acr, request)
        expect([answer.get('error'), answer.has('code')]).toEqual(['unmet_authentication_requirements', false])
      }
    })

    it('reports an acr that the provider refuses by the same error (Unmet Authentication Requirements 1.0)', async () => {
      const id_token = { acr: { essential: true, values: ['urn:mfa'] } }
      const request = authorizationRequest(newPkce(), { scope, ...claimsOf({ id_token }) })
      const errorAfter = async (error: string) => {
        const person = op.stack.person()
        const begun = await person.begin(request)
        const state = new URL(begun.location!).searchParams.get('state')!
        const done = await person.callback({ mode: 'form_post', fields: { state, error } })
        return new URL(done.location!).searchParams.get('error')
      }

      expect(await errorAfter('unmet_authentication_requirements')).toBe('unmet_authentication_requirements')
      expect(await errorAfter('access_denied')).toBe('access_denied')
    })

    it('answers for the person of its sub alone', async () => {
      const { sub } = decodeJwt((await op.signIn()).tokens.id_token!)
      const of = (value: unknown) => op.signIn(claimsOf({ id_token: { sub: { value } } }))

      expect((await of(sub)).answer.has('code')).toBe(true)
      expect((await of(`${sub}x`)).answer.get('error')).toBe('login_required')
      expect((await of('')).answer.get('error')).toBe('login_required')
      const listed = async (...values: unknown[]) =>
        (await op.signIn(claimsOf({ id_token: { sub: { values } } }))).answer
      expect([(await listed(sub, sub)).has('code'), (await listed(`${sub}x`)).get('error')]).toEqual([
        true,
        'login_required',
      ])
    })

    it('names no other person than id_token_hint', async () => {
      const { tokens } = await op.signIn()
      const { sub } = decodeJwt(tokens.id_token!)
      const of = (value: unknown) =>
        sentBy({ id_token_hint: tokens.id_token!, ...claimsOf({ id_token: { sub: { value } } }) })

      expect((await of(`${sub}x`)).get('error')).toBe('login_required')
      expect((await of(sub)).has('error')).toBe(false)
    })

    it.each([
      [{ essential: true, value: null, values: ['urn:mfa'] }],
      [{ essential: true, value: 'urn:mfa', values: null, purpose: null }],
    ])('counts members that are null as absent: %j', async (acr) => {
      const absent = { essential: null, value: null, values: null }
      const sent = await sentBy(claimsOf({ id_token: { acr, sub: absent, name: absent }, userinfo: null }))

      expect(JSON.parse(sent.get('claims')!)).toMatchObject({
        id_token: { acr: { essential: true, values: ['urn:mfa'] } },
      })
    })

    it.each([
      '[]',
      '{"id_token":[]}',
      '{"id_token":{"acr":"a"}}',
      '{"id_token":{"acr":{"essential":true,"values":"a"}}}',
      '{"id_token":{"acr":{"essential":true,"values":["a b"]}}}',
      '{"id_token":{"acr":{"essential":true,"value":"<script>"}}}',
      `{"id_token":{"sub":{"value":"${'a'.repeat(256)}"}}}`,
      '{"id_token":{"sub":{"value":{}}}}',
      '{"id_token":{"sub":{"values":["a","b"]}}}',
      '{"id_token":{"sub":{"value":"a","values":["b"]}}}',
      '{"id_token":{"acr":{"essential":true,"value":["urn:mfa"]}}}',
      '{"access_token":{"email":null},"id_token":{}}',
      '{',
    ])('is refused as %s', async (claims) => {
      expect(Object.fromEntries(await sentBy({ claims }))).toMatchObject({
        error: 'invalid_request',
        error_description: expect.stringMatching(/^claims_not_allowed: Send a claims challenge /) as string,
      })
    })

    it('passes acr_values on, within an allow-list of characters', async () => {
      const values = 'urn:mace:incommon:iap:silver phr'
      for (const same of [values, ` ${values.replace(' ', '  ')} `, `é ${values} a"b <a> ${'a'.repeat(129)}`]) {
        expect((await sentBy({ acr_values: same })).get('acr_values')).toBe(values)
      }
      expect((await sentBy({ acr_values: 'idp:a;tenant:b,c' })).get('acr_values')).toBe('idp:a;tenant:b,c')
      expect((await sentBy({ acr_values: Array(11).fill('a').join(' ') })).get('acr_values')).toBe(
        'a a a a a a a a a a',
      )
    })
  })

  // OpenID Connect Core §15.1, which requires of these parameters that no use of them is an error.
  it.each<[string, string, string, string | null]>([
    ['languages of which one is a tag', 'ui_locales', '!! de_CH <b>', 'de-CH'],
    ['no language', 'ui_locales', '"', null],
    ['more languages than fit', 'ui_locales', Array(60).fill('de-CH').join(' '), Array(16).fill('de-CH').join(' ')],
    ['no class', 'acr_values', '"', null],
    [
      'more classes than fit',
      'acr_values',
      Array(6).fill('a'.repeat(120)).join(' '),
      Array(4).fill('a'.repeat(120)).join(' '),
    ],
    ['a language of claims', 'claims_locales', 'se !!', null],
    ['a display that does not exist', 'display', 'wall', null],
  ])('signs in with %s, and passes on the values that are supported', async (_, name, value, sent) => {
    const request = authorizationRequest(newPkce(), { scope, [name]: value })
    const person = op.stack.person()

    const begun = await person.begin(request)

    expect(new URL(begun.location!).searchParams.get(name)).toBe(sent)
    expect((await authorize(op.stack.person(), request)).has('code')).toBe(true)
  })

  it('accepts a posted request: the browser repeats it by GET, with its cookies (Core §3.1.2.1)', async () => {
    const { person } = await op.signIn({ client_id: 'modern' })
    const pkce = newPkce()
    const request = new URLSearchParams(authorizationRequest(pkce, { client_id: 'modern', prompt: 'none' }))
    const form = (body: string) => ({
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'cross-site' },
    })

    const posted = await person.open('/login', form(request.toString()))

    expect([posted.status, posted.location, posted.cookies]).toEqual([
      303,
      `${op.here}/login?${request.toString()}`,
      [],
    ])
    expect(new URL((await person.open(posted.location!)).location!).searchParams.get('error')).toBeNull()
    // Only an OAuth client's: a session front end has links.
    expect((await person.open('/login', form('frontend=desk'))).status).toBe(405)
    expect((await person.open('/login', form(`client_id=modern&state=${'a'.repeat(8000)}`))).status).toBe(414)
  })

  it('answers after a sign-in with a question for the person of id_token_hint only (Core §3.1.2.2)', async () => {
    const { tokens } = await op.signIn()
    const hint = { id_token_hint: tokens.id_token! }

    const [same, another] = [await op.signIn(hint), await op.signIn(hint, op.stack.person(), 'grace@contoso.example')]
    const unhinted = await op.signIn({ id_token_hint: '' }, op.stack.person(), 'grace@contoso.example')

    expect([same.status, unhinted.status]).toEqual([200, 200])
    expect(Object.fromEntries(another.answer)).toMatchObject({ error: 'login_required', state: 'state-of-the-client' })
    expect(another.answer.has('code')).toBe(false)
  })

  it('answers prompt=none for the person of id_token_hint only', async () => {
    const { person, tokens } = await op.signIn({ client_id: 'modern' })
    const payload = (changes: object) =>
      Buffer.from(JSON.stringify({ ...decodeJwt(tokens.id_token!), ...changes })).toString('base64url')
    const silent = async (id_token_hint: string, changes = {}) => {
      const request = { client_id: 'modern', prompt: 'none', id_token_hint, ...changes }
      const done = await person.signIn(authorizationRequest(newPkce(), request))
      return new URL(done.location!).searchParams.get('error')
    }

    expect(await silent(tokens.id_token!)).toBeNull()
    expect(await silent(`e30.${payload({ sub: 'another' })}.x`)).toBe('login_required')
    // A hint of another issuer or client has no effect here, nor has one that is no token.
    expect(await silent(`e30.${payload({ sub: 'another', aud: 'app' })}.x`)).toBeNull()
    expect(await silent(`e30.${payload({ sub: 'another', iss: 'https://other.example' })}.x`)).toBeNull()
    expect(await silent('x'.repeat(5000))).toBeNull()
  })

  describe('the parameter resource', () => {
    it('selects the API, at /login and at /token', async () => {
      const pkce = newPkce()
      const request = authorizationRequest(pkce, { scope: 'openid', resource: 'api://bills' })
      const code = (await authorize(op.stack.person(), request)).get('code')!

      const refused = await redeem(op.here, code, pkce, { resource: 'api://demo' })
      const tokens = await redeem(op.here, code, pkce, { resource: 'api://bills' })

      expect([refused.status, refused.json.error]).toEqual([400, 'invalid_target'])
      expect([tokens.status, tokens.json.scope]).toEqual([200, 'openid api://bills/read'])
      const token = tokens.json.refresh_token as string
      expect((await refresh(op.here, token, { resource: 'api://demo' })).json.error).toBe('invalid_target')
      const both = (...resources: readonly string[]) =>
        send(
          '/token',
          new URLSearchParams([
            ...Object.entries({ grant_type: 'refresh_token', client_id: 'app', refresh_token: token }),
            ...resources.map((one): [string, string] => ['resource', one]),
          ]),
          { url: op.here },
        )
      // A refresh token serves one API at a time (RFC 8707 §2.2), and none is used up by a refusal.
      expect((await both('api://bills', 'api://demo')).json.error).toBe('invalid_target')
      expect((await both('api://bills', '', 'api://bills')).status).toBe(200)
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
        await op.stack.person().begin(authorizationRequest(newPkce(), { scope: 'openid', resource })),
        await op.stack.person().begin(authorizationRequest(newPkce(), { scope: ordersRead, resource: 'api://bills' })),
      ]

      for (const { location } of refusals) {
        expect(new URL(location!).searchParams.get('error')).toBe('invalid_target')
        expect(location).not.toContain('evil')
      }
      expect((await op.signIn({ scope: ordersRead, resource: 'api://demo' })).status).toBe(200)
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
      const { tokens } = await op.signIn({ scope: both })
      expect(tokens.scope).toBe(`openid ${ordersRead}`)

      const other = await refresh(op.there, tokens.refresh_token!, selection)
      const first = await refresh(op.here, other.json.refresh_token as string)

      expect([scopeOf(other).split(' ').at(-1), scopeOf(first)]).toEqual(['api://bills/read', `openid ${ordersRead}`])
      expect(decodeJwt(other.json.access_token as string)).toMatchObject({ scp: 'read' })
      expect(first.json.access_token).toBe(tokens.access_token)
    })

    it('is for the API of the first resource, and has the APIs of the others', async () => {
      const pkce = newPkce()
      const query = new URLSearchParams(authorizationRequest(pkce, { scope: 'openid' }))
      for (const resource of ['api://bills', 'api://demo']) query.append('resource', resource)
      const code = (await authorize(op.stack.person(), query)).get('code')!

      // The code is for the first one. It is not used up by the refusal.
      expect((await redeem(op.here, code, pkce, { resource: 'api://demo' })).json.error).toBe('invalid_target')
      const tokens = await redeem(op.here, code, pkce, { resource: 'api://bills' })
      const demo = await refresh(op.here, tokens.json.refresh_token as string, {
        resource: 'api://demo',
        scope: ordersRead,
      })

      expect(scopeOf(tokens)).toBe('openid api://bills/read')
      expect(scopeOf(demo)).toBe(ordersRead)
    })

    it('gives no scope that was not granted, and nothing for a resource that is not registered', async () => {
      const { tokens } = await op.signIn({ scope: both })
      const token = tokens.refresh_token!

      expect(scopeOf(await refresh(op.here, token, { scope: 'api://demo/orders.write' }))).toBe('invalid_scope')
      expect(scopeOf(await refresh(op.here, token, { resource: 'api://other' }))).toBe('invalid_target')
      expect(scopeOf(await refresh(op.here, token, { scope: ordersRead, resource: 'api://bills' }))).toBe(
        'invalid_target',
      )
      expect((await refresh(op.here, token)).status).toBe(200)
    })
  })
})
