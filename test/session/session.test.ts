import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const toShop = { frontend: 'shop', return_url: 'http://localhost:3000/' }
const toDesk = { frontend: 'desk', return_url: 'http://localhost:4200/' }

describe('a session', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ instances: 2 })
    await warmUp(stack)
  })
  afterAll(() => stack.close())

  const signedIn = async (username = ada): Promise<Person> => {
    const person = stack.person()
    await person.signIn(toShop, username)
    return person
  }
  const elsewhere = () => ({ at: stack.brokers[1]!.url })

  it('reports the person who is signed in, the tenant and the expiry', async () => {
    const before = Math.floor(Date.now() / 1000)
    const person = await signedIn()

    const { status, json, headers } = await person.script(shopPage, '/session')

    expect(status).toBe(200)
    expect(json).toEqual({
      subject: expect.stringMatching(/^[\w-]{43}$/) as string,
      object_id: 'aaaaaaaa-0001-4000-8000-000000000001',
      tenant_id: '11111111-1111-4111-8111-111111111111',
      name: 'Ada Lovelace',
      username: ada,
      signed_in_at: expect.any(Number) as number,
      expires_at: (json.signed_in_at as number) + 43_200,
      idle_expires_at: (json.signed_in_at as number) + 3600,
    })
    expect(json.signed_in_at).toBeGreaterThanOrEqual(before)
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.get('etag')).toBeNull()
  })

  it('is the same on any instance, with one request to the store each time and no other request', async () => {
    const person = await signedIn()
    // Afterwards the other instance has finished its requests in the background.
    await stack.person().signIn(toShop, ada, elsewhere())
    expect((await fetch(`${elsewhere().at}/health/ready`)).status).toBe(200)
    stack.store.resetRequests()
    stack.vault.resetRequests()
    stack.identityProvider.resetRequests()

    const answers = [
      await person.script(shopPage, '/session'),
      await person.script(shopPage, '/session', elsewhere()),
      await person.script(shopPage, '/session'),
    ]

    expect(answers.map(({ json }) => json.username)).toEqual([ada, ada, ada])
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1)
    expect(stack.store.requests.map(({ operation, table }) => `${operation} ${table}`)).toEqual(
      Array.from({ length: 3 }, () => 'find sessions'),
    )
    expect(stack.identityProvider.requests).toEqual([])
    expect(stack.vault.requests).toEqual([])
  })

  it('is not extended by a read', async () => {
    const person = await signedIn()
    const first = await person.script(shopPage, '/session')

    for (let i = 0; i < 5; i++) await person.script(shopPage, '/session')
    const last = await person.script(shopPage, '/session')

    expect(last.json).toEqual(first.json)
    expect(last.cookies).toEqual([])
  })

  it('has a cookie with exactly these attributes', async () => {
    const person = stack.person()

    const done = await person.signIn(toShop)

    const [session, ...others] = done.cookies.filter((cookie) => cookie.startsWith('__Host-session-'))
    expect(session).toMatch(/^__Host-session-shop=[\w-]{48}; path=\/; secure; samesite=lax; httponly$/)
    expect(others).toEqual([])
  })

  it('has a new cookie after each sign-in, and the previous one opens no session', async () => {
    const person = await signedIn()
    const before = (await person.cookies())['__Host-session-shop']!
    await person.signIn(toShop)
    const after = (await person.cookies())['__Host-session-shop']!

    expect(after).not.toBe(before)
    const withCookie = (value: string) =>
      stack.person().script(shopPage, '/session', { headers: { cookie: `__Host-session-shop=${value}` } })
    expect((await withCookie(before)).status).toBe(401)
    expect((await withCookie(after)).status).toBe(200)
  })

  describe('that does not exist', () => {
    it.each(['application/json', 'text/html', '*/*'])(
      'is answered to a script with 401 and the URL to sign in, never with a redirect (Accept: %s)',
      async (accept) => {
        const reply = await stack.person().script(shopPage, '/session', { headers: { accept } })

        expect(reply.status).toBe(401)
        expect(reply.location).toBeNull()
        expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
        expect(reply.headers.get('cache-control')).toBe('no-store')
        expect(reply.json).toMatchObject({
          status: 401,
          code: 'signed_out',
          sign_in_url: `${stack.url}/login?frontend=shop`,
          reference: reply.headers.get('broker-reference'),
        })
      },
    )

    it('returns a URL from which the sign-in works once the return URL is added', async () => {
      const person = stack.person()
      const { json } = await person.script(shopPage, '/session')
      const url = new URL(json.sign_in_url as string)
      url.searchParams.set('return_url', 'http://localhost:3000/cart#2')

      const done = await person.callback(await person.atProvider((await person.open(url.href)).location!))

      expect(done.location).toBe('http://localhost:3000/cart#2')
      expect((await person.script(shopPage, '/session')).status).toBe(200)
    })

    it.each([
      ['no cookie', () => ''],
      ['a made-up cookie', () => `__Host-session-shop=${'A'.repeat(48)}`],
      ['a cookie of another shape', () => '__Host-session-shop=../../etc/passwd'],
      ['an empty cookie', () => '__Host-session-shop='],
      ['a cookie without the prefix', (value: string) => `session-shop=${value}`],
      ['a cookie twice', (value: string) => `__Host-session-shop=${value}; __Host-session-shop=${'A'.repeat(48)}`],
      ['the good cookie twice', (value: string) => `__Host-session-shop=${value}; __Host-session-shop=${value}`],
      ['a cookie cut by a character', (value: string) => `__Host-session-shop=${value.slice(1)}`],
      ['a cookie with its last bits changed', (value: string) => `__Host-session-shop=${otherEnd(value)}`],
      ['a cookie with its place changed', (value: string) => `__Host-session-shop=AAAA${value.slice(4)}`],
    ])('does not exist for %s', async (_, cookieOf) => {
      const person = await signedIn()
      const value = (await person.cookies())['__Host-session-shop']!
      const ask = (cookie: string) =>
        stack.person().script(shopPage, '/session', { headers: cookie === '' ? {} : { cookie } })

      expect((await ask(cookieOf(value))).status).toBe(401)
      expect((await ask(`other=1; __Host-session-shop=${value}; __Host-x=2`)).status).toBe(200)
    })
  })

  describe('of one front end', () => {
    it('is not a session of the other: each has its own session and cookie', async () => {
      const person = await signedIn()
      expect((await person.script(deskPage, '/session')).status).toBe(401)

      await person.signIn(toDesk)
      expect((await person.script(deskPage, '/session')).json.username).toBe(ada)
      const { '__Host-session-shop': shop, '__Host-session-desk': desk } = await person.cookies()
      expect(shop).not.toBe(desk)

      await person.script(shopPage, '/logout', { method: 'POST' })
      expect((await person.script(shopPage, '/session')).status).toBe(401)
      expect((await person.script(deskPage, '/session')).status).toBe(200)
    })

    it('is not opened under the cookie name of the other front end', async () => {
      const person = await signedIn()
      const value = (await person.cookies())['__Host-session-shop']!

      const reply = await person.script(deskPage, '/session', { headers: { cookie: `__Host-session-desk=${value}` } })

      expect(reply.status).toBe(401)
    })

    it('is found by the page’s origin where no front end is named', async () => {
      const person = await signedIn()

      const named = await person.call('/session', { headers: { origin: shopPage.origin } })
      const other = await person.call('/session', { headers: { origin: deskPage.origin } })
      const noPerson = await person.call('/session')

      expect([named.status, other.status, noPerson.status]).toEqual([200, 401, 400])
      expect(noPerson.json.code).toBe('front_end_missing')
    })
  })

  it('of a guest belongs to the tenant that the guest visits', async () => {
    const person = await signedIn('margaret@partner.example')

    const { json } = await person.script(shopPage, '/session')

    expect(json).toMatchObject({
      username: 'margaret@partner.example',
      object_id: 'aaaaaaaa-0003-4000-8000-000000000003',
      tenant_id: '11111111-1111-4111-8111-111111111111',
    })
  })
})

function otherEnd(value: string): string {
  return value.slice(0, -1) + (value.endsWith('A') ? 'B' : 'A')
}
