import { describe, expect, it } from 'vitest'
import { openidScopesOf, parseClientScopes, signInScopes } from '../../../shared/front-ends/scopes.ts'
import type { FrontEnd } from '../../../shared/front-ends/front-ends.ts'

const client = {
  id: 'app',
  kind: 'oauth',
  apis: [{ name: 'orders', scopes: ['orders', 'orders.write'] }],
} as Partial<FrontEnd> as FrontEnd
const withClaims: FrontEnd = { ...client, id: 'crm', claims: ['phone_number_verified', 'address', 'email'] }
const desk = { ...client, id: 'desk', kind: 'session', apis: [{ name: 'tickets', scopes: ['tickets'] }] } as FrontEnd
const all = [client, withClaims, desk]

const parse = (scope: string | undefined, frontEnd = client) => parseClientScopes(frontEnd, scope, all)

describe('the scope of an OAuth client', () => {
  it.each([
    ['openid profile email address phone', ['openid', 'profile', 'email'], undefined],
    ['openid groups roles microprofile-jwt web_origins', ['openid'], undefined],
    ['groups openid orders', ['openid'], ['orders']],
    ['phone offline_access openid orders.write openid', ['openid', 'offline_access'], ['orders.write']],
    ['  openid   phone ', ['openid'], undefined],
    ['phone', [], undefined],
    [undefined, [], undefined],
  ])('“%s” keeps %j and %j, and ignores other scopes about the person', (scope, openid, api) => {
    expect(parse(scope)).toEqual({ openid, api })
  })

  it.each([
    'openid tickets', // of another front end
    'openid User.Read',
    'openid orders.reed',
    'openid api://orders/read',
    'openid https://graph.microsoft.com/.default',
    'openid urn:orders',
    'openid ORDERS.WRITE',
    'openid grüße',
    'openid "groups"',
    'orders groups', // without openid, RFC 6749 applies alone
    'groups',
    'OpenID',
  ])('“%s” is refused', (scope) => {
    expect(() => parse(scope)).toThrow(expect.objectContaining({ code: 'scope_not_registered' }) as Error)
    expect(parse('openid orders')).toEqual({ openid: ['openid'], api: ['orders'] })
  })

  it('grants address and phone where the registration has one of their claims', () => {
    const granted = ['openid', 'address', 'phone']

    expect(parse('openid phone address', withClaims).openid).toEqual(granted)
    expect(openidScopesOf(['phone', 'openid', 'address'], withClaims)).toEqual(granted)
    expect(openidScopesOf(['phone', 'openid', 'address'], client)).toEqual(['openid'])
  })

  it('requests scopes of the provider for registered claims, with any scope of the client', () => {
    const person = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access']

    expect(signInScopes(withClaims, [], ['openid'])).toEqual([...person, 'orders', 'orders.write'])
    expect(signInScopes(client, ['orders'], ['openid', 'email'])).toEqual([
      ...['openid', 'profile', 'email', 'offline_access', 'orders'],
    ])
  })
})
