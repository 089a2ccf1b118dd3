import { describe, expect, it } from 'vitest'
import { acceptsScope } from '../../../shared/provider/accepted-scopes.ts'
import { onlySpecified } from '../../../shared/provider/openid.ts'
import type { ProviderMetadata } from '../../../shared/provider/provider.ts'

const all = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access', 'api://orders/read']

const metadata: ProviderMetadata = {
  issuer: 'https://login.example.com',
  authorizationEndpoint: 'https://login.example.com/authorize',
  tokenEndpoint: 'https://login.example.com/token',
  endSessionEndpoint: undefined,
  jwksUri: 'https://login.example.com/keys',
  issuerInAnswers: false,
  offlineAccess: false,
  assertionAlgorithm: 'PS256',
}

describe('the scopes that a provider accepts', () => {
  it.each<[string, Partial<ProviderMetadata>, readonly string[]]>([
    ['by default', {}, ['openid', 'profile', 'email', 'api://orders/read']],
    [
      'that lists few of those that it has',
      { scopes: ['openid', 'phone'] },
      ['openid', 'profile', 'email', 'phone', 'api://orders/read'],
    ],
    ['whose setting names fewer', { openIdScopes: ['openid'] }, ['openid', 'api://orders/read']],
    [
      'whose setting names one that its list lacks',
      { openIdScopes: ['openid', 'phone'], scopes: ['openid'], offlineAccess: true },
      ['openid', 'phone', 'offline_access', 'api://orders/read'],
    ],
  ])('%s', (_, members, accepted) => {
    expect(all.filter((scope) => acceptsScope({ ...metadata, ...members }, scope))).toEqual(accepted)
  })

  it('are the ones of a renewal too, for which MSAL adds its own', () => {
    const scope = 'orders.read openid profile offline_access'
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'a', scope })
    const sent = (members: Partial<ProviderMetadata>) => onlySpecified(form, { ...metadata, ...members }).get('scope')

    expect(sent({})).toBe('orders.read openid profile')
    expect(sent({ openIdScopes: ['openid', 'email'], offlineAccess: true })).toBe('orders.read openid offline_access')
  })
})
