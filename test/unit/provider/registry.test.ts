import { expect, it } from 'vitest'
import { createNetwork } from '../../../shared/http/network.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import { createProviders } from '../../../shared/provider/registry.ts'
import { openProvider } from './provider-server.ts'

const providerOf = (authority: string) =>
  openProvider({ profile: openIdProfile({ authority }), network: createNetwork() })

it('finds a provider by its exact issuer, and reports an issuer that is not configured', () => {
  const [staff, guests] = [
    providerOf('https://login.example.com/staff'),
    providerOf('https://login.example.com/guests'),
  ]
  const providers = createProviders(staff, guests)

  expect(providers.primary).toBe(staff)
  expect(providers.get('https://login.example.com/guests')).toBe(guests)
  for (const issuer of ['https://login.example.com/staff/', 'https://login.example.com', '']) {
    expect(providers.find(issuer)).toBeUndefined()
    expect(() => providers.get(issuer)).toThrow(expect.objectContaining({ code: 'provider_unknown' }))
  }
})
