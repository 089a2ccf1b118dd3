import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { decodeJwt } from 'jose'
import { app, ordersRead, refresh, send, signInByCode } from '../setup/client.ts'
import { clientId, mockProvider } from '../setup/mock-provider.ts'
import type { MockProvider } from '../setup/mock-provider.ts'
import { deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { expectPage } from '../setup/refusals.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

// As AD FS has it; MSAL has a way of its own for that path.
const mock = mockProvider('/adfs')
let stack: Stack
let provider: MockProvider
let withoutSignOut: string
beforeAll(async () => {
  stack = await startStack({
    provider: mock.start,
    settings: { Broker__OfflineAccess: 'true' },
    frontEnds: [shop, desk, app],
  })
  provider = mock.get()
  await stack.person().begin({ frontend: 'shop' }) // reads the metadata, as it is usually
  provider.behaviour.metadata = { end_session_endpoint: undefined }
  withoutSignOut = (await stack.startInstance()).url
  await stack.person().begin({ frontend: 'shop' }, { at: withoutSignOut })
})
beforeEach(() => provider.reset())
afterAll(() => stack.close())

const signIn = async (sub: string, sid?: string, frontend = 'shop'): Promise<Person> => {
  provider.behaviour.person = { sub, ...(sid === undefined ? {} : { sid }) }
  const person = stack.person()
  await person.signIn({ frontend })
  return person
}
const isSignedIn = async (person: Person, page = shopPage) => (await person.script(page, '/session')).status === 200
const signOut = (person: Person, at: string) =>
  person.script(shopPage, '/logout', { method: 'POST', body: '{}', at, headers: { accept: 'application/json' } })

describe('signing out', () => {
  it('goes on at the provider, and from there to the front end’s page', async () => {
    const person = await signIn('person-1')

    const { json } = await signOut(person, stack.url)

    expect(await isSignedIn(person)).toBe(false)
    const there = await fetch(json.url as string, { redirect: 'manual' })
    const back = await person.open(there.headers.get('location') ?? '')
    expect(back.location).toBe('http://localhost:3000/')
    const requested = provider.requests.find(({ endpoint }) => endpoint === 'endsession')
    const names = ['client_id', 'id_token_hint', 'post_logout_redirect_uri', 'state']
    expect(Object.keys(requested?.parameters ?? {}).sort()).toEqual(names)
    expect(decodeJwt(requested?.parameters.id_token_hint ?? '')).toMatchObject({
      iss: provider.issuer,
      sub: 'person-1',
    })
    expect(stack.log()).not.toContain(requested?.parameters.id_token_hint)
  })

  it('has the ID token of the last renewal, and for an OAuth client too', async () => {
    provider.behaviour.person = { sub: 'person-1', sid: 'session-1' }
    provider.behaviour.refreshClaims = { renewal: 1 }
    provider.behaviour.accessTokenSeconds = 5
    const person = stack.person()
    await person.signIn({ frontend: 'shop' })
    await person.sessionToken(shopPage, { api: 'orders' })
    const hintOf = (url: unknown) => decodeJwt(new URL(url as string).searchParams.get('id_token_hint') ?? '')
    expect(hintOf((await signOut(person, stack.url)).json.url)).toMatchObject({ sub: 'person-1', renewal: 1 })

    const { refreshToken } = await signInByCode(person, stack.url)
    const body = JSON.stringify({ refresh_token: refreshToken })
    const { json } = await person.script({ id: app.id, origin: app.origins[0]! }, '/logout', { method: 'POST', body })
    expect(hintOf(json.url)).toMatchObject({ sub: 'person-1', sid: 'session-1' })
  })

  it('has it for an OAuth client that signs out by redirect, and returns to the page of the client', async () => {
    provider.behaviour.person = { sub: 'person-1', sid: 'session-1' }
    const person = stack.person()
    const { refreshToken } = await signInByCode(person, stack.url, { scope: `openid ${ordersRead}` })
    // The refresh writes the row again, under the next secret.
    const { json } = await refresh(stack.url, refreshToken)
    const query = { id_token_hint: json.id_token as string, post_logout_redirect_uri: app.signedOutUrls![0]! }

    const out = await person.open(`/end-session?${new URLSearchParams(query).toString()}`)

    const requested = Object.fromEntries(new URL(out.location!).searchParams)
    expect(Object.keys(requested).sort()).toEqual(['client_id', 'id_token_hint', 'post_logout_redirect_uri', 'state'])
    expect(decodeJwt(requested.id_token_hint!)).toMatchObject({
      iss: provider.issuer,
      sub: 'person-1',
      sid: 'session-1',
    })
    const there = await fetch(out.location!, { redirect: 'manual' })
    expect((await person.open(there.headers.get('location')!)).location).toBe(app.signedOutUrls![0])
    // The session has ended, and its row with it: there is no hint for a second one.
    const again = await person.open(`/end-session?${new URLSearchParams(query).toString()}`)
    expect(new URL(again.location!).searchParams.has('id_token_hint')).toBe(false)
  })

  it('sends an ID token that is too long for a URL by POST, once', async () => {
    provider.behaviour.person = { sub: 'person-1', groups: 'g'.repeat(5500) }
    const person = stack.person()
    await person.signIn({ frontend: 'shop' })

    const { json } = await signOut(person, stack.url)
    expect(await isSignedIn(person)).toBe(false)
    const form = await person.open(json.url as string)

    expect([form.status, /method="post" action="([^"]*)"/.exec(form.text)?.[1]]).toEqual([
      200,
      `${provider.issuer.replace('https://localhost', 'http://127.0.0.1')}/endsession`,
    ])
    const inputs = [...form.text.matchAll(/name="([^"]*)" value="([^"]*)"/g)].map(([, name, value]) => [name, value])
    const fields = Object.fromEntries(inputs) as Record<string, string>
    expect(Object.keys(fields).sort()).toEqual(['client_id', 'id_token_hint', 'post_logout_redirect_uri', 'state'])
    expect(decodeJwt(fields.id_token_hint!)).toMatchObject({ sub: 'person-1' })
    const policy = form.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'")
    expect(policy).not.toContain('unsafe')
    expect((await person.open(`/logout/done?state=${fields.state!}`)).location).toBe('http://localhost:3000/')

    expectPage(await person.open(json.url as string), 'sign_out_unknown')
  })

  it('ends here and goes straight to the front end’s page, where the provider has no sign-out', async () => {
    const person = await signIn('person-1')

    const { status, json } = await signOut(person, withoutSignOut)

    expect(status).toBe(200)
    expect(json.url).toBe('http://localhost:3000/')
    expect(await isSignedIn(person)).toBe(false)
  })
})

