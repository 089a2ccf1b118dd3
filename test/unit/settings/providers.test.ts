/** The setting Broker__Providers, and the ids of providers that front ends name. */
import { describe, expect, it } from 'vitest'
import { environment, frontEnd, problemsOf, refusalsOf, settingsWith } from './environment.ts'

const tenant = '6b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa'
const staff = { id: 'staff', kind: 'primary', name: 'Contoso staff', domains: ['contoso.com'] }
const partner = {
  id: 'partner',
  kind: 'openid',
  name: 'Partner staff',
  domains: ['partner.example'],
  authority: 'https://login.partner.example',
  clientId: 'contoso-broker',
}
const subsidiary = {
  id: 'subsidiary',
  kind: 'entra',
  name: 'Subsidiary',
  instance: 'https://login.microsoftonline.us/',
  tenantId: tenant.toUpperCase(),
  clientId: '0C7D3F52-2a54-4b5e-8c0e-5a1f6d9be310',
  claims: ['roles'],
}
const forMany = { tenantId: 'Organizations', tenants: 'signed-up', homeTenantId: tenant.toUpperCase() }
const providers = (...list: readonly object[]) => ({ Broker__Providers: JSON.stringify(list) })
const withFrontEnd = (taken: readonly string[], scopes = ['api://orders/orders.read']) =>
  JSON.stringify([{ ...frontEnd, providers: taken, apis: [{ name: 'orders', scopes }] }])

