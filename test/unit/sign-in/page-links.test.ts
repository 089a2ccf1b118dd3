import { describe, expect, it } from 'vitest'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import { createFindPageLinks, signInLinks } from '../../../shared/sign-in/page-links.ts'
import type { FailedRequest, PageRoute } from '../../../shared/sign-in/page-links.ts'
import { oauthClient as app, registered } from '../front-ends/registered.ts'

const broker = 'https://login.example.com'
const shop = { id: 'shop', origins: ['https://shop.example.com'], apis: [] }
const desk = { id: 'desk', origins: ['https://desk.example.com'], signedOutUrls: ['https://desk.example.com/bye'] }

/** The store is down, so no cookie of this browser can be opened. */
const ring: KeyRing = {
  current: () => Promise.reject(new Error('down')),
  find: () => Promise.reject(new Error('down')),
  keys: () => Promise.reject(new Error('down')),
  check: () => Promise.reject(new Error('down')),
}
const request = { route: 'login', query: new URLSearchParams(), cookies: new Map(), error: { status: 503 } } as const

function linksOf(
  request: Omit<FailedRequest, 'error'> & { error: object },
  frontEnds: readonly object[] = [shop, app],
) {
  const findPageLinks = createFindPageLinks({ frontEnds: registered(...frontEnds), ring, baseUrl: broker })
  return findPageLinks(request as FailedRequest)
}
const linksAt = (query: Record<string, string>) => linksOf({ ...request, query: new URLSearchParams(query) })