describe('a logout token of a provider that names no sessions', () => {
  const event = 'http://schemas.openid.net/event/backchannel-logout'
  const token = (claims: object) =>
    provider.sign(
      {
        iss: provider.issuer,
        aud: clientId,
        iat: Math.floor(Date.now() / 1000),
        jti: randomUUID(),
        events: { [event]: {} },
        ...claims,
      },
      { typ: 'logout+jwt' },
    )
  const post = async (claims: object) =>
    (await send('/logout/backchannel', new URLSearchParams({ logout_token: await token(claims) }), { url: stack.url }))
      .status

  it('ends all sessions of the person by sub, and of no other person', async () => {
    const [one, two, other] = [
      await signIn('person-1'),
      await signIn('person-1', undefined, 'desk'),
      await signIn('person-2'),
    ]

    expect(await post({ sub: 'person-1' })).toBe(200)

    expect(await isSignedIn(one)).toBe(false)
    expect(await isSignedIn(two, deskPage)).toBe(false)
    expect(await isSignedIn(other)).toBe(true)
  })

  it('ends those of which it named no session by sub, where the token names one', async () => {
    const [unnamed, named, other] = [
      await signIn('person-1'),
      await signIn('person-1', 'session-other'),
      await signIn('person-2'),
    ]

    expect(await post({ sub: 'person-1', sid: 'session-new' })).toBe(200)

    expect(await isSignedIn(unnamed)).toBe(false)
    expect(await isSignedIn(named)).toBe(true)
    expect(await isSignedIn(other)).toBe(true)
  })

  it('ends no session with another issuer', async () => {
    const person = await signIn('person-1')

    expect(await post({ sub: 'person-1', iss: `${provider.issuer}/` })).toBe(400)
    expect(await isSignedIn(person)).toBe(true)
    expect(await post({ sub: 'person-1' })).toBe(200)
    expect(await isSignedIn(person)).toBe(false)
  })
})

describe('a sign-out by a frame', () => {
  const frame = (query: Readonly<Record<string, string>>) =>
    stack.person().open(`/logout/frontchannel?${new URLSearchParams(query).toString()}`)

  it('ends the session that iss and sid name, and with another iss none', async () => {
    const person = await signIn('person-1', 'session-of-person-1')

    await frame({ iss: 'https://login.example', sid: 'session-of-person-1' })
    expect(await isSignedIn(person)).toBe(true)

    const done = await frame({ iss: provider.issuer, sid: 'session-of-person-1' })
    expect(await isSignedIn(person)).toBe(false)
    expect(done.headers.get('content-security-policy')).toContain(new URL(provider.issuer).origin)
  })

  it.each(['a+b/c==', 's', 'x'.repeat(300), 'ä b'])(
    'ends the session %j, with any characters and length',
    async (sid) => {
      const person = await signIn('person-1', sid)

      await frame({ iss: provider.issuer, sid: `${sid}x` })
      expect(await isSignedIn(person)).toBe(true)

      await frame({ iss: provider.issuer, sid })
      expect(await isSignedIn(person)).toBe(false)
    },
  )

  it('ends a session with a + in its sid that the provider did not encode', async () => {
    const person = await signIn('person-1', 'a+b/c==')

    await stack.person().open('/logout/frontchannel?sid=a+b/c==')

    expect(await isSignedIn(person)).toBe(false)
  })

  it('ends a session without a value of iss, as without iss', async () => {
    const person = await signIn('person-1', 'another-session')

    await frame({ iss: '', sid: 'another-session' })

    expect(await isSignedIn(person)).toBe(false)
  })

  it('ends no session by a subject in the place of a session', async () => {
    const person = await signIn('person-without-session')

    await frame({ iss: provider.issuer, sid: 'person-without-session' })

    expect(await isSignedIn(person)).toBe(true)
  })
})