describe('providers beside the primary one', () => {
  it('have what the settings of the primary one have, with the same defaults', () => {
    const { primary, otherProviders, provider } = settingsWith(providers(staff, partner, subsidiary))

    expect(primary).toEqual({ id: 'staff', displayName: 'Contoso staff', domains: ['contoso.com'] })
    expect(provider.clientId).toBe(environment.AzureAd__ClientId)
    expect(otherProviders).toEqual([
      {
        id: 'partner',
        displayName: 'Partner staff',
        domains: ['partner.example'],
        claims: [],
        provider: {
          identity: { authority: partner.authority, kind: 'openid' },
          clientId: 'contoso-broker',
          responseMode: 'form_post',
          responseType: 'code',
        },
        credential: { assertionReuse: false, assertionKeyId: true },
      },
      {
        id: 'subsidiary',
        displayName: 'Subsidiary',
        domains: [],
        claims: ['roles'],
        provider: {
          identity: { instance: 'https://login.microsoftonline.us/', tenantId: tenant },
          clientId: subsidiary.clientId.toLowerCase(),
          graphUrl: 'https://graph.microsoft.us',
          responseMode: 'form_post',
          responseType: 'code',
        },
        credential: { assertionReuse: true, assertionKeyId: false },
      },
    ])
  })

  it('may be for many tenants, and may have a managed identity as the second credential', () => {
    const entry = {
      ...subsidiary,
      ...forMany,
      invitations: 'Contoso.com',
      managedIdentityClientId: tenant.toUpperCase(),
    }
    const [other] = settingsWith(providers(entry)).otherProviders

    expect(other?.provider.identity).toMatchObject({ tenantId: 'organizations' })
    expect(other?.provider.manyTenants).toEqual({
      allowed: 'signed-up',
      homeTenantId: tenant,
      allowPersonalAccounts: false,
      signUpRole: undefined,
      invitations: ['contoso.com'],
    })
    expect(other?.credential.second).toEqual({
      managedIdentityClientId: tenant,
      tokenExchangeUrl: 'api://AzureADTokenExchangeUSGov',
    })
  })

  it('are none without the setting, and the primary one has an id and a name', () => {
    const { primary, otherProviders, frontEnds } = settingsWith()

    expect(primary).toEqual({ id: 'primary', displayName: 'Microsoft', domains: [] })
    expect(otherProviders).toEqual([])
    expect(frontEnds.map((one) => one.providers)).toEqual([undefined])
  })

  it.each<[string, object, string]>([
    ['without a client id', { ...partner, clientId: undefined }, '.clientId is missing'],
    ['without an issuer', { ...partner, authority: undefined }, '.authority is missing'],
    ['with an unknown kind', { ...partner, kind: 'saml' }, '.kind is not a kind of provider'],
    ['with an id that is no path segment', { ...partner, id: 'a/b' }, '.id is not a provider id'],
    ['with a name that could hide another', { ...partner, name: 'a\u202eb' }, '.name is not a name for people'],
    ['with a name of white space', { ...partner, name: ' ' }, '.name is not a name for people'],
    [
      'with an issuer by http',
      { ...partner, authority: 'http://a.example' },
      '.authority is http; https is required, also on loopback',
    ],
    [
      'with scopes about the person without openid',
      { ...partner, openIdScopes: ['email'] },
      '.openIdScopes is not a list of scopes about the person',
    ],
    [
      'of Entra ID with scopes about the person',
      { ...subsidiary, openIdScopes: ['openid'] },
      '.openIdScopes does not belong to the kind entra',
    ],
    [
      'with a tenant beside an issuer',
      { ...partner, tenantId: tenant },
      '.tenantId does not belong to the kind openid',
    ],
    [
      'of Entra ID with an audience',
      { ...subsidiary, assertionAudience: 'https://a.example' },
      '.assertionAudience does not belong to the kind entra',
    ],
    ['of Entra ID with any client id', { ...subsidiary, clientId: 'app' }, '.clientId is not a GUID'],
    [
      'of Entra ID with every tenant',
      { ...subsidiary, tenantId: 'organizations', homeTenantId: tenant },
      '.tenants is missing: tenantId is organizations',
    ],
    [
      'of Entra ID with personal accounts',
      { ...subsidiary, ...forMany, tenantId: 'common' },
      '.tenantId admits personal accounts',
    ],
    [
      'of Entra ID with a tenant by its domain',
      { ...subsidiary, ...forMany, tenants: 'contoso.com' },
      '.tenants is a domain name, which can move to another tenant',
    ],
    [
      'of Entra ID with tenants beside one tenant',
      { ...subsidiary, tenants: 'signed-up' },
      '.tenants needs tenantId=organizations',
    ],
    [
      'of Entra ID with invitations for listed tenants',
      { ...subsidiary, ...forMany, tenants: tenant, invitations: 'contoso.com' },
      '.invitations needs tenants=signed-up',
    ],
    [
      'with tenants at another provider',
      { ...partner, tenants: tenant },
      '.tenants does not belong to the kind openid',
    ],
    [
      'with a managed identity at another provider',
      { ...partner, managedIdentityClientId: tenant },
      '.managedIdentityClientId does not belong to the kind openid',
    ],
    [
      'with a managed identity by its name',
      { ...subsidiary, managedIdentityClientId: 'id-broker' },
      '.managedIdentityClientId is not a GUID',
    ],
    [
      'with a managed identity in a cloud without a published audience',
      { ...subsidiary, instance: 'https://login.sovcloud-identity.fr/', managedIdentityClientId: tenant },
      '.managedIdentityClientId is for a token exchange whose audience the broker does not know in this cloud',
    ],
    [
      'of Entra ID at a host of no cloud',
      { ...subsidiary, instance: 'https://login.evil.example/' },
      '.instance is not a login host of an Azure cloud',
    ],
    [
      'with Graph of another cloud',
      { ...subsidiary, graphUrl: 'https://graph.microsoft.com' },
      '.graphUrl is in another cloud than the instance',
    ],
    [
      'with Graph at a stranger',
      { ...subsidiary, graphUrl: 'https://graph.evil.example' },
      '.graphUrl is not Microsoft Graph of an Azure cloud',
    ],
    [
      'with the hybrid flow by query',
      { ...partner, responseType: 'code id_token', responseMode: 'query' },
      '.responseType is code id_token, which requires form_post',
    ],
    ['with a claim of the protocol', { ...partner, claims: ['sub'] }, '.claims[0] is a claim of the protocol'],
    [
      'with one spelling for two scopes',
      { ...partner, scopes: { a: 'x', b: 'x' } },
      '.scopes.b has the spelling of another scope',
    ],
    ['with a scope that has a space', { ...partner, scopes: { a: 'x y' } }, '.scopes.a is not a scope'],
    ['of AD FS with another path', { ...partner, kind: 'adfs' }, '.authority is not the issuer of AD FS'],
    ['with a domain in capitals', { ...partner, domains: ['Partner.example'] }, '.domains[0] is not a domain'],
    [
      'with a domain that ends in a hyphen',
      { ...partner, domains: ['partner.example-'] },
      '.domains[0] is not a domain',
    ],
    ['with a domain twice', { ...partner, domains: ['a.example', 'a.example'] }, '.domains[1] occurs twice'],
    ['with a member that is unknown', { ...partner, clientSecretless: true }, '.clientSecretless is unknown'],
    [
      'of the kind primary with a client id',
      { ...staff, clientId: 'x' },
      '.clientId does not belong to the kind primary',
    ],
  ])('are refused %s, and accepted otherwise', (_, faulty, problem) => {
    expect(refusalsOf(providers(faulty))).toEqual([`Broker__Providers[0]${problem}`])
    expect(() => settingsWith(providers(staff, partner, subsidiary))).not.toThrow()
  })

  it('are refused with a secret, which is not repeated', () => {
    const [problem] = problemsOf(providers({ ...partner, clientSecret: 'hunter2-hunter2' }))

    expect(problem?.setting).toMatch(/^Broker__Providers/)
    expect(JSON.stringify(problem)).not.toContain('hunter2')
  })

  it('name each id, issuer and domain once, the primary provider’s included', () => {
    const again = { ...partner, id: 'again' }

    expect(refusalsOf(providers(partner, partner))).toContain('Broker__Providers[1].id occurs twice')
    expect(refusalsOf(providers(partner, { ...again, domains: [] }))).toEqual([
      'Broker__Providers[1].kind occurs twice',
    ])
    expect(refusalsOf(providers(partner, { ...again, authority: 'https://a.example' }))).toEqual([
      'Broker__Providers[1].domains[0] belongs to another provider too',
    ])
    for (const instance of ['https://login.microsoftonline.us', 'HTTPS://login.microsoftonline.US:443/']) {
      expect(refusalsOf(providers(subsidiary, { ...subsidiary, id: 'again', instance })), instance).toEqual([
        'Broker__Providers[1].kind occurs twice',
      ])
    }
    const otherTenant = { ...subsidiary, id: 'other', tenantId: tenant.replace('6', '7') }
    expect(settingsWith(providers(subsidiary, otherTenant)).otherProviders).toHaveLength(2)
    expect(refusalsOf(providers(staff, { ...staff, id: 'x', domains: [] }))).toEqual([
      'Broker__Providers[1].kind is primary a second time',
    ])
    expect(refusalsOf(providers(staff, { ...partner, id: 'staff' }))).toContain('Broker__Providers[1].id occurs twice')
    expect(refusalsOf(providers({ ...partner, id: 'primary' }))).toEqual([
      'Broker__Providers[0].id is the id of the primary provider',
    ])
    const same = { ...subsidiary, instance: environment.AzureAd__Instance, tenantId: environment.AzureAd__TenantId }
    expect(refusalsOf(providers(same))).toEqual(['Broker__Providers[0].tenantId is the primary provider too'])
  })

  it('are one JSON array, and no setting for each member', () => {
    expect(refusalsOf({ Broker__Providers: '[{' })).toEqual([expect.stringMatching(/^Broker__Providers is not JSON/)])
    expect(refusalsOf({ Broker__Providers__0__id: 'partner' })).toEqual([
      'Broker__Providers__0__id is one member of a provider in a separate setting',
    ])
  })

  it('may be at a host of Broker__AdditionalHosts', () => {
    const entry = { ...subsidiary, instance: 'https://login.newcloud.example/' }

    expect(refusalsOf(providers(entry))).toHaveLength(1)
    expect(() => settingsWith({ ...providers(entry), Broker__AdditionalHosts: 'login.newcloud.example' })).not.toThrow()
  })

  it('outside loopback make an unsafe switch a refusal, also where all else is local', () => {
    const switched = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
    expect(refusalsOf({ ...switched, ...providers(partner) })).toEqual([
      expect.stringContaining('NODE_TLS_REJECT_UNAUTHORIZED'),
    ])
  })
})

