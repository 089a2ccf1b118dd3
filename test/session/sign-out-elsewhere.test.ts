import { decodeJwt } from 'jose'
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TokenChange } from '../../local/identity-provider/identity-provider.ts'
import { app, authorizationRequest, authorize, newPkce, redeem, refresh, send, signInByCode } from '../setup/client.ts'
import { runSessionsCommand } from '../../tools/sessions/sessions-command.ts'
import { runAsOperator } from '../setup/operator-command.ts'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const event = 'http://schemas.openid.net/event/backchannel-logout'
const grace = 'grace@contoso.example'

describe('a sign-out that begins at the provider', () => {
  let stack: Stack
  let here: string
  let there: string
  let idToken: { sid: string; sub: string; aud: string }
  let signIdToken: TokenChange['signIdToken']
  beforeAll(async () => {
    stack = await startStack({ instances: 2, frontEnds: [shop, desk, app] })
    ;[here, there] = stack.brokers.map(({ url }) => url) as [string, string]
  })
  afterAll(() => stack.close())

  /** Signs a person in and stores the identity that the provider reports. */
  const signIn = async (person: Person, frontend: string, username = ada) => {
    stack.identityProvider.changeTokenResponse((change) => {
      idToken = decodeJwt(change.answer.id_token as string)
      signIdToken = change.signIdToken
      return change.answer
    })
    await person.signIn({ frontend }, username)
    return { ...idToken }
  }
  /** The ID token names no session: many providers do this, and Entra does unless the claim is configured. */
  const signInWithoutSession = async (person: Person) => {
    stack.identityProvider.changeTokenResponse(async (change) => {
      signIdToken = change.signIdToken
      const claims = { ...decodeJwt(change.answer.id_token as string), sid: undefined }
      idToken = claims as unknown as typeof idToken
      return { ...change.answer, id_token: await signIdToken(claims) }
    })
    await person.signIn({ frontend: 'shop' })
    return { ...idToken }
  }
  const isSignedIn = async (person: Person, page = shopPage) =>
    (await person.script(page, '/session', { at: here })).status === 200

  const logoutToken = (
    changes: object = {},
    header: Parameters<TokenChange['signIdToken']>[1] = { typ: 'logout+jwt' },
  ) =>
    signIdToken(
      {
        iss: stack.identityProvider.issuer,
        aud: idToken.aud,
        iat: Math.floor(Date.now() / 1000),
        jti: randomUUID(),
        events: { [event]: {} },
        ...changes,
      },
      header,
    )
  const post = async (token: string | Promise<string>, at = there) =>
    send('/logout/backchannel', new URLSearchParams({ logout_token: await token }), { url: at })

  describe('by a request in a frame', () => {
    it('ends every session of the provider’s session, of both kinds of front end and on every instance, and no other', async () => {
      const [person, other] = [stack.person(), stack.person()]
      await signIn(other, 'shop')
      await signIn(person, 'shop')
      const { sid } = await signIn(person, 'desk')
      const { refreshToken } = await signInByCode(person, here)

      const framed = await person.open(`/logout/frontchannel?sid=${sid}`, { at: there })

      expect([framed.status, framed.text]).toEqual([200, ''])
      expect(await isSignedIn(person)).toBe(false)
      expect(await isSignedIn(person, deskPage)).toBe(false)
      expect((await refresh(here, refreshToken)).json.error).toBe('invalid_grant')
      expect(await isSignedIn(other)).toBe(true)
    })

    it('has an answer that only pages of the provider may frame', async () => {
      const framed = await stack.person().open('/logout/frontchannel?sid=11111111-0000')

      const policy = framed.headers.get('content-security-policy')
      expect(policy).toContain(
        `frame-ancestors ${new URL(stack.identityProvider.issuer).origin} ${stack.identityProvider.browserUrl};`,
      )
      expect(framed.headers.get('x-frame-options')).toBeNull()
      expect((await stack.person().open('/login')).headers.get('x-frame-options')).toBe('DENY')
    })

    it.each([
      ['another issuer', (sid: string) => `iss=https://evil.example/&sid=${sid}`],
      ['a guessed session', () => 'sid=00000000-0000-0000-0000-000000000000'],
      ['an empty session', () => 'sid='],
      ['no session', () => ''],
      ['filter syntax', () => `sid=${encodeURIComponent("' or PartitionKey ne '")}`],
      ['the session twice', (sid: string) => `sid=${sid}&sid=${sid}`],
    ])('with %s ends no session', async (_, query) => {
      const person = stack.person()
      const { sid } = await signIn(person, 'shop')

      await person.open(`/logout/frontchannel?${query(sid)}`)

      expect(await isSignedIn(person)).toBe(true)
      await person.open(`/logout/frontchannel?iss=${encodeURIComponent(stack.identityProvider.issuer)}&sid=${sid}`)
      expect(await isSignedIn(person)).toBe(false)
    })
  })

  it('through a frame does not use a person’s subject as a session, if the provider names no session', async () => {
    const person = stack.person()
    const { sub } = await signInWithoutSession(person)

    await stack.person().open(`/logout/frontchannel?sid=${sub}`)

    expect(await isSignedIn(person)).toBe(true)
    expect((await post(logoutToken({ sub }))).status).toBe(200)
    expect(await isSignedIn(person)).toBe(false)
  })

  describe('between a code and /token leaves no session:', () => {
    it.each([
      [
        'by a frame',
        (person: Person, { sid }: typeof idToken) => person.open(`/logout/frontchannel?sid=${sid}`, { at: there }),
      ],
      [
        'by a logout token of the session',
        async (_: Person, { sid, sub }: typeof idToken) => post(logoutToken({ sid, sub })),
      ],
      ['by a logout token of the person', async (_: Person, { sub }: typeof idToken) => post(logoutToken({ sub }))],
      [
        'by the person at another front end of the same provider session',
        (person: Person) => person.script(shopPage, '/logout', { method: 'POST', body: '{}', at: there }),
      ],
    ])('%s', async (_, signOut) => {
      const [person, other] = [stack.person(), stack.person()]
      const [pkce, otherPkce] = [newPkce(), newPkce()]
      const otherCode = (await authorize(other, authorizationRequest(otherPkce), grace)).get('code')!
      const known = await signIn(person, 'shop')
      const code = (await authorize(person, authorizationRequest(pkce))).get('code')!

      await signOut(person, known)

      const refused = await redeem(here, code, pkce)
      expect([refused.status, refused.json.error]).toEqual([400, 'invalid_grant'])
      expect(refused.text).not.toContain('access_token')
      expect((await redeem(here, otherCode, otherPkce)).status).toBe(200)
    })
  })

  describe('by a logout token', () => {
    it('that names a session ends that one, and no other session of the person', async () => {
      const [person, elsewhere] = [stack.person(), stack.person()]
      await signIn(elsewhere, 'shop')
      const { sid, sub } = await signIn(person, 'shop')

      const answer = await post(logoutToken({ sid, sub }))

      expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
      expect(await isSignedIn(person)).toBe(false)
      expect(await isSignedIn(elsewhere)).toBe(true)
    })

    it('that names a session ends no session without a name, also where the store’s answer is lost', async () => {
      const [unnamed, person] = [stack.person(), stack.person()]
      await signInWithoutSession(unnamed)
      const { sid, sub } = await signIn(person, 'shop')
      stack.store.addFault({ operation: 'remove', table: 'sessions', loseAnswer: true, times: 1 })

      expect((await post(logoutToken({ sid, sub }))).status).toBe(200)
      expect([await isSignedIn(person), await isSignedIn(unnamed)]).toEqual([false, true])

      expect((await post(logoutToken({ sid: 'a session without a row', sub }))).status).toBe(200)
      expect(await isSignedIn(unnamed)).toBe(false)
    })

    it('that names only a person ends all sessions of that person, and of no other person', async () => {
      const [person, elsewhere, other] = [stack.person(), stack.person(), stack.person()]
      await signIn(other, 'shop', grace)
      await signIn(elsewhere, 'desk')
      const { refreshToken } = await signInByCode(person, here)
      const { sub } = await signIn(person, 'shop')

      expect((await post(logoutToken({ sub }))).status).toBe(200)

      expect(await isSignedIn(person)).toBe(false)
      expect(await isSignedIn(elsewhere, deskPage)).toBe(false)
      expect((await refresh(here, refreshToken)).json.error).toBe('invalid_grant')
      expect(await isSignedIn(other)).toBe(true)
    })

    it('that a fault interrupts is not lost: the same token ends the session, once', async () => {
      const person = stack.person()
      const { sid } = await signIn(person, 'shop')
      const token = await logoutToken({ sid })

      stack.store.addFault({ operation: 'list', table: 'sessions', status: 500 })
      const failed = await post(token)
      stack.store.clearFaults()

      expect(failed.status).toBe(503)
      expect(await isSignedIn(person)).toBe(true)
      expect((await post(token)).status).toBe(200)
      expect(await isSignedIn(person)).toBe(false)
      expect((await post(token)).status).toBe(400)
    })

    it('is accepted once', async () => {
      const { sid } = await signIn(stack.person(), 'shop')
      const token = await logoutToken({ sid })

      const answers = [await post(token), await post(token, here)]

      expect(answers.map(({ status }) => status)).toEqual([200, 400])
      expect(answers[1]!.json.code).toBe('logout_token_refused')
    })

    const now = () => Math.floor(Date.now() / 1000)
    it.each<[string, (sid: string) => object, Parameters<TokenChange['signIdToken']>[1]?]>([
      ['no signature', (sid) => ({ sid }), { alg: 'none' }],
      ['the type of another token', (sid) => ({ sid }), { typ: 'at+jwt' }],
      ['another issuer', (sid) => ({ sid, iss: 'https://evil.example' })],
      ['another audience', (sid) => ({ sid, aud: 'another' })],
      ['an audience beside the broker', (sid) => ({ sid, aud: [idToken.aud, 'another'] })],
      ['no event', (sid) => ({ sid, events: undefined })],
      ['another event', (sid) => ({ sid, events: { 'https://example.com/event': {} } })],
      ['a nonce, as an ID token has', (sid) => ({ sid, nonce: 'n' })],
      ['neither session nor person', () => ({})],
      ['no id', (sid) => ({ sid, jti: undefined })],
      ['no time', (sid) => ({ sid, iat: undefined })],
      ['a time long ago', (sid) => ({ sid, iat: now() - 3600 })],
      ['a time to come', (sid) => ({ sid, iat: now() + 3600 })],
      ['an end that has passed', (sid) => ({ sid, exp: now() - 3600 })],
    ])('with %s ends no session', async (_, changes, header) => {
      const person = stack.person()
      const { sid } = await signIn(person, 'shop')

      const refused = await post(logoutToken(changes(sid), header))

      expect([refused.status, refused.json.code]).toEqual([400, 'logout_token_refused'])
      expect(await isSignedIn(person)).toBe(true)
      expect((await post(logoutToken({ sid }))).status).toBe(200)
      expect(await isSignedIn(person)).toBe(false)
    })

    it.each(['ISO-8859-1', 'us-ascii', '"UTF-8"', 'utf8'])(
      'in a form of the charset %s ends the session',
      async (charset) => {
        const person = stack.person()
        const { sid } = await signIn(person, 'shop')
        const form = new URLSearchParams({ logout_token: await logoutToken({ sid }) }).toString()
        const headers = { 'content-type': `application/x-www-form-urlencoded; charset=${charset}` }

        expect((await send('/logout/backchannel', form, { url: there, headers })).status).toBe(200)
        expect(await isSignedIn(person)).toBe(false)
      },
    )

    it('that is an ID token, or that is missing, ends no session', async () => {
      await signIn(stack.person(), 'shop')

      const answers = await Promise.all([
        post('nothing'),
        post(signIdToken({ ...idToken })),
        send('/logout/backchannel', 'logout_token=a&logout_token=b', { url: here }),
        send('/logout/backchannel', '', { url: here }),
        send('/logout/backchannel', '{}', { url: here, headers: { 'content-type': 'application/json' } }),
      ])

      expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400, 415])
    })
  })

  describe('by an operator', () => {
    const objectIdOf = (username: string) =>
      stack.identityProvider.people.find((person) => person.username === username)!.objectId
    const operate = (
      path: string,
      body: string,
      { key, headers = {}, method = 'POST' }: { key?: string; headers?: Record<string, string>; method?: string } = {},
    ) =>
      fetch(new URL(path, there), {
        method,
        headers: {
          'content-type': 'application/json',
          ...(key === undefined ? {} : { 'x-functions-key': key }),
          ...headers,
        },
        ...(method === 'GET' ? {} : { body }),
      })
    const command = (...args: string[]) => runAsOperator(runSessionsCommand, stack.brokers[1]!, ...args)

    it('ends the sessions, refresh tokens and codes of a person, and of no other person', async () => {
      const [person, elsewhere, other] = [stack.person(), stack.person(), stack.person()]
      await signIn(other, 'shop')
      await signIn(person, 'shop', grace)
      await signIn(elsewhere, 'desk', grace)
      const { refreshToken: ofOther } = await signInByCode(other, here)
      const [pkce, usedPkce] = [newPkce(), newPkce()]
      const usedCode = (await authorize(stack.person(), authorizationRequest(usedPkce), grace)).get('code')!
      const refreshToken = (await redeem(here, usedCode, usedPkce)).json.refresh_token as string
      const code = (await authorize(stack.person(), authorizationRequest(pkce), grace)).get('code')!
      const ofGrace = ['--object-id', objectIdOf(grace)]

      const before = await command('list', '--front-end', 'desk', ...ofGrace)
      const ended = await command('end', ...ofGrace, '--json')

      expect(before.printed).toEqual(['1 session.', expect.stringMatching(/^ {2}desk: 1, signed in from 20/)])
      const count = (JSON.parse(ended.printed[0]!) as { ended: number }).ended
      expect([ended.code, count >= 3]).toEqual([0, true])
      expect(await isSignedIn(person)).toBe(false)
      expect(await isSignedIn(elsewhere, deskPage)).toBe(false)
      expect((await redeem(here, code, pkce)).json.error).toBe('invalid_grant')
      expect(await isSignedIn(other)).toBe(true)
      expect((await command('list', ...ofGrace)).printed).toEqual(['0 sessions.'])
      expect((await refresh(here, refreshToken)).json.error).toBe('invalid_grant')
      expect((await refresh(here, ofOther)).status).toBe(200)
      expect(stack.log()).toMatch(/"event":"sessions ended by an operator".*"reference":"[0-9a-f]{32}"/)
      expect(stack.log()).not.toContain(grace)
    })

    it('ends refresh tokens with the sessions of a front end', async () => {
      const person = stack.person()
      await signIn(person, 'shop')
      const { refreshToken } = await signInByCode(person, here)

      expect((await command('end', '--front-end', 'app')).code).toBe(0)

      expect((await refresh(here, refreshToken)).json.error).toBe('invalid_grant')
      expect(await isSignedIn(person)).toBe(true)
    })

    it('without a function key learns nothing and ends nothing', async () => {
      const person = stack.person()
      await signIn(person, 'shop')
      const cookie = Object.entries(await person.cookies())
        .map(([name, value]) => `${name}=${value}`)
        .join('; ')
      const body = JSON.stringify({ front_end: 'shop' })

      const answers = await Promise.all(
        ['/operator/sessions/list', '/operator/sessions/end'].flatMap((path) => [
          operate(path, body),
          operate(path, body, { key: 'wrong' }),
          operate(path, body, { headers: { cookie, origin: shopPage.origin, 'broker-request': '1' } }),
          operate(path, body, { key: stack.brokers[1]!.functionKey, method: 'GET' }),
        ]),
      )

      expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 404, 401, 401, 401, 404])
      expect(await Promise.all(answers.map((answer) => answer.text()))).toEqual(answers.map(() => ''))
      expect(await isSignedIn(person)).toBe(true)
    })

    it('with a key receives times and front ends only, and a script of a front end cannot read them', async () => {
      const key = stack.brokers[1]!.functionKey
      await signIn(stack.person(), 'shop')

      const answer = await operate('/operator/sessions/list', JSON.stringify({ username: ada }), {
        key,
        headers: { origin: shopPage.origin },
      })

      const { sessions, ...rest } = (await answer.json()) as { sessions: object[] }
      expect([answer.status, rest]).toEqual([200, { not_attributed: 0 }])
      expect(new Set(sessions.flatMap((one) => Object.keys(one)))).toEqual(
        new Set(['front_end', 'signed_in_at', 'expires_at', 'ends_at']),
      )
      expect(answer.headers.get('access-control-allow-origin')).toBeNull()
      expect(answer.headers.get('cache-control')).toBe('no-store')
      expect(answer.headers.getSetCookie()).toEqual([])
    })

    it.each<[string, string, Record<string, string>, number]>([
      ['no selector', '{}', {}, 400],
      ['no body', '', {}, 400],
      ['an unknown member', '{"front_end":"shop","all":"true"}', {}, 400],
      ['a member that is no text', '{"front_end":["shop"]}', {}, 400],
      ['a form', 'front_end=shop', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
      ['more than 8 KB', JSON.stringify({ front_end: 'shop', continuation: 'x'.repeat(9000) }), {}, 413],
    ])('with %s is refused', async (_, body, headers, status) => {
      const person = stack.person()
      await signIn(person, 'shop')

      const refused = await operate('/operator/sessions/end', body, { key: stack.brokers[1]!.functionKey, headers })

      expect(refused.status).toBe(status)
      expect(await isSignedIn(person)).toBe(true)
    })
  })
})
