import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { TokenError } from '../../local/identity-provider/identity-provider.ts'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { openTables } from '../setup/tables.ts'

const read = 'api://demo/orders.read'
/** As Entra writes them. */
const challenge = '{"access_token":{"capolids":{"essential":true,"values":["5e6a4c2f-0000-4000-8000-0000000000aa"]}}}'

describe('a renewal that the provider refuses', () => {
  let stack: Stack
  let person: Person
  beforeAll(async () => {
    stack = await startStack({ instances: 2 })
  })
  beforeEach(async () => {
    person = stack.person()
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    stack.identityProvider.resetRequests()
  })
  afterEach(() => {
    stack.identityProvider.faults.clear()
    stack.identityProvider.enablePerson(ada)
  })
  afterAll(() => stack.close())

  /** For scopes without a stored token, so that the provider receives a request; the token of the sign-in stays. */
  const renew = (): Promise<Reply> => person.sessionToken(shopPage, { api: 'orders', scope: read })
  const refuse = (error: Omit<TokenError, 'grantType'>) =>
    stack.identityProvider.nextTokenError({ grantType: 'refresh_token', ...error })
  const session = () => person.script(shopPage, '/session')
  const rows = async () => (await openTables(stack).rows('sessions')).length

  describe('because the person’s sign-in has ended there', () => {
    it.each<[string, Omit<TokenError, 'grantType'>]>([
      ['no further details', { error: 'invalid_grant' }],
      ['the number of a revoked grant', { error: 'invalid_grant', error_codes: [50173], suberror: 'bad_token' }],
      ['the number of an expired one', { error: 'invalid_grant', error_codes: [700082], suberror: 'token_expired' }],
      ['an unknown suberror', { error: 'invalid_grant', suberror: 'client_mismatch' }],
      ['empty claims', { error: 'invalid_grant', claims: '' }],
      [
        'a text that mentions a further step',
        { error: 'invalid_grant', error_description: 'AADSTS50076: interaction_required, multi-factor authentication' },
      ],
    ])('ends the session (%s)', async (_, error) => {
      const before = await rows()
      refuse(error)

      const reply = await renew()

      expect(reply.status).toBe(401)
      expect(reply.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
      expect(await rows()).toBe(before - 1)
      expect((await session()).status).toBe(401)
      expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(401)
    })

    it('ends that session and no other of this browser', async () => {
      await person.signIn({ frontend: 'desk', return_url: 'http://localhost:4200/' })
      refuse({ error: 'invalid_grant' })

      expect((await renew()).status).toBe(401)
      expect((await person.script(deskPage, '/session')).status).toBe(200)
    })

    it('ends the session at the next renewal when an administrator disabled the account', async () => {
      stack.identityProvider.disablePerson(ada)

      expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200) // minutes, until it ends
      expect((await renew()).status).toBe(401)
      expect((await session()).status).toBe(401)
    })

    it('ends the session at the next renewal when an administrator revoked the sessions', async () => {
      stack.identityProvider.revokeRefreshTokens(ada)

      expect((await renew()).status).toBe(401)
      expect((await session()).status).toBe(401)
    })

    it('leads to a new sign-in that works', async () => {
      refuse({ error: 'invalid_grant' })
      const { json } = await renew()

      const begun = await person.open(`${json.sign_in_url as string}&return_url=http://localhost:3000/`)
      expect((await person.callback(await person.atProvider(begun.location!))).status).toBe(303)
      expect((await renew()).status).toBe(200)
    })

    it('ends the session for all calls that waited, with the same answer', async () => {
      stack.identityProvider.revokeRefreshTokens(ada)

      const replies = await Promise.all(
        Array.from({ length: 6 }, (_, i) =>
          person.sessionToken(shopPage, { api: 'orders', scope: read }, { at: stack.brokers[i % 2]!.url }),
        ),
      )

      expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 401))
    })
  })

  describe('because it requires a step of the person', () => {
    it.each<[string, Omit<TokenError, 'grantType'>]>([
      ['basic_action', { error: 'invalid_grant', suberror: 'basic_action', error_codes: [50076] }],
      ['additional_action', { error: 'invalid_grant', suberror: 'additional_action' }],
      ['consent_required', { error: 'invalid_grant', suberror: 'consent_required', error_codes: [65001] }],
      ['message_only', { error: 'invalid_grant', suberror: 'message_only' }],
      ['user_password_expired', { error: 'invalid_grant', suberror: 'user_password_expired', error_codes: [50055] }],
      ['claims', { error: 'invalid_grant', claims: challenge }],
      ['the error interaction_required', { error: 'interaction_required', error_codes: [50076] }],
      ['the error consent_required', { error: 'consent_required' }],
      ['the error login_required', { error: 'login_required' }],
    ])('leaves the session unchanged and returns the URL to go to (%s)', async (_, error) => {
      refuse(error)

      const reply = await renew()

      expect(reply.status).toBe(403)
      expect(reply.location).toBeNull()
      expect(reply.json.code).toBe('interaction_required')
      const url = new URL(reply.json.sign_in_url as string)
      expect(url.origin + url.pathname).toBe(`${stack.url}/login`)
      expect(url.searchParams.get('scope')).toBe(read)
      expect((await session()).status).toBe(200)
      // The next renewal is not blocked.
      expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
      expect((await renew()).status).toBe(200)
    })

    it('shows no part of the provider’s text', async () => {
      refuse({ error: 'interaction_required', error_description: 'AADSTS50076: for ada@contoso.example, secret text' })

      const reply = await renew()

      expect(reply.text).not.toMatch(/AADSTS|secret text|contoso/)
      expect(stack.log()).not.toMatch(/secret text|for ada/)
    })

    it('passes its challenge on: the sign-in accepts it and the provider receives it, with the capability of the broker', async () => {
      refuse({ error: 'invalid_grant', suberror: 'basic_action', claims: challenge })
      const url = new URL((await renew()).json.sign_in_url as string)
      url.searchParams.set('return_url', 'http://localhost:3000/orders#7')

      const begun = await person.open(url.href)
      const requested = new URL(begun.location!).searchParams
      const done = await person.callback(await person.atProvider(begun.location!))

      expect(url.searchParams.get('claims')).toBe(challenge)
      expect(JSON.parse(requested.get('claims')!)).toEqual({
        access_token: {
          ...(JSON.parse(challenge) as { access_token: object }).access_token,
          xms_cc: { values: ['cp1'] },
        },
      })
      expect(requested.getAll('claims')).toHaveLength(1)
      expect(done.location).toBe('http://localhost:3000/orders#7')
      stack.identityProvider.resetRequests()
      // The requested token is stored now.
      expect((await renew()).status).toBe(200)
      expect(stack.identityProvider.requests).toEqual([])
    })

    it.each([
      '{"id_token":{"email":{"essential":true}}}',
      '{"userinfo":{"email":null}}',
      '{"access_token":{"email":{"essential":true}}}',
      '{"access_token":{"acrs":{"essential":true,"value":"c1"}},"id_token":{}}',
      '{"access_token":{"acrs":{"essential":"yes"}}}',
      '{"access_token":{"acrs":{"value":{"$ne":1}}}}',
      '{"access_token":[]}',
      '[]',
      'c1',
      '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}&prompt=none',
    ])('accepts no forged challenge: %s', async (claims) => {
      const begin = (text: string) =>
        person.begin({ frontend: 'shop', return_url: 'http://localhost:3000/', claims: text })

      const refused = await begin(claims)

      expect(refused.status).toBe(400)
      expect(refused.text).toContain('claims_not_allowed')
      expect((await session()).status).toBe(200)
      expect((await begin('{"access_token":{"acrs":{"essential":true,"value":"c1"}}}')).status).toBe(303)
    })
  })

  describe('for a reason that does not concern the person', () => {
    it.each<[string, Omit<TokenError, 'grantType'>, string]>([
      ['invalid_client', { error: 'invalid_client', error_codes: [700027] }, 'client_refused'],
      ['unauthorized_client', { error: 'unauthorized_client', error_codes: [700016] }, 'client_refused'],
      ['temporarily_unavailable', { error: 'temporarily_unavailable' }, 'provider_unavailable'],
      ['server_error', { error: 'server_error' }, 'provider_unavailable'],
      ['invalid_scope', { error: 'invalid_scope' }, 'app_registration_invalid'],
      ['invalid_request', { error: 'invalid_request' }, 'provider_answer_invalid'],
      ['an unknown error', { error: 'something_new', error_codes: [50173] }, 'provider_answer_invalid'],
      [
        'an error whose text mentions a grant',
        { error: 'something_new', error_description: 'invalid_grant: interaction_required' },
        'provider_answer_invalid',
      ],
    ])('does not sign the person out (%s)', async (_, error, code) => {
      // Where the certificate is refused, the newest version is tried once more.
      refuse({ ...error, times: 2 })

      const reply = await renew()
      stack.identityProvider.faults.clear()

      expect(reply.status).toBe(503)
      expect(reply.json.code).toBe(code)
      expect(reply.headers.get('retry-after')).toMatch(/^\d+$/)
      expect(reply.cookies).toEqual([])
      expect((await session()).status).toBe(200)
      expect((await renew()).status).toBe(200)
    })
  })
})