describe('the links of a failed sign-in', () => {
  it('lead to a sign-in and to the page of a session front end', async () => {
    expect(await linksAt({ frontend: 'shop', return_url: 'https://shop.example.com/cart#1' })).toEqual([
      { text: 'Try again', url: `${broker}/login?frontend=shop&return_url=https%3A%2F%2Fshop.example.com%2Fcart%231` },
      { text: 'Back to the application', url: 'https://shop.example.com/cart#1' },
    ])
  })

  it.each(['https://evil.example/', 'javascript:alert(1)', 'https://shop.example.com\\@evil.example/', 'x', ''])(
    'never lead to the return URL %j',
    async (return_url) => {
      expect(await linksAt({ frontend: 'shop', return_url })).toEqual([
        { text: 'Try again', url: `${broker}/login?frontend=shop` },
        { text: 'Back to the application', url: 'https://shop.example.com/' },
      ])
    },
  )

  const broad = {
    ...shop,
    providers: ['staff', 'partner'],
    prompts: ['login', 'select_account'],
    apis: [
      { name: 'orders', scopes: ['api://orders/read', 'api://orders/write'] },
      { name: 'stock', scopes: ['api://stock/read'] },
    ],
  }
  const againAt = async (query: Record<string, string> | string, more: object = {}, route: PageRoute = 'login') => {
    const failed = { ...request, route, query: new URLSearchParams(query), error: { status: 400 }, ...more }
    const [again] = await linksOf(failed, [broad])
    return { text: again?.text, ...Object.fromEntries(new URL(again?.url ?? '').searchParams) }
  }

  it('repeat what the first link requested', async () => {
    const first = {
      frontend: 'shop',
      return_url: 'https://shop.example.com/cart',
      provider: 'partner',
      prompt: 'login',
      login_hint: 'ada@partner.example',
      domain_hint: 'partner.example',
      claims: '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}',
      ui_locales: 'de en',
      api: 'orders',
      scope: 'api://orders/read',
      acr_values: 'urn:mfa',
      max_age: '60',
    }

    expect(await againAt(first)).toEqual({ text: 'Sign in', ...first })
    expect(await againAt({ ...first, foo: 'bar', utm_source: 'mail' })).toEqual({ text: 'Sign in', ...first })
  })

  it.each([
    [undefined, 'select_account'],
    ['login', 'login select_account'],
    ['select_account', 'select_account'],
    ['select_account  login', 'select_account login'],
  ])(
    'let the person select another account after prompt=%s, and keep the new sign-in that it requires',
    (prompt, kept) => {
      const [frontEnd] = registered(broad).all
      const parameters = prompt === undefined ? {} : { prompt }

      const [again] = signInLinks({ frontEnd, parameters, again: 'Sign in with another account' }, broker)

      expect(new URL(again!.url).searchParams.get('prompt')).toBe(kept)
    },
  )

  it('request no prompt that the front end has not registered, since /login would refuse it', () => {
    const [frontEnd] = registered({ ...broad, prompts: [] }).all

    const [again] = signInLinks({ frontEnd, parameters: {}, again: 'Sign in with another account' }, broker)

    expect(new URL(again!.url).searchParams.get('prompt')).toBeNull()
  })

  it.each([
    { provider: 'guests' },
    { provider: '<script>' },
    { prompt: 'consent' },
    { prompt: 'none' },
    { login_hint: 'x'.repeat(513) },
    { login_hint: 'a\u0000b' },
    { login_hint: '' },
    { domain_hint: 'not a domain' },
    { claims: '{"id_token":{"email":null}}' },
    { ui_locales: '<b>' },
    { scope: 'api://foreign/read' },
    { scope: 'api://orders/read api://stock/read' },
    { api: 'foreign' },
    { api: 'foreign', scope: 'api://orders/read' },
    { acr_values: '"quoted"' },
    { max_age: '-1' },
  ])('leave out what would be refused again: %j', async (faulty) => {
    const kept = { return_url: 'https://shop.example.com/cart', provider: 'partner', ui_locales: 'fr' }
    const expected = Object.entries(kept).filter(([name]) => !Object.hasOwn(faulty, name))

    expect(await againAt({ frontend: 'shop', ...kept, ...faulty })).toEqual({
      text: 'Sign in',
      frontend: 'shop',
      ...Object.fromEntries(expected),
    })
  })

  it('leave out a parameter that occurs twice, and a scope of another API than the named one', async () => {
    expect(await againAt('frontend=shop&login_hint=a&login_hint=b&max_age=1')).toEqual({
      text: 'Sign in',
      frontend: 'shop',
      max_age: '1',
    })
    expect(await againAt({ frontend: 'shop', api: 'stock', scope: 'api://orders/read' })).toEqual({
      text: 'Sign in',
      frontend: 'shop',
      api: 'stock',
    })
  })

  it('of a sign-in that the provider starts lead to target_link_uri, or without it to the return URL', async () => {
    const query = { iss: 'x', frontend: 'shop', return_url: 'https://shop.example.com/home' }
    const backAt = async (target_link_uri: string) => (await linksAt({ ...query, target_link_uri }))[1]?.url

    expect(await backAt('https://shop.example.com/orders')).toBe('https://shop.example.com/orders')
    expect(await backAt('')).toBe('https://shop.example.com/home')
    expect(await backAt('https://evil.example/')).toBe('https://shop.example.com/')
  })

  it('name no provider where the front end has only one', async () => {
    expect((await linksAt({ frontend: 'shop', provider: 'primary' }))[0]?.url).toBe(`${broker}/login?frontend=shop`)
  })

  it('of a sign-up lead to the sign-up, with its provider and its return URL', async () => {
    const first = { frontend: 'shop', return_url: 'https://shop.example.com/team', provider: 'partner' }
    const hints = { login_hint: 'ada@partner.example', domain_hint: 'partner.example' }
    const query = new URLSearchParams({ ...first, ...hints })

    const [again, back] = await linksOf({ ...request, route: 'sign-up', query }, [broad])
    expect(again).toMatchObject({ text: 'Sign up again' })
    const url = new URL(again!.url)
    expect([url.pathname, Object.fromEntries(url.searchParams)]).toEqual(['/signup', { ...first, ...hints }])
    expect(back?.url).toBe(first.return_url)

    expect(await againAt({ ...first, provider: 'guests', return_url: 'https://evil.example/' }, {}, 'sign-up')).toEqual(
      {
        text: 'Sign up again',
        frontend: 'shop',
      },
    )
    // Another attempt would end on the same page.
    expect(await againAt(first, { error: { status: 404, code: 'sign_up_closed' } }, 'sign-up')).toEqual({
      text: 'Sign in',
      ...first,
    })
  })

  it('of a sign-in that the provider starts lead to the page that it names, where that is registered', async () => {
    expect(await againAt({ iss: 'x', frontend: 'shop', target_link_uri: 'https://shop.example.com/cart' })).toEqual({
      text: 'Sign in',
      frontend: 'shop',
      return_url: 'https://shop.example.com/cart',
    })
    expect(await againAt({ iss: 'x', frontend: 'shop', target_link_uri: 'https://evil.example/cart' })).toEqual({
      text: 'Sign in',
      frontend: 'shop',
    })
  })

  it('after the answer of a provider repeat none of its fields', async () => {
    const query = 'state=AAAAAAAA.shop&scope=api%3A%2F%2Forders%2Fread&prompt=login&login_hint=ada'
    expect(await againAt(query, {}, 'callback')).toEqual({ text: 'Try again', frontend: 'shop' })
  })

  it('lead to the page of an OAuth client, which starts its own sign-in', async () => {
    const back = [{ text: 'Back to the application', url: 'https://app.example.net/' }]
    expect(await linksAt({ client_id: 'app', redirect_uri: 'https://evil.example/' })).toEqual(back)
    expect(await linksAt({ frontend: 'app' })).toEqual(back)
  })

  it('lead to the only session front end where the request names none, and nowhere for an unknown one', async () => {
    expect((await linksAt({}))[0]?.url).toBe(`${broker}/login?frontend=shop`)
    expect(await linksAt({ frontend: 'nobody' })).toEqual([])
    expect(await linksAt({ client_id: 'nobody', frontend: 'shop' })).toEqual([])
  })

  it('of a sign-out lead to the front ends that the browser has cookies of, and to no other', async () => {
    const other = { ...app, id: 'other', origins: ['https://other.example.net'] }
    const native = { ...app, id: 'native', signedOutUrls: ['com.example.app:/bye'] }
    const linksWith = (...names: string[]) =>
      linksOf({ ...request, route: 'sign-out', cookies: new Map(names.map((name) => [name, 'x'])) }, [
        shop,
        desk,
        app,
        other,
        native,
      ])

    expect(await linksWith('__Host-session-desk')).toEqual([
      { text: 'Back to the application', url: 'https://desk.example.com/bye' },
    ])
    expect(await linksWith('__Host-known-app', '__Host-session-desk', '__Host-session-gone')).toEqual([
      { text: 'Back to desk.example.com', url: 'https://desk.example.com/bye' },
      { text: 'Back to app.example.net', url: 'https://app.example.net/' },
    ])
    expect(await linksWith('__Host-known-native', '__Host-session-desk')).toEqual([
      { text: 'Back to desk.example.com', url: 'https://desk.example.com/bye' },
      { text: 'Back to app.example.net', url: 'com.example.app:/bye' },
    ])
    expect(await linksWith()).toEqual([])
    // The session's cookie is gone by then: the cookie of the sign-out names the front end.
    const cookies = new Map([
      ['__Host-signed-out', 'desk'],
      ['__Host-known-app', 'x'],
    ])
    expect(await linksOf({ ...request, route: 'sign-out', cookies }, [shop, desk, app])).toEqual([
      { text: 'Back to the application', url: 'https://desk.example.com/bye' },
    ])
    expect(
      await linksOf({ ...request, route: 'sign-out', cookies: new Map([['__Host-signed-out', 'gone']]) }, [shop, desk]),
    ).toEqual([])
    expect(await linksOf({ ...request, route: 'callback', cookies: new Map([['__Host-known-app', 'x']]) })).toEqual([])
  })

  it('lead to the only front end of the broker, of either kind, at every route', async () => {
    const routes: readonly PageRoute[] = ['login', 'sign-up', 'callback', 'sign-out']
    const first = (registered: object) =>
      Promise.all(routes.map(async (route) => (await linksOf({ ...request, route }, [registered])).at(-1)?.url))

    expect(await first(app)).toEqual(routes.map(() => 'https://app.example.net/'))
    expect(await first(desk)).toEqual([
      'https://desk.example.com/',
      'https://desk.example.com/',
      'https://desk.example.com/',
      'https://desk.example.com/bye',
    ])
    expect(await linksOf({ ...request, route: 'callback' })).toEqual([])
    expect(await linksOf({ ...request, route: 'sign-out' })).toEqual([])
  })

  it('need no store: cookies that cannot be opened name nothing', async () => {
    const cookies = new Map([['__Host-signin-AAAAAAAA', '2026-11-5f0c2a91.AAAA']])

    expect((await linksOf({ ...request, cookies }))[0]?.url).toBe(`${broker}/login?frontend=shop`)
    expect(await linksOf({ ...request, cookies }, [shop, desk])).toEqual([])
  })

  it('come from the error where a form names the front end', async () => {
    expect(await linksOf({ ...request, route: 'callback', error: { status: 400, frontEndId: 'app' } })).toEqual([
      { text: 'Back to the application', url: 'https://app.example.net/' },
    ])
    expect(await linksOf({ ...request, route: 'callback', error: { status: 400, frontEndId: 'nobody' } })).toEqual([])
  })
})
