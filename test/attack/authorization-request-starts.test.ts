import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { parseFrontEnds } from '../../shared/settings/front-ends.schema.ts'
import { shopPage } from '../setup/person.ts'
import { expectBegun, expectNothingBegun, expectSafeHeaders, unescapeHtml } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'
import { sendRaw } from '../setup/raw-http.ts'

const returnUrl = 'http://localhost:3000/a'
const start = `/login?frontend=shop&return_url=${encodeURIComponent(returnUrl)}`

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  expectBegun(await stack.person().open(start))
  await warmUp(stack)
})
afterAll(() => stack.close())
beforeEach(() => {
  stack.store.resetRequests()
  stack.identityProvider.resetRequests()
})

function expectNoRequest(): void {
  expect(stack.store.requests).toEqual([])
  expect(stack.identityProvider.requests).toEqual([])
}

describe('only GET starts a sign-in', () => {
  it('HEAD answers that the address exists', async () => {
    const head = await stack.person().open(start, { method: 'HEAD' })

    expect(head.status).toBe(204)
    expect(head.cookies).toEqual([])
    expect(head.location).toBeNull()
    expectNoRequest()
    expectBegun(await stack.person().open(start))
  })

  it.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    '%s is rejected with the list of accepted methods',
    async (method) => {
      const body =
        method === 'OPTIONS' ? {} : { body: new URLSearchParams({ frontend: 'shop', return_url: returnUrl }) }
      const refused = await stack.person().open(start, { method, ...body })

      expectNothingBegun(refused, 'method_not_allowed')
      // POST is for the request of an OAuth client, which the browser then repeats by GET.
      expect(refused.headers.get('allow')).toBe('GET, HEAD, POST')
      expectNoRequest()
    },
  )

  it.each(['TRACE', 'PROPFIND', 'BREW'])('%s reaches no function', async (method) => {
    const refused = await sendRaw(stack.url, { method, target: start })

    expect([400, 404, 405, 501]).toContain(refused.status)
    expect(refused.headers.get('set-cookie')).toBeNull()
    expect(refused.text).not.toContain('frontend=shop')
    expectNoRequest()
  })

  it.each([
    ['Sec-Purpose', 'prefetch'],
    ['Sec-Purpose', 'prefetch;prerender'],
    ['Purpose', 'prefetch'],
    ['X-Moz', 'prefetch'],
    ['X-Purpose', 'preview'],
  ])('a browser that prefetches (%s: %s) starts no sign-in', async (name, value) => {
    const refused = await stack.person().open(start, { headers: { [name]: value } })

    expectNothingBegun(refused, 'prefetch_refused')
    expectNoRequest()
    expectBegun(await stack.person().open(start))
  })

  it.each(['iframe', 'frame', 'embed', 'object', 'image', 'script', 'empty'])(
    'a page that embeds or loads it as %s starts no sign-in, and ends none that is under way',
    async (destination) => {
      const headers = { 'sec-fetch-dest': destination, 'sec-fetch-site': 'cross-site' }
      const refused = await stack.person().open(start, { headers })

      expectNothingBegun(refused, 'login_required')
      expectNoRequest()
      expectBegun(await stack.person().open(start, { headers: { ...headers, 'sec-fetch-dest': 'document' } }))
    },
  )

  it.each([
    ['X-HTTP-Method-Override', 'GET'],
    ['X-HTTP-Method', 'GET'],
    ['X-Method-Override', 'GET'],
  ])('%s does not change the method of a POST', async (name, value) => {
    const body = new URLSearchParams({ frontend: 'shop' })
    const refused = await stack.person().open(start, { method: 'POST', headers: { [name]: value }, body })

    expectNothingBegun(refused, 'method_not_allowed')
    expectNoRequest()
  })
})

describe('a start while a person is signed in', () => {
  it('keeps the session until a new sign-in has succeeded, which replaces it', async () => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop', return_url: returnUrl })
    const before = (await person.cookies())['__Host-session-shop']

    // The start comes from an attacker's link: it has another person's hint, and the provider answers with an error.
    const begun = await person.begin({ frontend: 'shop', return_url: returnUrl, login_hint: 'mallory@evil.example' })
    expectBegun(begun)
    expect((await person.cookies())['__Host-session-shop']).toBe(before)
    const cancelled = await stack
      .person()
      .atProvider(begun.location ?? '', 'grace@contoso.example', { cancelAt: 'sign-in' })
    expect((await person.callback(cancelled)).status).toBe(403)
    const still = await person.script(shopPage, '/session')
    expect(still.json).toMatchObject({ username: 'ada@contoso.example' })

    const thief = stack.person()
    await thief.jar.setCookie(`__Host-session-shop=${before}; Path=/; Secure`, stack.url)
    expect((await thief.script(shopPage, '/session')).status).toBe(200)
    await person.visitor.jar.removeAllCookies()
    await person.signIn({ frontend: 'shop', return_url: returnUrl }, 'grace@contoso.example')
    const now = await person.script(shopPage, '/session')
    expect(now.json).toMatchObject({ username: 'grace@contoso.example' })
    expect((await person.cookies())['__Host-session-shop']).not.toBe(before)
    expect((await thief.script(shopPage, '/session')).status).toBe(401)
  })
})

