import { describe, expect, it } from 'vitest'
import { createFrontEnds } from '../../../shared/front-ends/front-ends.ts'
import { parseFrontEnds } from '../../../shared/settings/front-ends.schema.ts'
import type { FrontEndSettings } from '../../../shared/settings/settings.ts'
import type { KeyRing } from '../../../shared/crypto/key-ring.ts'
import { createFindPageLinks } from '../../../shared/sign-in/page-links.ts'
import type { FailedRequest, PageRoute } from '../../../shared/sign-in/page-links.ts'

const broker = 'https://login.example.com'
const shop = { id: 'shop', origins: ['https://shop.example.com'], apis: [] }
const desk = { id: 'desk', origins: ['https://desk.example.com'], signedOutUrls: ['https://desk.example.com/bye'] }
const app = {
  id: 'app',
  kind: 'oauth',
  origins: ['https://app.example.net'],
  redirectUris: ['https://app.example.net/cb'],
  apis: [{ name: 'a', scopes: ['api://a/b'] }],
}

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
  registered: readonly object[] = [shop, app],
) {
  const parsed = parseFrontEnds(JSON.stringify(registered), 'Broker__FrontEnds') as readonly FrontEndSettings[]
  const findPageLinks = createFindPageLinks({ frontEnds: createFrontEnds(parsed), ring, baseUrl: broker })
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
    const linksWith = (...names: string[]) =>
      linksOf({ ...request, route: 'sign-out', cookies: new Map(names.map((name) => [name, 'x'])) }, [
        shop,
        desk,
        app,
        other,
      ])

    expect(await linksWith('__Host-session-desk')).toEqual([
      { text: 'Back to the application', url: 'https://desk.example.com/bye' },
    ])
    expect(await linksWith('__Host-known-app', '__Host-session-desk', '__Host-session-gone')).toEqual([
      { text: 'Back to desk.example.com', url: 'https://desk.example.com/bye' },
      { text: 'Back to app.example.net', url: 'https://app.example.net/' },
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
    const routes: readonly PageRoute[] = ['login', 'callback', 'sign-out']
    const first = (registered: object) =>
      Promise.all(routes.map(async (route) => (await linksOf({ ...request, route }, [registered])).at(-1)?.url))

    expect(await first(app)).toEqual(routes.map(() => 'https://app.example.net/'))
    expect(await first(desk)).toEqual([
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
