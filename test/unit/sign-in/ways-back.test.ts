import { describe, expect, it } from 'vitest'
import { createFrontEnds } from '../../../shared/front-ends/front-ends.ts'
import { parseFrontEnds } from '../../../shared/settings/front-ends.schema.ts'
import type { FrontEndSettings } from '../../../shared/settings/settings.ts'
import { frontEndForLinks, signInLinks } from '../../../shared/sign-in/ways-back.ts'

const broker = 'https://login.example.com'
const frontEnds = createFrontEnds(
  parseFrontEnds(
    JSON.stringify([
      { id: 'shop', origins: ['https://shop.example.com'], apis: [] },
      {
        id: 'app',
        kind: 'oauth',
        origins: ['https://app.example.net'],
        redirectUris: ['https://app.example.net/cb'],
        apis: [{ name: 'a', scopes: ['api://a/b'] }],
      },
    ]),
    'Broker__FrontEnds',
  ) as readonly FrontEndSettings[],
)
const linksOf = (query: Record<string, string>) => {
  const parameters = new URLSearchParams(query)
  const frontEnd = frontEndForLinks(parameters, frontEnds)
  return signInLinks({ frontEnd, returnUrl: query.return_url, again: 'Try again' }, broker)
}

describe('the links of a failed sign-in', () => {
  it('lead to a sign-in and to the page of a session front end', () => {
    expect(linksOf({ frontend: 'shop', return_url: 'https://shop.example.com/cart#1' })).toEqual([
      { text: 'Try again', url: `${broker}/login?frontend=shop&return_url=https%3A%2F%2Fshop.example.com%2Fcart%231` },
      { text: 'Back to the application', url: 'https://shop.example.com/cart#1' },
    ])
  })

  it.each(['https://evil.example/', 'javascript:alert(1)', 'https://shop.example.com\\@evil.example/', 'x', ''])(
    'never lead to the return URL %j',
    (return_url) => {
      expect(linksOf({ frontend: 'shop', return_url })).toEqual([
        { text: 'Try again', url: `${broker}/login?frontend=shop` },
        { text: 'Back to the application', url: 'https://shop.example.com/' },
      ])
    },
  )

  it('lead to the page of an OAuth client, which starts its own sign-in', () => {
    const back = [{ text: 'Back to the application', url: 'https://app.example.net/' }]
    expect(linksOf({ client_id: 'app', redirect_uri: 'https://evil.example/' })).toEqual(back)
    expect(linksOf({ frontend: 'app' })).toEqual(back)
  })

  it('lead to the only session front end where the request names none, and nowhere for an unknown one', () => {
    expect(linksOf({})[0]?.url).toBe(`${broker}/login?frontend=shop`)
    expect(linksOf({ frontend: 'nobody' })).toEqual([])
    expect(linksOf({ client_id: 'nobody', frontend: 'shop' })).toEqual([])
  })
})