describe('a front end that is not registered', () => {
  it('gets a page with the line to add, and the settings accept that line', async () => {
    const refused = await stack.person().begin({ frontend: 'my-shop', return_url: 'https://my-shop.example.com/' })

    expectNothingBegun(refused, 'front_end_unknown')
    const line = unescapeHtml(/<pre>([^<]*)<\/pre>/.exec(refused.text)?.[1] ?? '')
    expect(parseFrontEnds(`[${line}]`, 'Broker__FrontEnds')).toMatchObject([{ id: 'my-shop' }])
    expect(refused.text).not.toContain('my-shop.example.com')
    expectBegun(await stack.person().begin({ frontend: 'shop', return_url: returnUrl }))
  })

  it.each([
    ['http://localhost:9999', 'http://localhost:9999'],
    ['https://my-shop.example.com', 'https://my-shop.example.com'],
    ['http://my-shop.example.com', 'https://app.example.com'],
    ['null', 'https://app.example.com'],
    ['https://"><b>', 'https://app.example.com'],
    ['chrome-extension://abcdef', 'https://app.example.com'],
  ])('gets a page with a line for its origin %s if that origin can be registered', async (origin, shown) => {
    const refused = await stack.person().open('/login?frontend=my-shop', { headers: { origin } })

    expectNothingBegun(refused, 'front_end_unknown')
    const line = unescapeHtml(/<pre>([^<]*)<\/pre>/.exec(refused.text)?.[1] ?? '')
    expect(parseFrontEnds(`[${line}]`, 'Broker__FrontEnds')).toMatchObject([{ origins: [shown] }])
  })

  it.each([
    ['http://localhost:9999/cart?x=1', 'http://localhost:9999'],
    ['http://127.0.0.1:9999/', 'http://127.0.0.1:9999'],
    ['https://my-shop.example.com/', 'https://app.example.com'],
    ['http://localhost.example.com/', 'https://app.example.com'],
    ['http://localhost@example.com/', 'https://app.example.com'],
    ['javascript://localhost/', 'https://app.example.com'],
  ])('gets a page with a line for its return URL %s if that URL is on the same machine', async (return_url, shown) => {
    const refused = await stack.person().begin({ frontend: 'my-shop', return_url })

    expectNothingBegun(refused, 'front_end_unknown')
    const line = unescapeHtml(/<pre>([^<]*)<\/pre>/.exec(refused.text)?.[1] ?? '')
    expect(parseFrontEnds(`[${line}]`, 'Broker__FrontEnds')).toMatchObject([{ origins: [shown] }])
  })

  it.each(['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', '{{7*7}}', 'SHOP', 'shop ', '../shop', ''])(
    'and has the name %s gets a page that does not repeat the name',
    async (frontend) => {
      const refused = await stack.person().begin({ frontend, return_url: 'javascript:alert(1)' })

      expectNothingBegun(refused, 'front_end_unknown')
      expect(refused.text).not.toContain('alert')
      expect(refused.text).not.toContain('7*7')
      expect(stack.log()).not.toContain('alert')
    },
  )

  it('gets problem details with the same line if it requests JSON', async () => {
    const refused = await stack.person().call('/login?frontend=my-shop', { headers: { accept: 'application/json' } })

    expect(refused.status).toBe(400)
    expect(refused.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expectSafeHeaders(refused)
    expect(refused.json).toMatchObject({ code: 'front_end_unknown', responsible: 'front end' })
    expect(refused.json.reference).toBe(refused.headers.get('broker-reference'))
    expect(JSON.parse(String(refused.json.registration))).toMatchObject({ id: 'my-shop' })
  })

  it('is not guessed if several front ends are registered', async () => {
    expectNothingBegun(await stack.person().begin({}), 'front_end_missing')
    expectNothingBegun(await stack.person().begin({ return_url: 'https://evil.example/' }), 'front_end_missing')
    expectBegun(await stack.person().begin({ return_url: returnUrl }))
    expectNothingBegun(
      await stack.person().open(start, { headers: { origin: 'http://localhost:4200' } }),
      'front_end_conflict',
    )
    expectBegun(await stack.person().open(start, { headers: { origin: 'http://localhost:3000' } }))
    const byOrigin = `/login?return_url=${encodeURIComponent(returnUrl)}`
    expectBegun(await stack.person().open(byOrigin, { headers: { origin: 'http://localhost:3000' } }))
  })
})

it('offers no sign-up where one tenant signs in', async () => {
  const person = stack.person()

  for (const path of ['/signup?frontend=shop', '/signup/consented?admin_consent=True&state=x.shop']) {
    const refused = await person.open(path)
    expect(refused.status).toBe(404)
    expect(refused.text).toContain('Code: sign_up_closed')
  }
  expect((await person.signIn({ frontend: 'shop', return_url: returnUrl })).location).toBe(returnUrl)
})