describe('the providers of a front end', () => {
  it('are ids of the list or of the primary provider', () => {
    const Broker__FrontEnds = withFrontEnd(['staff', 'partner'])

    expect(settingsWith({ ...providers(staff, partner), Broker__FrontEnds }).frontEnds[0]?.providers).toEqual([
      'staff',
      'partner',
    ])
    expect(refusalsOf({ ...providers(partner), Broker__FrontEnds })).toEqual([
      'Broker__FrontEnds[0].providers[0] is the id of no provider',
    ])
    expect(refusalsOf({ Broker__FrontEnds: withFrontEnd(['staff']) })).toEqual([
      'Broker__FrontEnds[0].providers[0] is the id of no provider',
    ])
  })

  it('are at least one, each once', () => {
    expect(refusalsOf({ Broker__FrontEnds: withFrontEnd([]) })).toEqual(['Broker__FrontEnds[0].providers is empty'])
    expect(refusalsOf({ Broker__FrontEnds: withFrontEnd(['primary', 'primary']) })).toEqual([
      'Broker__FrontEnds[0].providers[1] occurs twice',
    ])
  })

  it('decide the form of its scopes: Entra ID needs a resource, another provider does not', () => {
    const plain = ['orders.read']

    expect(() =>
      settingsWith({ ...providers(partner), Broker__FrontEnds: withFrontEnd(['partner'], plain) }),
    ).not.toThrow()
    for (const taken of [['primary'], ['partner', 'primary'], ['partner', 'subsidiary']]) {
      expect(
        refusalsOf({ ...providers(partner, subsidiary), Broker__FrontEnds: withFrontEnd(taken, plain) }),
        taken.join(),
      ).toEqual(['Broker__FrontEnds[0].apis[0].scopes[0] names no resource'])
    }
  })
})
