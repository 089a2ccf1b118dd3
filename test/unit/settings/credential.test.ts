import { describe, expect, it } from 'vitest'
import { parseSettings } from '../../../shared/settings/settings.ts'
import { localDefaults } from '../../../local/local-defaults.ts'
import { problemsOf, refusalsOf, settingsWith } from './environment.ts'

const credential = 'AzureAd__ClientCredentials__0__'
const older = 'AzureAd__ClientCertificates__0__'
const without = (...names: string[]) => Object.fromEntries(names.map((name) => [name, undefined]))

describe('the credential', () => {
  it.each([
    ['https://contoso-signin.vault.azure.net/', {}],
    ['https://localhost:7172', {}],
    ['https://[::1]:7172', {}],
    [
      'https://contoso.vault.azure.cn',
      {
        AzureAd__Instance: 'https://login.partner.microsoftonline.cn/',
        Broker__TableServiceUri: 'https://contoso.table.core.chinacloudapi.cn/',
      },
    ],
    [
      'https://contoso.vault.usgovcloudapi.net',
      {
        AzureAd__Instance: 'https://login.microsoftonline.us/',
        Broker__TableServiceUri: 'https://contoso.table.core.usgovcloudapi.net',
      },
    ],
    ['https://contoso-signin.vault.azure.net', { AzureAd__Instance: 'https://localhost:7171/' }],
  ])('is in a vault of the same cloud or on loopback: %s', (value, changes) =>
    expect(settingsWith({ ...changes, [`${credential}KeyVaultUrl`]: value }).credential.vaultUrl).toBe(
      new URL(value).origin,
    ),
  )

  it.each([
    ['http://contoso-signin.vault.azure.net', 'is not https'],
    ['http://localhost:7172', 'is http; https is required, also on loopback'],
    ['https://10.0.0.4', 'is an IP address'],
    ['https://0x0a000004', 'is an IP address'],
    ['https://[2001:db8::1]', 'is an IP address'],
    ['https://169.254.169.254', 'is the address of a metadata service'],
    ['http://169.254.169.254', 'is the address of a metadata service'],
    ['https://contoso-signin.vault.azure.net.example.com', 'is not a Key Vault of an Azure cloud'],
    ['https://contoso.vault.azure.net.', 'has a host with characters that host names do not have'],
    ['https://vault.azure.net', 'is not a Key Vault of an Azure cloud'],
    ['https://a.b.vault.azure.net', 'is not a Key Vault of an Azure cloud'],
    ['https://localhost.vault.example', 'is not a Key Vault of an Azure cloud'],
    ['https://contoso.managedhsm.azure.net', 'is a managed HSM, which stores no certificates'],
    ['https://me@contoso-signin.vault.azure.net', 'contains a user name or a password'],
    ['https://contoso-signin.vault.azure.net:8443', 'has a port'],
    ['https://contoso-signin.vault.azure.net/certificates/broker', 'has a path'],
    ['https://contoso-signin.vault.azure.net?x=1', 'has a query or a fragment'],
    ['https://contoso.vault.azure.cn', 'is in Azure operated by 21Vianet, but AzureAd__Instance is in Azure'],
  ])('is in no other place: %s', (value, problem) =>
    expect(refusalsOf({ [`${credential}KeyVaultUrl`]: value })).toEqual([`${credential}KeyVaultUrl ${problem}`]),
  )

  it.each([
    'Base64Encoded',
    'Path',
    'StoreWithThumbprint',
    'StoreWithDistinguishedName',
    'ClientSecret',
    'SignedAssertionFromManagedIdentity',
    'SignedAssertionFilePath',
    'keyvault',
    'Vault',
  ])('is of the kind KeyVault; of the kind %s it is refused with what to do', (value) => {
    const [problem, ...more] = problemsOf({ [`${credential}SourceType`]: value })

    expect(problem).toMatchObject({
      setting: `${credential}SourceType`,
      fix: expect.stringContaining('Write KeyVault') as string,
    })
    expect(more).toEqual([])
  })

  it('has a name without a version', () => {
    const name = `${credential}KeyVaultCertificateName`

    expect(refusalsOf({ [name]: 'broker/0123456789abcdef' })).toEqual([`${name} is not a name of a Key Vault object`])
    expect(settingsWith({ [name]: 'broker-2' }).credential.certificateName).toBe('broker-2')
  })

  it('is accepted under its older names, which mean the same', () => {
    const newer = without(`${credential}SourceType`, `${credential}KeyVaultUrl`, `${credential}KeyVaultCertificateName`)
    const settings = settingsWith({
      ...newer,
      [`${older}SourceType`]: 'KeyVault',
      [`${older}KeyVaultUrl`]: 'https://other.vault.azure.net',
      [`${older}KeyVaultCertificateName`]: 'signing',
    })

    expect(settings.credential).toMatchObject({ vaultUrl: 'https://other.vault.azure.net', certificateName: 'signing' })
  })

  it('may have both names where they have the same value, and not where they differ', () => {
    const same = { [`${older}KeyVaultCertificateName`]: 'broker' }
    const different = { [`${older}KeyVaultCertificateName`]: 'other' }

    expect(settingsWith(same).credential.certificateName).toBe('broker')
    expect(refusalsOf(different)).toEqual([
      `${older}KeyVaultCertificateName has another value than ${credential}KeyVaultCertificateName`,
    ])
  })

  it.each(['1__SourceType', '1__KeyVaultUrl', '2__SourceType'])(
    'is the only certificate: %s for another one is refused with the reason',
    (member) => {
      const [problem] = problemsOf({
        [`AzureAd__ClientCredentials__${member}`]: member === '1__SourceType' ? 'KeyVault' : 'x',
      })

      expect(problem).toMatchObject({
        setting: `AzureAd__ClientCredentials__${member}`,
        problem: 'is another credential',
        fix: expect.stringContaining('whose renewal is a new version') as string,
      })
    },
  )

  describe('followed by a managed identity', () => {
    const second = 'AzureAd__ClientCredentials__1__'
    const identity = '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa'
    const on = { [`${second}SourceType`]: 'SignedAssertionFromManagedIdentity', AZURE_CLIENT_ID: identity }
    const government = {
      AzureAd__Instance: 'https://login.microsoftonline.us/',
      AzureAd__ClientCredentials__0__KeyVaultUrl: 'https://contoso.vault.usgovcloudapi.net',
      Broker__TableServiceUri: 'https://contoso.table.core.usgovcloudapi.net',
    }
    const singapore = {
      AzureAd__Instance: 'https://login.sovcloud-identity.sg/',
      AzureAd__ClientCredentials__0__KeyVaultUrl: 'https://contoso.vault.sovcloud-api.sg',
      Broker__TableServiceUri: 'https://contoso.table.core.sovcloud-api.sg',
    }

    it('is off where no setting names one', () => {
      expect(settingsWith({ AZURE_CLIENT_ID: identity }).credential.second).toBeUndefined()
    })

    it.each<[string, Record<string, string>, string, string]>([
      ['the identity of the broker', {}, identity, 'api://AzureADTokenExchange'],
      [
        'an identity of its own',
        { [`${second}ManagedIdentityClientId`]: '8B1F3C7E-9D39-4A3C-B0F4-2F6F2AD0C1AA' },
        '8b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa',
        'api://AzureADTokenExchange',
      ],
      ['the audience of its cloud', government, identity, 'api://AzureADTokenExchangeUSGov'],
      [
        'an audience that the broker does not know',
        { ...singapore, [`${second}TokenExchangeUrl`]: 'api://AzureADTokenExchangeSG' },
        identity,
        'api://AzureADTokenExchangeSG',
      ],
      ['the emulator', { AzureAd__Instance: 'https://localhost:7171/' }, identity, 'api://AzureADTokenExchange'],
    ])('is used with %s', (_, changes, managedIdentityClientId, tokenExchangeUrl) => {
      expect(settingsWith({ ...on, ...changes }).credential.second).toEqual({
        managedIdentityClientId,
        tokenExchangeUrl,
      })
    })

    it.each<[string, Record<string, string | undefined>, string]>([
      ['a system-assigned identity', { AZURE_CLIENT_ID: undefined }, `${second}ManagedIdentityClientId is missing`],
      [
        'the audience of another service',
        { [`${second}TokenExchangeUrl`]: 'https://vault.azure.net' },
        `${second}TokenExchangeUrl is not the audience of a token exchange`,
      ],
      [
        'the audience of another cloud',
        { [`${second}TokenExchangeUrl`]: 'api://AzureADTokenExchangeChina' },
        `${second}TokenExchangeUrl is not the audience of the cloud of AzureAd__Instance`,
      ],
      [
        'no audience in a cloud that has published none',
        singapore,
        `${second}TokenExchangeUrl is missing: the broker does not know the audience of this cloud`,
      ],
      [
        'another case',
        { [`${second}SourceType`]: 'signedAssertionFromManagedIdentity' },
        `${second}SourceType is SignedAssertionFromManagedIdentity in other upper or lower case`,
      ],
      ['a secret', { [`${second}SourceType`]: 'ClientSecret' }, `${second}SourceType names a client secret`],
      ['a file', { [`${second}SourceType`]: 'Path' }, `${second}SourceType puts a private key into a file`],
    ])('is refused with %s', (_, changes, problem) => {
      expect(refusalsOf({ ...on, ...changes })).toEqual([problem])
    })

    it('is refused as a whole at another provider, and its members without it', () => {
      const other = {
        AzureAd__Instance: undefined,
        AzureAd__TenantId: undefined,
        Broker__Authority: 'https://login.example.com',
      }

      expect(refusalsOf({ ...on, ...other })).toEqual([
        `${second}SourceType is for Entra ID, but Broker__Authority names another provider`,
      ])
      expect(refusalsOf({ [`${second}ManagedIdentityClientId`]: identity })).toEqual([
        `${second}ManagedIdentityClientId is for a second credential, but ${second}SourceType names none`,
      ])
    })

    it('still refuses a secret beside it, without its value', () => {
      const [problem, ...more] = problemsOf({ ...on, [`${second}ClientSecret`]: 'hunter2' })

      expect(problem).toMatchObject({ setting: `${second}ClientSecret`, problem: 'contains a secret' })
      expect([more, JSON.stringify(problem)]).toEqual([[], expect.not.stringContaining('hunter2')])
    })
  })

  it('is reached by a managed identity in Azure and beside an identity endpoint', () => {
    const identity = '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa'

    expect(settingsWith({ WEBSITE_INSTANCE_ID: 'x', AZURE_CLIENT_ID: identity }).credential).toMatchObject({
      managedIdentity: true,
      managedIdentityClientId: identity,
    })
    expect(settingsWith({ WEBSITE_SITE_NAME: 'x' }).credential.managedIdentity).toBe(true)
    expect(settingsWith({ IDENTITY_ENDPOINT: 'http://localhost:8081/msi/token' }).credential.managedIdentity).toBe(true)
    expect(settingsWith().credential.managedIdentity).toBe(false)
    expect(refusalsOf({ AZURE_CLIENT_ID: 'the identity' })).toEqual(['AZURE_CLIENT_ID is not a GUID'])
  })

  it.each(['http://127.0.0.1:41056/MSI/token/', 'http://169.254.129.6:8081/msi/token', 'http://[::1]:7173/msi/token'])(
    'requests identity tokens from a local endpoint: %s',
    (value) => expect(settingsWith({ IDENTITY_ENDPOINT: value }).credential.managedIdentity).toBe(true),
  )

  it.each([
    'http://10.0.0.4/msi/token',
    'https://identity.example.com/',
    'http://169.254.1.1.example.com/',
    'http://a@127.0.0.1/',
    'nowhere',
  ])('requests identity tokens from no other endpoint: %s', (value) =>
    expect(problemsOf({ IDENTITY_ENDPOINT: value }).map(({ setting }) => setting)).toEqual(['IDENTITY_ENDPOINT']),
  )

  it('is reached by the own sign-in of a developer who names a real vault in a copy of the example', () => {
    const copy = { ...localDefaults, [`${credential}KeyVaultUrl`]: 'https://contoso-signin.vault.azure.net' }

    expect(parseSettings(copy).credential.managedIdentity).toBe(false)
    expect(parseSettings({ ...copy, WEBSITE_SITE_NAME: 'x' }).credential.managedIdentity).toBe(true)
    expect(parseSettings(localDefaults).credential.managedIdentity).toBe(true)
  })

  it('is sent again while fresh, or made for each request, as configured', () => {
    expect(settingsWith({ Broker__AssertionReuse: 'False' }).credential.assertionReuse).toBe(false)
    expect(refusalsOf({ Broker__AssertionReuse: 'no' })).toEqual(['Broker__AssertionReuse is neither true nor false'])
  })
})
