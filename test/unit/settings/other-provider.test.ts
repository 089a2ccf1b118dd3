import { describe, expect, it } from 'vitest'
import { withLocalDefaults } from '../../../local/local-defaults.ts'
import { parseSettings } from '../../../shared/settings/settings.ts'
import { problemsOf, refusalsOf, settingsWith, warningsOf } from './environment.ts'
import type { Changes } from './environment.ts'

const authority = 'https://login.example.com/realms/staff'
const other = { AzureAd__Instance: undefined, AzureAd__TenantId: undefined, Broker__Authority: authority }
const otherWith = (changes: Changes = {}) => ({ ...other, ...changes })

describe('another provider', () => {
  it('is named by its issuer, and no optional feature is requested by default', () => {
    const settings = settingsWith(otherWith({ AzureAd__ClientId: 'Broker at Example' }))

    expect(settings.provider).toEqual({
      identity: { authority, kind: 'openid' },
      clientId: 'Broker at Example',
      applicationObjectId: undefined,
      graphUrl: undefined,
      responseMode: 'form_post',
      responseType: 'code',
      offlineAccess: undefined,
    })
    expect(settings.credential).toMatchObject({
      assertionReuse: false,
      assertionKeyId: true,
      assertionAudience: undefined,
      assertionAlgorithm: undefined,
    })
  })

  it.each([
    authority,
    'https://login.example.com/',
    'https://login.example.com',
    'https://login.example.com:8443/a',
    'https://localhost:7171/realm',
  ])('is compared as text, so it is kept unchanged: %s', (value) =>
    expect(settingsWith(otherWith({ Broker__Authority: value })).provider.identity).toMatchObject({ authority: value }),
  )

  it.each([
    ['http://login.example.com/', 'is http; https is required, also on loopback'],
    ['http://localhost:7171/', 'is http; https is required, also on loopback'],
    ['https://login.example.com/.well-known/openid-configuration', 'is the URL of the metadata'],
    ['https://login.example.com/?tenant=a', 'has a query or a fragment'],
    ['https://login.example.com/#a', 'has a query or a fragment'],
    ['https://user:word@login.example.com/', 'contains a user name or a password'],
    ['https://169.254.169.254/', 'is the address of a metadata service'],
    ['https://10.0.0.1/', 'is an IP address'],
    ['login.example.com', 'is not a URL that begins with https://'],
    ['https://login.microsoftonline.com/common/v2.0', 'is Entra ID'],
  ])('is refused otherwise: %s', (value, problem) =>
    expect(refusalsOf(otherWith({ Broker__Authority: value }))).toEqual([`Broker__Authority ${problem}`]),
  )

  it.each([
    ['AzureAd__Instance', 'https://login.microsoftonline.com/'],
    ['AzureAd__TenantId', 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55'],
    ['Broker__ApplicationObjectId', '5d2f8c1e-7a3b-4e6d-9f10-2b4c6d8e0a12'],
    ['Broker__GraphUrl', 'https://graph.microsoft.com'],
  ])('beside %s is refused: one broker has one provider', (name, value) => {
    const [problem, ...more] = problemsOf(otherWith({ [name]: value }))

    expect(problem).toEqual({
      setting: name,
      problem: 'is for Entra ID, but Broker__Authority names another provider',
      fix: 'Delete one of the two.',
    })
    expect(more).toEqual([])
  })

  it.each([
    ['Broker__AssertionAudience', 'https://login.example.com/token'],
    ['Broker__AssertionAlgorithm', 'RS256'],
    ['Broker__AssertionKeyId', 'false'],
    ['Broker__AssertionType', 'client-authentication+jwt'],
    ['Broker__OfflineAccess', 'true'],
    ['Broker__OpenIdScopes', 'openid email'],
    ['Broker__ProviderKind', 'openid'],
  ])('has settings that Entra ID has not: %s', (name, value) => {
    expect(() => settingsWith(otherWith({ [name]: value }))).not.toThrow()
    expect(refusalsOf({ [name]: value })).toEqual([`${name} is for other providers, but none is named`])
  })

  it('may accept fewer scopes about the person', () => {
    const at = (Broker__OpenIdScopes: string) => otherWith({ Broker__OpenIdScopes })
    const all = 'openid profile email address phone'

    expect(settingsWith(at('openid')).provider.openIdScopes).toEqual(['openid'])
    expect(settingsWith(at(all)).provider.openIdScopes).toEqual(all.split(' '))
    for (const bad of [
      'email',
      'openid groups',
      'openid openid',
      'openid  email',
      'openid,email',
      'openid offline_access',
    ]) {
      expect(refusalsOf(at(bad)), bad).toEqual(['Broker__OpenIdScopes is not a list of scopes about the person'])
    }
    const adfs = { Broker__Authority: 'https://fs.contoso.com/adfs', Broker__ProviderKind: 'adfs' }
    expect(refusalsOf({ ...at('openid'), ...adfs })).toEqual([
      'Broker__OpenIdScopes is not for AD FS, which accepts openid and profile',
    ])
  })

  it('may have its metadata elsewhere, also with a policy in the query', () => {
    const at = (Broker__MetadataUrl: string) => otherWith({ Broker__MetadataUrl })
    const url = 'https://login.contoso.com/a/v2.0/.well-known/openid-configuration?p=b2c_1_sign_in'

    const elsewhere = 'https://login.contoso.com/mga/sps/oauth/oauth20/metadata/staff'

    for (const metadataUrl of [url, elsewhere]) {
      expect(settingsWith(at(metadataUrl)).provider.identity).toMatchObject({ authority, metadataUrl })
    }
    expect(refusalsOf({ Broker__MetadataUrl: url })).toEqual([
      'Broker__MetadataUrl is for other providers, but none is named',
    ])
    for (const [value, problem] of [
      [url.replace('https', 'http'), 'is http; https is required, also on loopback'],
      [`${url}#a`, 'has a fragment'],
      ['https://169.254.169.254/.well-known/openid-configuration', 'is the address of a metadata service'],
      ['https://10.0.0.1/.well-known/openid-configuration', 'is an IP address'],
      ['https://localhost:7171/.well-known/openid-configuration', 'is on loopback, or the issuer is, but not both'],
    ] as const) {
      expect(refusalsOf(at(value)), value).toEqual([`Broker__MetadataUrl ${problem}`])
    }
    const adfs = { Broker__Authority: 'https://fs.contoso.com/adfs', Broker__ProviderKind: 'adfs' }
    expect(refusalsOf({ ...at(url), ...adfs })).toEqual([
      'Broker__MetadataUrl is not for AD FS, whose metadata is at the issuer',
    ])
  })

  it('may have any client id, and Entra ID a GUID', () => {
    expect(settingsWith(otherWith({ AzureAd__ClientId: 'MyApp' })).provider.clientId).toBe('MyApp')
    expect(refusalsOf(otherWith({ AzureAd__ClientId: 'my\u00a0app' }))).toEqual([
      'AzureAd__ClientId is not a client id',
    ])
    expect(refusalsOf({ AzureAd__ClientId: 'MyApp' })).toEqual(['AzureAd__ClientId is not a GUID'])
  })

  it('leaves the rest in one cloud, the vault’s', () => {
    const table = { Broker__TableServiceUri: 'https://contososignin.table.core.chinacloudapi.cn' }

    expect(refusalsOf(otherWith(table))).toEqual([
      'Broker__TableServiceUri is in Azure operated by 21Vianet, but AzureAd__ClientCredentials__0__KeyVaultUrl is in Azure',
    ])
    expect(() => settingsWith(other)).not.toThrow()
  })

  it('on a laptop replaces the built-in settings of the local one', () => {
    const settings = parseSettings(withLocalDefaults({ Broker__Authority: 'https://localhost:9000/realm' }))

    expect(settings.provider).toMatchObject({
      identity: { authority: 'https://localhost:9000/realm', kind: 'openid' },
      graphUrl: undefined,
    })
    expect(parseSettings(withLocalDefaults({})).provider.identity).toMatchObject({
      instance: 'https://localhost:7171/',
    })
  })
})

describe('the scopes of an API at another provider', () => {
  const frontEnds = (scopes: readonly string[]) =>
    JSON.stringify([{ id: 'spa', origins: ['https://app.example.com'], apis: [{ name: 'orders', scopes }] }])

  it.each([[['orders.read']], [['read:orders', 'write:orders']], [['https://a/read', 'https://b/read']]])(
    'are named as it likes, not as Entra ID does: %j',
    (scopes) => {
      const Broker__FrontEnds = frontEnds(scopes)

      expect(settingsWith(otherWith({ Broker__FrontEnds })).frontEnds[0]?.apis[0]?.scopes).toEqual(scopes)
      expect(refusalsOf({ Broker__FrontEnds })).not.toEqual([])
    },
  )

  it.each([[['openid']], [['offline_access']], [['two words']], [[]], [['a', 'a']]])('are refused as %j', (scopes) => {
    expect(refusalsOf(otherWith({ Broker__FrontEnds: frontEnds(scopes) }))).not.toEqual([])
  })
})

describe('AD FS', () => {
  const adfs = (changes: Changes = {}) =>
    otherWith({ Broker__Authority: 'https://fs.example.com/adfs', Broker__ProviderKind: 'adfs', ...changes })

  it('is a kind of provider of its own, by setting', () => {
    expect(settingsWith(adfs()).provider.identity).toEqual({ authority: 'https://fs.example.com/adfs', kind: 'adfs' })
    expect(warningsOf(adfs())).toEqual([])
  })

  it('that is not named so keeps the behaviour of any provider, with a warning', () => {
    const unnamed = adfs({ Broker__ProviderKind: undefined })

    expect(settingsWith(unnamed).provider.identity).toMatchObject({ kind: 'openid' })
    expect(warningsOf(unnamed)).toEqual([
      'Broker__ProviderKind is not set, and Broker__Authority has the path of AD FS',
    ])
    expect(warningsOf(adfs({ Broker__ProviderKind: 'openid' }))).toEqual([])
  })

  it.each([
    ['Broker__ProviderKind', 'ADFS', 'is not an accepted value'],
    ['Broker__Authority', 'https://fs.example.com/adfs/', 'is not the issuer of AD FS'],
    ['Broker__Authority', 'https://fs.example.com/', 'is not the issuer of AD FS'],
    ['Broker__Authority', 'https://fs.example.com/adfs/services/trust', 'is not the issuer of AD FS'],
    ['Broker__AssertionAlgorithm', 'PS256', 'is PS256, which AD FS does not accept'],
    ['Broker__AssertionType', 'client-authentication+jwt', 'is client-authentication+jwt, which AD FS does not accept'],
    ['Broker__OfflineAccess', 'true', 'is true, but AD FS has no scope offline_access'],
  ])('has values that it refuses: %s=%s', (name, value, problem) => {
    expect(refusalsOf(adfs({ [name]: value }))).toContain(`${name} ${problem}`)
  })

  it.each([
    ['Broker__Authority', 'https://FS.EXAMPLE.COM/adfs'],
    ['Broker__AssertionAlgorithm', 'RS256'],
    ['Broker__AssertionAudience', 'https://fs.example.com/adfs/oauth2/token'],
    ['Broker__AssertionKeyId', 'false'],
    ['Broker__AssertionType', 'JWT'],
    ['Broker__OfflineAccess', 'false'],
  ])('accepts %s=%s', (name, value) => {
    expect(() => settingsWith(adfs({ [name]: value }))).not.toThrow()
  })
})
