import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ada, deskPage, shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { openTables } from '../setup/tables.ts'

const goodbye = 'http://localhost:3000/goodbye?from=shop'
const otherPage = { id: 'shop', origin: 'http://localhost:5173' }
const toShop = { frontend: 'shop', return_url: 'http://localhost:3000/' }

describe('a sign-out', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({
      instances: 2,
      frontEnds: [
        {
          ...shop,
          origins: [shopPage.origin, otherPage.origin],
          signedOutUrls: ['http://localhost:3000/bye', goodbye, 'http://localhost:5173/'],
        },
        desk,
      ],
    })
  })
  afterAll(() => stack.close())

  const signedIn = async (): Promise<Person> => {
    const person = stack.person()
    await person.signIn(toShop)
    return person
  }
  const signOut = (person: Person, body: object = {}, call = {}, page = shopPage) =>
    person.script(page, '/logout', { method: 'POST', body: JSON.stringify(body), ...call })
  const elsewhere = () => ({ at: stack.brokers[1]!.url })
  const rows = async () => (await openTables(stack).rows('sessions')).length

  it('ends the session at the broker and at the provider, and leads to the front end’s page', async () => {
    const person = await signedIn()

    const reply = await signOut(person, { return_url: goodbye })
    const back = await person.visitor.signOut(reply.json.url as string)
    const done = await person.open(back!)

    expect(reply.status).toBe(200)
    expect(new URL(back!).pathname).toBe('/logout/done')
    expect(done.status).toBe(303)
    expect(done.location).toBe(goodbye)
    expect(await person.visitor.isSignedIn(stack.identityProvider.browserUrl)).toBe(false)
    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })

  it('names the client and the person to the provider, so that the provider shows no question and sends the browser back', async () => {
    const person = await signedIn()

    const { json } = await signOut(person)

    const url = new URL(json.url as string)
    const state = url.searchParams.get('state')
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: '22222222-2222-4222-8222-222222222222',
      post_logout_redirect_uri: `${stack.url}/logout/done`,
      logout_hint: expect.stringMatching(/^O\./) as string,
      state,
    })
    // Opaque: it contains neither a name nor the page to go to.
    for (const reported of [ada, 'Ada', 'bye', 'shop']) {
      expect(Buffer.from(state!.split('.')[1]!, 'base64url').toString('latin1')).not.toContain(reported)
      expect(url.href).not.toContain(reported)
    }
  })

  it.each([
    [shopPage, 'http://localhost:3000/bye'],
    [otherPage, 'http://localhost:5173/'],
  ])('goes to the first registered page on the origin where the request names none: %j', async (page, expected) => {
    const person = await signedIn()
    const { json } = await signOut(person, {}, {}, page)

    expect((await person.open((await person.visitor.signOut(json.url as string))!)).location).toBe(expected)
  })

  it('needs no body', async () => {
    const person = await signedIn()

    const reply = await stack.person().call('/logout?frontend=shop', {
      method: 'POST',
      headers: {
        origin: shopPage.origin,
        'broker-request': '1',
        cookie: `__Host-session-shop=${(await person.cookies())['__Host-session-shop']!}`,
      },
    })

    expect(reply.status).toBe(200)
    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })

  it('deletes the row, and a cookie that a thief copied earlier opens no session on any instance', async () => {
    const person = await signedIn()
    const cookie = `__Host-session-shop=${(await person.cookies())['__Host-session-shop']!}`
    const before = await rows()
    const asThief = (path: string, call: object) =>
      stack.person().script(shopPage, path, { headers: { cookie }, ...call })
    expect((await asThief('/session', elsewhere())).status).toBe(200)

    await signOut(person)

    expect(await rows()).toBe(before - 1)
    for (const call of [{}, elsewhere()]) {
      expect((await asThief('/session', call)).status).toBe(401)
      const token = await stack.person().call('/session/token?frontend=shop', {
        ...call,
        method: 'POST',
        headers: { cookie, origin: shopPage.origin, 'broker-request': '1', 'content-type': 'application/json' },
        body: '{"api":"orders"}',
      })
      expect(token.status).toBe(401)
      expect(token.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
    }
  })

  it('deletes the cookie in the browser with the attributes that set it', async () => {
    const person = stack.person()
    const set = (await person.signIn(toShop)).cookies.find((cookie) => cookie.startsWith('__Host-session-shop='))

    const { cookies } = await signOut(person)

    expect(cookies).toEqual([
      '__Host-session-shop=; max-age=0; path=/; secure; samesite=lax; httponly',
      '__Host-signed-out=shop; max-age=600; path=/; secure; samesite=lax; httponly',
    ])
    expect(set?.replace(/=[^;]*/, '=')).toBe(cookies[0]?.replace(' max-age=0;', ''))
    expect(await person.cookies()).not.toHaveProperty('__Host-session-shop')
  })

  it.each(['here', 'elsewhere'])('from two tabs at once is one sign-out, %s', async (where) => {
    const person = await signedIn()
    const call = where === 'here' ? {} : elsewhere()
    const cookie = `__Host-session-shop=${(await person.cookies())['__Host-session-shop']!}`
    const tab = (options: object) =>
      stack.person().call('/logout?frontend=shop', {
        method: 'POST',
        headers: { cookie, origin: shopPage.origin, 'broker-request': '1' },
        ...options,
      })

    const replies = await Promise.all([tab({}), tab(call)])

    for (const reply of replies) {
      expect(reply.status).toBe(200)
      expect(reply.cookies).toHaveLength(2)
      expect(reply.json.url).toMatch(/^http/)
    }
    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })

  it('a second time, or without a session, ends like the first: it leads to the page', async () => {
    const person = await signedIn()
    await signOut(person)

    for (const again of [person, stack.person()]) {
      const reply = await signOut(again, { return_url: goodbye })
      expect(reply.status).toBe(200)
      expect(reply.json.url).toBe(goodbye)
      expect(reply.cookies).toHaveLength(2)
    }
  })

  it('of one front end leaves the session of the other front end', async () => {
    const person = await signedIn()
    await person.signIn({ frontend: 'desk', return_url: 'http://localhost:4200/' })

    await signOut(person)

    expect((await person.script(deskPage, '/session')).status).toBe(200)
    expect((await person.sessionToken(deskPage, { api: 'bills' })).status).toBe(200)
  })

  it.each([
    'https://evil.example/',
    'http://localhost:3000/',
    'http://localhost:3000/goodbye',
    'http://localhost:3000/goodbye?from=shop&x=1',
    'http://localhost:3000/goodbye?from=shop#x',
    'http://localhost:4200/',
    'http://localhost:3000@evil.example/bye',
    '//evil.example/bye',
    '/bye',
    'javascript:alert(1)',
    'http://localhost:3000/bye\n',
    '',
  ])('does not go to %s, which is not registered', async (return_url) => {
    const person = await signedIn()

    const reply = await signOut(person, { return_url })

    expect(reply.status).toBe(400)
    expect(reply.json.code).toMatch(/^return_url_/)
    expect(reply.text).not.toContain('evil')
    expect((await person.script(shopPage, '/session')).status).toBe(200)
    expect((await signOut(person, { return_url: goodbye })).status).toBe(200)
  })

  it('is complete when the provider does not answer: the person goes straight to the page', async () => {
    const person = await signedIn()
    stack.identityProvider.faults.add({ endpoint: '*', status: 503 })
    try {
      const cold = await stack.startInstance() // which has not read the provider's end_session_endpoint yet
      const reply = await signOut(person, { return_url: goodbye }, { at: cold.url })

      expect(reply.status).toBe(200)
      expect(reply.json.url).toBe(goodbye)
      expect((await person.script(shopPage, '/session')).status).toBe(401)
    } finally {
      stack.identityProvider.faults.clear()
    }
  })

  it('is not reported as done while the store cannot delete: the answer is 503, and the cookie stays for another attempt', async () => {
    const person = await signedIn()
    stack.store.addFault({ operation: 'remove', status: 503 })
    const failed = await signOut(person)
    stack.store.clearFaults()

    expect(failed.status).toBe(503)
    expect(failed.headers.get('retry-after')).toMatch(/^\d+$/)
    expect(failed.cookies).toEqual([])
    expect((await signOut(person)).status).toBe(200)
    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })

  it('is done although the store’s answer was lost', async () => {
    const person = await signedIn()
    stack.store.addFault({ operation: 'remove', times: 1, loseAnswer: true })

    expect((await signOut(person)).status).toBe(200)
    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })

  describe('that comes back from the provider', () => {
    const stateOf = async (person: Person, body: object = {}) =>
      new URL((await signOut(person, body)).json.url as string).searchParams.get('state')!

    it('may arrive on any instance, and twice', async () => {
      const state = await stateOf(await signedIn(), { return_url: goodbye })
      const path = `/logout/done?${new URLSearchParams({ state }).toString()}`

      for (const call of [{}, elsewhere(), {}]) {
        expect((await stack.person().open(path, call)).location).toBe(goodbye)
      }
    })

    it.each<[string, (state: string) => string]>([
      ['with a made-up state', () => 'state=abc'],
      ['with a state of an unknown key', (state) => `state=2019-01.${state.split('.')[1]!}`],
      ['with a state that was changed by a byte', (state) => `state=${state.slice(0, -3)}${flip(state.slice(-3))}`],
      ['with a state that was cut', (state) => `state=${state.slice(0, -8)}`],
      ['with a page in clear', () => 'state=https%3A%2F%2Fevil.example'],
      ['with 6 KB of state', () => `state=2026-11.${'A'.repeat(6000)}`],
    ])('%s ends on a page, not at an address', async (_, change) => {
      const state = await stateOf(await signedIn())

      const reply = await stack.person().open(`/logout/done?${change(state)}`)

      expect(reply.status).toBe(400)
      expect(reply.location).toBeNull()
      expect(reply.text).toContain('sign_out_unknown')
      expect(reply.text).not.toContain('evil')
      expect((await stack.person().open(`/logout/done?state=${state}`)).status).toBe(303)
    })

    it.each(['state=abc', ''])(
      '"%s" links to the front ends that this browser has used, and to no other',
      async (query) => {
        const person = stack.person()
        await person.signIn(toShop)

        const reply = await person.open(`/logout/done?${query}`)

        expect(reply.location).toBeNull()
        expect(reply.text.match(/href="http[^"]*"/g)).toEqual(['href="http://localhost:3000/bye"'])
        expect((await stack.person().open(`/logout/done?${query}`)).text).not.toContain('href="http')
      },
    )

    it('without a state, which some providers drop, links to the front end that signed out', async () => {
      const person = await signedIn()
      await signOut(person)

      for (const query of ['', 'state=abc', 'handle=abc']) {
        const reply = await person.open(`/logout/done?${query}`)
        expect(reply.location).toBeNull()
        expect(reply.text.match(/href="http[^"]*"/g)).toEqual(['href="http://localhost:3000/bye"'])
      }
    })

    it.each(['', 'state=', 'return_url=https%3A%2F%2Fevil.example'])(
      'without a state is a page that confirms the sign-out, not an address: "%s"',
      async (query) => {
        const reply = await stack.person().open(`/logout/done?${query}`)

        expect(reply.status).toBe(200)
        expect(reply.text).toContain('You are signed out')
        expect(reply.location).toBeNull()
        expect(reply.cookies).toEqual([])
        expect(reply.text).not.toContain('evil')
      },
    )

    it('with a sign-in’s transaction for its state ends on a page', async () => {
      const person = stack.person()
      await person.begin(toShop)
      const [transaction] = Object.values(await person.cookies())

      const reply = await person.open(`/logout/done?state=${transaction!}`)

      expect(reply.status).toBe(400)
      expect(reply.location).toBeNull()
    })

    it('with two states ends on a page', async () => {
      const state = await stateOf(await signedIn())

      expect((await stack.person().open(`/logout/done?state=${state}&state=${state}`)).status).toBe(400)
    })

    it('to a front end that has since been removed from the settings ends on a page', async () => {
      const state = await stateOf(await signedIn(), { return_url: goodbye })
      const changed = await stack.startInstance({ Broker__FrontEnds: JSON.stringify([desk]) })
      const narrowed = await stack.startInstance({
        Broker__FrontEnds: JSON.stringify([{ ...shop, signedOutUrls: ['http://localhost:3000/bye'] }]),
      })

      for (const { url } of [changed, narrowed]) {
        const reply = await stack.person().open(`/logout/done?state=${state}`, { at: url })
        expect(reply.status).toBe(400)
        expect(reply.location).toBeNull()
      }
    })
  })
})

function flip(text: string): string {
  return text.replace(/./g, (one) => (one === 'A' ? 'B' : 'A'))
}
