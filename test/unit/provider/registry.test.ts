import { expect, it } from 'vitest'
import { createNetwork } from '../../../shared/http/network.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import { createProviders } from '../../../shared/provider/registry.ts'
import { openProvider } from './provider-server.ts'

const providerOf = (authority: string, id = 'primary') =>
  openProvider({
    names: { id, displayName: id, domains: [] },
    profile: openIdProfile({ authority }),
    network: createNetwork(),
  })

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

it('finds the providers of a front end in its order, and the primary one alone for a front end that names none', () => {
  const [staff, guests, partner] = [
    providerOf('https://login.example.com/staff', 'staff'),
    providerOf('https://login.example.com/guests', 'guests'),
    providerOf('https://login.example.com/partner', 'partner'),
  ]
  const providers = createProviders(staff, guests, partner)

  expect(providers.ofFrontEnd({})).toEqual([staff])
  expect(providers.ofFrontEnd({ providers: ['partner', 'staff'] })).toEqual([partner, staff])
  expect(providers.accepts({}, staff.issuer)).toBe(true)
  expect(providers.accepts({}, guests.issuer)).toBe(false)
  expect(providers.accepts({ providers: ['guests'] }, guests.issuer)).toBe(true)
  expect(providers.accepts({ providers: ['guests'] }, staff.issuer)).toBe(false)
})

it('accepts sessions of a provider that the settings named before, unless the front end lists its providers', () => {
  const providers = createProviders(providerOf('https://login.example.com/staff', 'staff'))

  expect(providers.accepts({}, 'https://login.example.com/former')).toBe(true)
  expect(providers.accepts({ providers: ['staff'] }, 'https://login.example.com/former')).toBe(false)
})
