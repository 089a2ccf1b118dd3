/** The sign-out of an OpenID client by redirect. OpenID Connect RP-Initiated Logout 1.0. */
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { describe, expect, it } from 'vitest'
import { authorizationRequest, authorize, newPkce, redeem, refresh } from '../setup/client.ts'
import { useOpenIdProvider } from './openid-provider.ts'

describe('the broker as OpenID provider', () => {
  const op = useOpenIdProvider()

  describe('a sign-out by redirect', () => {
    const page = 'http://127.0.0.1:5173/'
    const endSession = (parameters: Readonly<Record<string, string>>, person = op.stack.person()) =>
      person.open(`/end-session?${new URLSearchParams(parameters).toString()}`)

    it('ends the session of the ID token, at the provider too, and returns with the state', async () => {
      const { person, tokens } = await op.signIn({ client_id: 'modern' })

      const out = await endSession(
        { id_token_hint: tokens.id_token!, post_logout_redirect_uri: page, state: 'of the client' },
        person,
      )

      expect(out.status).toBe(303)
      const atProvider = new URL(out.location!)
      expect(atProvider.searchParams.get('post_logout_redirect_uri')).toBe(`${op.here}/logout/done`)
      // Of the provider's ID token; the client does not know it.
      expect(atProvider.searchParams.get('logout_hint')).toMatch(/^O\../)
      const state = atProvider.searchParams.get('state')!
      const done = await person.open(`/logout/done?${new URLSearchParams({ state }).toString()}`)
      expect(done.location).toBe(`${page}?state=of+the+client`)
      expect((await refresh(op.there, tokens.refresh_token!, { client_id: 'modern' })).json.error).toBe('invalid_grant')
      const begun = await person.begin(authorizationRequest(newPkce(), { client_id: 'modern', prompt: 'none' }))
      expect(new URL(begun.location!).searchParams.get('error')).toBe('login_required') // its mark has ended
    })

    it.each(['com.example.solo:/bye', 'http://127.0.0.1:49152/bye'])(
      'returns to a native application at %s, as AppAuth and OidcClient send it',
      async (post_logout_redirect_uri) => {
        const { person, tokens } = await op.signIn({ client_id: 'solo' })

        const out = await endSession({ id_token_hint: tokens.id_token!, post_logout_redirect_uri, state: 's' }, person)
        const state = new URL(out.location!).searchParams.get('state')!
        const done = await person.open(`/logout/done?${new URLSearchParams({ state }).toString()}`)

        expect([done.status, done.location]).toEqual([303, `${post_logout_redirect_uri}?state=s`])
      },
    )

    it('by POST does the same', async () => {
      const { tokens, person } = await op.signIn()
      const body = new URLSearchParams({ id_token_hint: tokens.id_token!, client_id: 'app' })

      const out = await person.open('/end-session', { method: 'POST', body })

      expect(out.status).toBe(303)
      expect((await refresh(op.here, tokens.refresh_token!)).json.error).toBe('invalid_grant')
    })

    it('without an ID token ends no session here: a link on another site cannot sign a person out', async () => {
      const { person, tokens } = await op.signIn()

      const out = await endSession({ client_id: 'app', post_logout_redirect_uri: page }, person)

      expect([out.status, new URL(out.location!).origin]).toEqual([
        303,
        new URL(op.stack.identityProvider.browserUrl).origin,
      ])
      expect((await refresh(op.here, tokens.refresh_token!)).status).toBe(200)
    })

    it('goes to registered pages only, and ends no session where it is refused', async () => {
      const { tokens } = await op.signIn()
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
        if (to.startsWith('http') && !to.includes('@')) expect(refused.text).toContain('signedOutUrls')
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
      expect((await refresh(op.here, tokens.refresh_token!)).status).toBe(200)
    })

    it('by a prefetch ends no session', async () => {
      const { person, tokens } = await op.signIn()
      const query = new URLSearchParams({ id_token_hint: tokens.id_token! }).toString()

      const refused = await person.open(`/end-session?${query}`, { headers: { 'sec-purpose': 'prefetch' } })

      expect([refused.status, refused.location]).toEqual([403, null])
      expect((await refresh(op.here, tokens.refresh_token!)).status).toBe(200)
    })

    it('ends the mark of the client at once: a provider may have no sign-out to come back from', async () => {
      const { person, tokens } = await op.signIn({ client_id: 'modern' })
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
      const { person, tokens } = await op.signIn()
      const [, payload, signature] = tokens.id_token!.split('.') as [string, string, string]
      const withHeader = (header: object) =>
        `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}.${signature}`
      const kid = 'k'.repeat(43)

      const out = await endSession({ id_token_hint: withHeader({ alg: 'RS256', kid }) }, person)
      expect([out.status, new URL(out.location!).origin]).toEqual([
        303,
        new URL(op.stack.identityProvider.browserUrl).origin,
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
      expect((await refresh(op.here, tokens.refresh_token!)).status).toBe(200)
    })

    it.each(['x'.repeat(1024), 'ł'.repeat(700)])(
      'carries the longest state through the provider (%#)',
      async (state) => {
        const { person, tokens } = await op.signIn()

        const out = await endSession({ id_token_hint: tokens.id_token!, state }, person)
        const sealed = new URL(out.location!).searchParams.get('state')!
        const done = await person.open(`/logout/done?${new URLSearchParams({ state: sealed }).toString()}`)

        expect(new URL(done.location!).searchParams.get('state')).toBe(state)
      },
    )

    it('finds the client by the page to return to, and ends no session', async () => {
      const { person, tokens } = await op.signIn({ client_id: 'solo' })

      const out = await endSession({ post_logout_redirect_uri: 'https://solo.example.net/bye', state: 's' }, person)
      const sealed = new URL(out.location!).searchParams.get('state')!
      const done = await person.open(`/logout/done?${new URLSearchParams({ state: sealed }).toString()}`)

      expect(done.location).toBe('https://solo.example.net/bye?state=s')
      expect((await refresh(op.here, tokens.refresh_token!, { client_id: 'solo' })).status).toBe(200)
      const refused = await endSession({ post_logout_redirect_uri: 'https://evil.example/' }, person)
      expect([refused.status, refused.location]).toEqual([400, null])
      expect(refused.text).toContain('<strong>client_id</strong>: missing')
    })

    it.each(['modern', 'other'])(
      'finds the client %s by the browser, where several have the page, and ends the mark of no other',
      async (client_id) => {
        const { person } = await op.signIn({ client_id })
        // A client with pages of its own.
        await op.signIn({ client_id: 'solo' }, person)

        const out = await endSession({ post_logout_redirect_uri: page }, person)
        const sealed = new URL(out.location!).searchParams.get('state')!
        const done = await person.open(`/logout/done?${new URLSearchParams({ state: sealed }).toString()}`)

        expect(done.location).toBe(page)
        expect(Object.keys(await person.cookies()).filter((name) => name.startsWith('__Host-known-'))).toEqual([
          '__Host-known-solo',
        ])
      },
    )

    it('returns to a page that several clients have also in a browser without a sign-in', async () => {
      const person = op.stack.person()

      const out = await endSession({ post_logout_redirect_uri: page }, person)
      const sealed = new URL(out.location!).searchParams.get('state')!

      expect((await person.open(`/logout/done?${new URLSearchParams({ state: sealed }).toString()}`)).location).toBe(
        page,
      )
    })

    it.each<[string, Record<string, string>]>([
      ['no parameter', {}],
      ['a state alone', { state: 's' }],
      ['parameters of other products', { logout_hint: 'ada', ui_locales: 'de', rd: 'https://evil.example/' }],
    ])(
      'with %s goes to the provider, which asks the person, and ends on a page (RP-Initiated Logout §2)',
      async (_, fields) => {
        const { person, tokens } = await op.signIn()

        for (const method of ['GET', 'POST']) {
          const text = new URLSearchParams(fields).toString()
          const out = await (method === 'GET'
            ? person.open(`/end-session?${text}`)
            : person.open('/end-session', { method, body: new URLSearchParams(fields) }))
          const url = new URL(out.location!)
          expect([out.status, url.origin]).toEqual([303, new URL(op.stack.identityProvider.browserUrl).origin])
          expect(out.cookies).toEqual([])
          expect([...url.searchParams.keys()]).toEqual(['client_id', 'post_logout_redirect_uri'])
          const done = await person.open(new URL(url.searchParams.get('post_logout_redirect_uri')!).pathname)
          expect(done.text).toContain('You are signed out')
        }
        expect((await refresh(op.here, tokens.refresh_token!)).status).toBe(200)
      },
    )

    it('refuses a state that would not come back', async () => {
      const { person, tokens } = await op.signIn()

      for (const state of ['x'.repeat(1025), '東'.repeat(1024)]) {
        const body = new URLSearchParams({ id_token_hint: tokens.id_token!, state })
        const refused = await person.open('/end-session', { method: 'POST', body })
        expect([refused.status, refused.location]).toEqual([400, null])
      }
      expect((await refresh(op.here, tokens.refresh_token!)).status).toBe(200)
    })

    it('ends a code that waits for its client, and by an ID token whose session is over it does not', async () => {
      const { person, tokens } = await op.signIn()
      const codeFor = async () => {
        const pkce = newPkce()
        const code = (await authorize(person, authorizationRequest(pkce))).get('code')!
        return () => redeem(op.here, code, pkce)
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
      const [first, second] = [await op.signIn(), await op.signIn()]

      await endSession({ id_token_hint: first.tokens.id_token! }, first.person)

      expect((await refresh(op.here, first.tokens.refresh_token!)).json.error).toBe('invalid_grant')
      expect((await refresh(op.here, second.tokens.refresh_token!)).status).toBe(200)
    })
  })
})
