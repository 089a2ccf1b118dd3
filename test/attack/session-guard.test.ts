import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { deskPage, shopPage } from '../setup/person.ts'
import type { Call, Person, Reply } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

/** The headers that a script of the front end's own page sends. Each attack changes one of them. */
const own = {
  origin: shopPage.origin,
  'sec-fetch-site': 'same-site',
  'broker-request': '1',
  'content-type': 'application/json',
}
const without = (name: keyof typeof own) => Object.fromEntries(Object.entries(own).filter(([other]) => other !== name))

const routes = [
  { path: '/session/token?frontend=shop', body: '{"api":"orders"}' },
  { path: '/logout?frontend=shop', body: '{}' },
]

describe('a request that changes state', () => {
  let stack: Stack
  let person: Person
  let cookie: string
  const signIn = async () => {
    person = stack.person()
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    cookie = `__Host-session-shop=${(await person.cookies())['__Host-session-shop']!}`
  }
  beforeAll(async () => {
    stack = await startStack()
    await signIn()
  })
  afterAll(() => stack.close())

  /**
   * Each request carries the cookie, as a browser under attack may send it: the guard itself must reject the request.
   */
  const send = (path: string, { headers, ...call }: Call): Promise<Reply> =>
    stack.person().call(path, { method: 'POST', ...call, headers: { cookie, ...headers } })
  const isStillSignedIn = async () => (await person.script(shopPage, '/session')).status === 200

  const attacks: readonly [string, Readonly<Record<string, string>>][] = [
    ['without the header', without('broker-request')],
    ['with another value in the header', { ...own, 'broker-request': '0' }],
    ['with the header twice', { ...own, 'broker-request': '1, 1' }],
    ['with an empty header', { ...own, 'broker-request': '' }],
    ['without Origin', without('origin')],
    ['from a foreign origin', { ...own, origin: 'https://evil.example' }],
    ['from the foreign origin null', { ...own, origin: 'null' }],
    ['from a registered origin with another port', { ...own, origin: 'http://localhost:3001' }],
    ['from a registered origin with another scheme', { ...own, origin: 'https://localhost:3000' }],
    ['from a registered origin with a slash', { ...own, origin: 'http://localhost:3000/' }],
    ['from a registered origin in upper case', { ...own, origin: 'HTTP://LOCALHOST:3000' }],
    ['from a host that begins like a registered one', { ...own, origin: 'http://localhost:3000.evil.example' }],
    ['from two origins', { ...own, origin: 'http://localhost:3000, https://evil.example' }],
    ['from a foreign page of another site', { ...own, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }],
    ['from no page at all', { ...own, 'sec-fetch-site': 'none' }],
    ['from a site of an unknown kind', { ...own, 'sec-fetch-site': 'friendly' }],
    [
      'by a form that looks like JSON',
      { origin: shopPage.origin, 'sec-fetch-site': 'same-site', 'content-type': 'text/plain' },
    ],
    [
      'by a plain form',
      {
        origin: 'https://evil.example',
        'sec-fetch-site': 'cross-site',
        'content-type': 'application/x-www-form-urlencoded',
      },
    ],
    [
      'by a form of a sandboxed frame',
      { origin: 'null', 'sec-fetch-site': 'cross-site', 'content-type': 'text/plain' },
    ],
  ]

  describe.each(routes)('$path', ({ path, body }) => {
    it.each(attacks)('is refused %s, and nothing is changed', async (_, headers) => {
      const reply = await send(path, { headers, body })

      expect(reply.status).toBe(403)
      expect(reply.json).toMatchObject({ code: 'request_not_from_front_end' })
      expect(reply.cookies).toEqual([])
      expect(reply.headers.get('cache-control')).toBe('no-store')
      expect(await isStillSignedIn()).toBe(true)
    })

    it.each(['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'application/xml'])(
      'accepts no body of the type %s, even from its own script',
      async (type) => {
        const reply = await send(path, { headers: { ...own, 'content-type': type }, body })

        expect(reply.status).toBe(415)
        expect(await isStillSignedIn()).toBe(true)
      },
    )

    it.each(['application/json; charset=utf-16', 'application/json; charset=utf-7'])('accepts no %s', async (type) => {
      expect((await send(path, { headers: { ...own, 'content-type': type }, body })).status).toBe(415)
    })

    it.each([
      ['a list', '[]'],
      ['null', 'null'],
      ['a text', '"api"'],
      ['an object with an unknown member', '{"api":"orders","admin":"yes"}'],
      ['an object with a member that is no string', '{"return_url":{"a":1},"api":{"a":1}}'],
      ['half of an object', '{"api":'],
      ['9 KB', JSON.stringify({ api: 'x'.repeat(9000) })],
    ])('accepts no body that is %s', async (_, wrong) => {
      const reply = await send(path, { headers: own, body: wrong })

      expect([400, 413]).toContain(reply.status)
      expect(await isStillSignedIn()).toBe(true)
    })

    it.each(['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD'])('is not performed by %s', async (method) => {
      const reply = await send(path, {
        method,
        headers: own,
        ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
      })

      expect(reply.status).toBe(405)
      expect(reply.headers.get('allow')).toContain('POST')
      expect(reply.cookies).toEqual([])
      expect(await isStillSignedIn()).toBe(true)
    })

    it.each(['x-http-method-override', 'x-http-method', 'x-method-override'])(
      'is not performed by a GET with POST in the header %s',
      async (name) => {
        const reply = await send(`${path}&_method=POST`, { method: 'GET', headers: { ...own, [name]: 'POST' } })

        expect(reply.status).toBe(405)
        expect(await isStillSignedIn()).toBe(true)
      },
    )

    it('is not performed by a link that a person opens', async () => {
      const reply = await person.open(path, { headers: { 'sec-fetch-site': 'cross-site' } })

      expect(reply.status).toBe(405)
      expect(await isStillSignedIn()).toBe(true)
    })

    it('reports the problem if a registered front end is on another site than the broker', async () => {
      const reply = await send(path, { headers: { ...own, 'sec-fetch-site': 'cross-site' }, body })

      expect(reply.status).toBe(403)
      expect(reply.json).toMatchObject({ code: 'front_end_cross_site', responsible: 'front end' })
      expect(reply.json.detail).toMatch(/one domain that you own.*kind oauth/)
      // Its own script must be able to read why.
      expect(reply.headers.get('access-control-allow-origin')).toBe(shopPage.origin)
    })

    describe('is performed', () => {
      // A sign-out ends the session.
      afterEach(signIn)

      it.each(['same-site', 'same-origin'])('for the front end’s own script, from its %s', async (site) => {
        expect((await send(path, { headers: { ...own, 'sec-fetch-site': site }, body })).status).toBe(200)
      })

      it('for a browser that sends no Sec-Fetch-Site', async () => {
        expect((await send(path, { headers: without('sec-fetch-site'), body })).status).toBe(200)
      })
    })

    it('reports a repeated parameter', async () => {
      const reply = await send(`${path}&frontend=desk`, { headers: own, body })

      expect(reply.status).toBe(400)
      expect(reply.json.code).toBe('parameter_repeated')
      expect(await isStillSignedIn()).toBe(true)
    })
  })

  describe('GET /session', () => {
    const ask = (headers: Readonly<Record<string, string>>) =>
      send('/session?frontend=shop', { method: 'GET', headers })

    it('answers the front end’s own script, and no script of another site', async () => {
      const fromOwn = await ask({ origin: shopPage.origin, 'sec-fetch-site': 'same-site' })
      const fromOther = await ask({ origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' })
      const fromImage = await ask({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' })

      expect([fromOwn.status, fromOther.status, fromImage.status]).toEqual([200, 403, 403])
      expect(fromOther.text).not.toContain('Ada')
    })

    it('reports the problem if a registered front end is on another site than the broker', async () => {
      const reply = await ask({ origin: shopPage.origin, 'sec-fetch-site': 'cross-site' })

      expect(reply.status).toBe(403)
      expect(reply.json.code).toBe('front_end_cross_site')
      expect(reply.headers.get('access-control-allow-origin')).toBe(shopPage.origin)
    })

    it.each(['POST', 'PUT', 'DELETE', 'HEAD'])('is not accepted as %s', async (method) => {
      expect((await send('/session?frontend=shop', { method, headers: own })).status).toBe(405)
    })
  })

  it('is answered from the session of its cookie, even with a conditional header', async () => {
    const grace = stack.person()
    await grace.signIn({ frontend: 'desk', return_url: 'http://localhost:4200/' }, 'grace@contoso.example')

    const reply = await grace.script(deskPage, '/session', {
      headers: { 'if-none-match': '*', 'if-modified-since': new Date().toUTCString() },
    })

    expect(reply.status).toBe(200)
    expect(reply.json.username).toBe('grace@contoso.example')
  })
})
