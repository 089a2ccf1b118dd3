import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { app, authorizationRequest, newPkce, ordersRead, redeem, refresh, signInByCode } from '../setup/client.ts'
import type { Pkce } from '../setup/client.ts'
import { ada, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const shop: Registration = {
  id: 'shop',
  origins: ['http://localhost:3000'],
  apis: [
    { name: 'orders', scopes: ['api://demo/orders.read', 'api://demo/orders.write'] },
    { name: 'bills', scopes: ['api://bills/read'] },
  ],
  claims: ['amr'],
}
const context = (value: string) => JSON.stringify({ access_token: { acrs: { essential: true, value } } })
/** The challenge of continuous access evaluation: only tokens that are issued later are accepted. */
const newerThan = (seconds: number) =>
  JSON.stringify({ access_token: { nbf: { essential: true, value: String(seconds) } } })

interface TokenBody {
  readonly access_token: string
  readonly sign_in_url?: string
}

describe('a step-up', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [shop, app, { ...app, id: 'sso', singleSignOn: true }] })
  })
  afterEach(() => {
    stack.identityProvider.changeTokenResponse()
    stack.identityProvider.enablePerson(ada)
    stack.identityProvider.settings.continuousAccessSeconds = 0
  })
  afterAll(() => stack.close())

  const signedIn = async (): Promise<Person> => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop' })
    return person
  }
  /** Opens a link to sign in, and returns the pages that the provider showed. */
  const follow = async (person: Person, link: string) => {
    const begun = await person.open(link)
    const answer = await person.atProvider(begun.location!)
    return { pages: answer.pages, done: await person.callback(answer) }
  }
  const token = async (person: Person, body: object = {}) => {
    const { status, json } = await person.sessionToken(shopPage, { api: 'orders', ...body })
    const { access_token: text, sign_in_url: signInUrl } = json as unknown as TokenBody
    return { status, json, text, signInUrl, claims: text ? decodeJwt(text) : {} }
  }
  const sent = (grantType: string) =>
    stack.identityProvider.requests
      .filter((one) => one.grantType === grantType)
      .map(({ form }) => JSON.parse(form?.claims ?? '{}') as { access_token?: Record<string, unknown> })

  describe('by a challenge of the API', () => {
    it('requires the second factor although the person is signed in, and the new token carries the context', async () => {
      const person = await signedIn()
      expect((await token(person)).claims).not.toHaveProperty('acrs')

      const { pages, done } = await follow(person, `/login?frontend=shop&claims=${encodeURIComponent(context('c1'))}`)

      expect(pages).toEqual(['second-factor'])
      expect(done).toMatchObject({ status: 303, location: 'http://localhost:3000/' })
      expect((await token(person)).claims.acrs).toEqual(['c1'])
      expect((await person.script(shopPage, '/session')).json.claims).toEqual({ amr: ['pwd', 'mfa'] })
    })

    it('is requested from the provider each time: no session of the broker satisfies it', async () => {
      const person = await signedIn()
      stack.identityProvider.resetRequests()

      const begun = await person.open(`/login?frontend=shop&claims=${encodeURIComponent(context('c1'))}`)

      expect(begun.location).toContain(stack.identityProvider.browserUrl)
      expect(new URL(begun.location!).searchParams.get('claims')).toContain('"acrs"')
    })

    it('shows no page again where the provider’s session has the factor', async () => {
      const person = await signedIn()
      const link = `/login?frontend=shop&claims=${encodeURIComponent(context('c1'))}`
      await follow(person, link)

      expect((await follow(person, link)).pages).toEqual([])
    })

    it('answers the script with a URL for this API and this challenge, and keeps the session', async () => {
      const person = await signedIn()
      const before = await token(person, { api: 'bills' })

      const refused = await token(person, { api: 'bills', claims: context('c1') })
      const url = new URL(refused.signInUrl!)

      expect([refused.status, refused.json.code]).toEqual([403, 'interaction_required'])
      // As the API sends it, in base64 or base64url.
      for (const encoding of ['base64', 'base64url'] as const) {
        const claims = Buffer.from(context('c1')).toString(encoding)
        expect((await token(person, { api: 'bills', claims })).signInUrl).toBe(refused.signInUrl)
        const begun = await person.open(`/login?${new URLSearchParams({ frontend: 'shop', claims }).toString()}`)
        expect(new URL(begun.location!).searchParams.get('claims')).toContain('"c1"')
      }
      expect(url.searchParams.get('claims')).toContain('"c1"')
      expect(url.searchParams.get('scope')).toBe('api://bills/read')
      expect((await token(person, { api: 'bills' })).text).toBe(before.text)

      await follow(person, url.href)
      const after = await token(person, { api: 'bills' })
      expect(after.claims).toMatchObject({ aud: 'api://bills', acrs: ['c1'] })
    })

    it('is answered without the person where the sign-in has satisfied it already', async () => {
      const person = await signedIn()
      await follow(person, `/login?frontend=shop&claims=${encodeURIComponent(context('c1'))}`)

      const bills = await token(person, { api: 'bills', claims: context('c1') })

      expect([bills.status, bills.claims.acrs]).toEqual([200, ['c1']])
    })

    it('that the person does not satisfy ends on a page with links, and never goes back and forth', async () => {
      const person = await signedIn()
      const begun = await person.open(`/login?frontend=shop&claims=${encodeURIComponent(context('c1'))}`)
      const answer = await person.atProvider(begun.location!, ada, { cancelAt: 'second-factor' })
      const page = await person.callback(answer)

      expect([page.status, page.location]).toEqual([403, null])
      expect(page.text).toContain('sign_in_cancelled')
      expect((await token(person)).status).toBe(200)
      // Without the factor, the same challenge leads to the provider again, and not to a token.
      expect((await token(person, { claims: context('c1') })).status).toBe(403)
    })

    it.each([
      ['about the person', '{"access_token":{"email":{"essential":true}}}'],
      ['about the ID token', '{"id_token":{"email":null}}'],
      ['with a prototype', '{"access_token":{"__proto__":{"essential":true}}}'],
      ['that is nested', '{"access_token":{"acrs":{"value":{"access_token":{}}}}}'],
      ['that is nested without end', '['.repeat(2000) + ']'.repeat(2000)],
      ['that is too long', JSON.stringify({ access_token: { acrs: { values: Array(20).fill('a'.repeat(300)) } } })],
      ['that is no JSON', 'bm90IEpTT04='],
      ['about the person, in base64', btoa('{"access_token":{"email":{"essential":true}}}')],
    ])('is refused %s, before the provider is called', async (_, claims) => {
      const person = await signedIn()
      stack.identityProvider.resetRequests()

      const refused = await token(person, { claims })

      expect([refused.status, refused.json.code]).toEqual([400, 'claims_not_allowed'])
      expect(stack.identityProvider.requests).toEqual([])
      expect((await token(person, { claims: '' })).status).toBe(200)
    })
  })

  describe('of an OAuth client', () => {
    /** The client adds its request to the URL that /token returned, which names the client and the scope. */
    const withRequest = (signInUrl: string, pkce: Pkce) => {
      const url = new URL(signInUrl)
      const added = authorizationRequest(pkce, { client_id: undefined, scope: undefined })
      for (const [name, value] of Object.entries(added)) url.searchParams.set(name, value)
      return url.href
    }

    it('begins at /token with the challenge, and the next tokens carry the context', async () => {
      const person = stack.person()
      const { refreshToken } = await signInByCode(person, stack.url)

      const reported = await refresh(stack.url, refreshToken, { claims: context('c1') })
      expect([reported.status, reported.json.error]).toEqual([400, 'interaction_required'])
      const url = new URL(reported.json.sign_in_url as string)
      expect(url.searchParams.get('claims')).toContain('"c1"')

      const pkce = newPkce()
      const { pages, done } = await follow(person, withRequest(url.href, pkce))
      const tokens = await redeem(stack.url, new URL(done.location!).searchParams.get('code')!, pkce)

      expect(pages).toEqual(['second-factor'])
      expect(decodeJwt(tokens.json.access_token as string).acrs).toEqual(['c1'])
      // The first session is as it was.
      expect((await refresh(stack.url, refreshToken)).status).toBe(200)
    })

    it.each([
      ['a second factor', { suberror: 'basic_action', error_codes: [50076], claims: context('c1') }],
      ['a consent', { suberror: 'consent_required', error_codes: [65001] }],
    ])('that the provider requires at a renewal, %s, is requested as it is, of one API', async (_, required) => {
      const person = stack.person()
      stack.identityProvider.settings.accessTokenSeconds = 4
      const { refreshToken } = await signInByCode(person, stack.url)
      stack.identityProvider.settings.accessTokenSeconds = 3600
      stack.identityProvider.nextTokenError({ error: 'invalid_grant', grantType: 'refresh_token', ...required })
      const reported = await refresh(stack.url, refreshToken)
      expect([reported.status, reported.json.error]).toEqual([400, 'interaction_required'])

      const pkce = newPkce()
      const begun = await person.open(withRequest(reported.json.sign_in_url as string, pkce))
      const done = await person.callback(await person.atProvider(begun.location!))

      const sent = new URL(begun.location!).searchParams
      expect(sent.get('scope')).toBe(`openid profile offline_access ${ordersRead}`)
      expect(JSON.parse(sent.get('claims')!)).toEqual({
        access_token: {
          xms_cc: { values: ['cp1'] },
          ...('claims' in required ? { acrs: { essential: true, value: 'c1' } } : {}),
        },
      })
      const code = new URL(done.location!).searchParams.get('code')!
      expect((await redeem(stack.url, code, pkce)).status).toBe(200)
      // The first session is as it was.
      expect((await refresh(stack.url, refreshToken)).status).toBe(200)
    })

    it('is not skipped by single sign-on, nor by prompt=none', async () => {
      const person = await signedIn()
      const request = authorizationRequest(newPkce(), {
        client_id: 'sso',
        scope: `openid ${ordersRead}`,
        claims: context('c1'),
      })

      const silent = await person.begin({ ...request, prompt: 'none' })
      const answer = await person.atProvider(silent.location!)
      const failed = await person.callback(answer)
      expect(new URL(failed.location!).searchParams.get('error')).toBe('login_required')

      const begun = await person.begin(request)
      expect((await person.atProvider(begun.location!)).pages).toEqual(['second-factor'])
    })

    it.each([
      ['about the ID token', '{"id_token":{"login_hint":{"essential":false},"signin_state":null}}'],
      ['of the client’s own capability', '{"id_token":{},"access_token":{"xms_cc":{"values":["cp1"]}}}'],
    ])('is none by claims %s, which MSAL sends with each refresh: the kept token is the answer', async (_, claims) => {
      const { refreshToken, accessToken } = await signInByCode(stack.person(), stack.url)
      stack.identityProvider.resetRequests()

      const answer = await refresh(stack.url, refreshToken, { claims })

      expect([answer.status, answer.json.access_token]).toEqual([200, accessToken])
      expect(stack.identityProvider.requests).toEqual([])
    })

    it('refuses a challenge about the person at /token', async () => {
      const { refreshToken } = await signInByCode(stack.person(), stack.url)

      const refused = await refresh(stack.url, refreshToken, { claims: '{"access_token":{"email":null}}' })

      expect([refused.status, refused.json.error]).toEqual([400, 'invalid_request'])
      expect((await refresh(stack.url, refreshToken)).status).toBe(200)
    })
  })

  describe('by max_age', () => {
    it('makes the person sign in again, and /session has the time', async () => {
      const person = await signedIn()
      const before = Math.floor(Date.now() / 1000)

      const { pages, done } = await follow(person, '/login?frontend=shop&max_age=0')

      expect([pages, done.status]).toEqual([['sign-in'], 303])
      const { json } = await person.script(shopPage, '/session')
      expect(json.authenticated_at).toBeGreaterThanOrEqual(before)
      expect((await follow(person, '/login?frontend=shop&max_age=600')).pages).toEqual([])
    })

    it.each<[string, object]>([
      ['names no time', { auth_time: undefined }],
      ['names an older time', { auth_time: Math.floor(Date.now() / 1000) - 700 }],
      ['names an older time in milliseconds', { auth_time: Date.now() - 700_000 }],
    ])('is not fulfilled by a provider that %s, and the session stays', async (_, changed) => {
      const person = await signedIn()
      stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => ({
        ...answer,
        id_token: await signIdToken({ ...decodeJwt(answer.id_token as string), ...changed }),
      }))

      const { done } = await follow(person, '/login?frontend=shop&max_age=600')

      expect([done.status, done.location]).toEqual([400, null])
      expect(done.text).toContain('login_required')
      expect((await token(person)).status).toBe(200)
    })
  })

  describe('by prompt=login', () => {
    it('is not fulfilled by a provider that names an earlier sign-in, and the session stays', async () => {
      const person = await signedIn()
      stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => ({
        ...answer,
        id_token: await signIdToken({ ...decodeJwt(answer.id_token as string), auth_time: Date.now() / 1000 - 700 }),
      }))

      const { done } = await follow(person, '/login?frontend=shop&prompt=login+consent')
      stack.identityProvider.changeTokenResponse(({ answer }) => answer)

      expect([done.status, done.location]).toEqual([400, null])
      expect(done.text).toContain('login_required')
      expect((await token(person)).status).toBe(200)
      expect((await follow(person, '/login?frontend=shop&prompt=login+consent')).done.status).toBe(303)
    })
  })

  describe('by continuous access evaluation', () => {
    it('announces cp1 at sign-in, redemption and renewal, merged with the challenge', async () => {
      const person = await signedIn()
      const begun = await person.open('/login?frontend=shop')
      expect(new URL(begun.location!).searchParams.get('claims')).toContain('"xms_cc":{"values":["cp1"]}')
      stack.identityProvider.resetRequests()

      const renewed = await token(person, { claims: newerThan(1) })
      await follow(person, '/login?frontend=shop')

      expect(sent('refresh_token')).toMatchObject([
        { access_token: { nbf: { essential: true, value: '1' }, xms_cc: { values: ['cp1'] } } },
      ])
      expect(sent('authorization_code')).toMatchObject([{ access_token: { xms_cc: { values: ['cp1'] } } }])
      expect(renewed.claims.xms_cc).toEqual(['cp1'])
    })

    it('announces nothing where the setting is off, and passes on no capability of a challenge', async () => {
      const off = await stack.startInstance({ Broker__ContinuousAccess: 'false' })
      const person = stack.person()
      stack.identityProvider.resetRequests()

      await person.signIn({ frontend: 'shop' }, ada, { at: off.url })
      const claims = JSON.stringify({ access_token: { nbf: { value: '1' }, xms_cc: { values: ['cp1'] } } })
      const { status } = await person.sessionToken(shopPage, { api: 'orders', claims }, { at: off.url })

      expect(status).toBe(200)
      const requested = stack.identityProvider.requests.find(({ endpoint }) => endpoint === 'authorize')?.query
      expect(requested).not.toHaveProperty('claims')
      expect(sent('authorization_code')[0]).not.toHaveProperty('access_token')
      expect(sent('refresh_token')[0]?.access_token).toEqual({ nbf: { value: '1' } })
    })

    it('renews a token that the API has rejected, and serves the new one from then on', async () => {
      const person = await signedIn()
      const rejected = await token(person)

      const renewed = await token(person, { claims: newerThan(2) })

      expect(renewed.status).toBe(200)
      expect(renewed.text).not.toBe(rejected.text)
      expect((await token(person)).text).toBe(renewed.text)
    })

    it('renews once for pages that receive the same challenge together', async () => {
      const person = await signedIn()
      stack.identityProvider.resetRequests()

      const answers = await Promise.all([1, 2, 3, 4].map(() => token(person, { claims: newerThan(3) })))
      const later = await token(person, { claims: newerThan(3) })

      expect(new Set([...answers, later].map(({ text }) => text)).size).toBe(1)
      expect(sent('refresh_token')).toHaveLength(1)
      expect((await token(person, { claims: newerThan(4) })).text).not.toBe(later.text)
    })

    it('ends the session of a blocked person with the next challenge, although the token lives for a day', async () => {
      stack.identityProvider.settings.continuousAccessSeconds = 28 * 3600
      const person = await signedIn()
      expect((await token(person)).json.expires_in).toBeLessThanOrEqual(24 * 3600)
      stack.identityProvider.disablePerson(ada)

      // The API evaluates access by itself; the broker reads the block in the answer to its next renewal.
      expect((await token(person)).status).toBe(200)
      const ended = await token(person, { claims: newerThan(5) })

      expect([ended.status, ended.json.code]).toEqual([401, 'signed_out'])
      expect((await person.script(shopPage, '/session')).status).toBe(401)
    })

    it('keeps the session where the provider requires a step of the person by a challenge of its own', async () => {
      const person = await signedIn()
      const claims = '{"access_token":{"capolids":{"essential":true,"values":["p1"]}}}'
      stack.identityProvider.nextTokenError({ error: 'invalid_grant', suberror: 'basic_action', claims })

      const refused = await token(person, { claims: newerThan(6) })

      expect(refused.status).toBe(403)
      expect(new URL(refused.signInUrl!).searchParams.get('claims')).toBe(claims)
      expect((await token(person)).status).toBe(200)
    })
  })
})
