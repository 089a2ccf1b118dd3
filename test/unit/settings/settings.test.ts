import { describe, expect, it } from 'vitest'
import { parseSettings } from '../../../shared/settings/settings.ts'
import { localDefaults, withLocalDefaults } from '../../../local/local-defaults.ts'
import { environment, errorOf, problemsOf, refusalsOf, settingsWith } from './environment.ts'

const credential = 'AzureAd__ClientCredentials__0__'
const older = 'AzureAd__ClientCertificates__0__'
const without = (...names: string[]) => Object.fromEntries(names.map((name) => [name, undefined]))

describe('settings', () => {
  it('are read, with defaults for what is left out', () => {
    expect(settingsWith()).toEqual({
      warnings: [],
      baseUrl: 'https://signin.example.com',
      provider: {
        identity: { instance: 'https://login.microsoftonline.com/', tenantId: environment.AzureAd__TenantId },
        clientId: environment.AzureAd__ClientId,
        graphUrl: 'https://graph.microsoft.com',
        responseMode: 'form_post',
        responseType: 'code',
        continuousAccess: true,
      },
      primary: { id: 'primary', displayName: 'Microsoft', domains: [] },
      otherProviders: [],
      credential: {
        vaultUrl: 'https://contoso-signin.vault.azure.net',
        certificateName: 'broker',
        assertionReuse: true,
        assertionKeyId: false,
        readSeconds: 300,
        overlapSeconds: 86_400,
        managedIdentityClientId: undefined,
        managedIdentity: false,
      },
      keyRing: { acceptUnsignedUntil: Date.parse('2027-03-01'), wrappingKeyName: 'broker-key-ring' },
      store: { tableServiceUri: 'https://contososignin.table.core.windows.net', tablePrefix: 'broker' },
      signIn: { lifetimeSeconds: 900 },
      session: { idleSeconds: 3600, absoluteSeconds: 43_200, cacheSeconds: 0 },
      frontEnds: [
        {
          id: 'spa',
          kind: 'session',
          origins: ['https://app.example.com'],
          returnUrls: undefined,
          redirectUris: [],
          singleSignOn: false,
          signedOutUrls: ['https://app.example.com/'],
          prompts: ['login', 'select_account', 'consent'],
          apis: [{ name: 'orders', scopes: ['api://orders/orders.read'] }],
        },
      ],
    })
  })

  it('that are built in for a laptop are accepted', () => {
    const settings = parseSettings(localDefaults)

    expect(settings.baseUrl).toBe('http://localhost:7071')
    expect(settings.credential.managedIdentity).toBe(true)
    expect(settings.frontEnds.flatMap(({ origins }) => origins)).toEqual([
      'http://localhost:7175',
      'http://localhost:3000',
      'http://localhost:4200',
      'http://localhost:5173',
      'http://127.0.0.1:7177',
    ])
  })

  it('of a laptop are replaced by those that are set, also under an older name', () => {
    const settings = parseSettings(
      withLocalDefaults({
        Broker__SignInSeconds: '60',
        Broker__TablePrefix: undefined,
        [`${older}KeyVaultUrl`]: 'https://localhost:9999',
      }),
    )

    expect(settings.signIn.lifetimeSeconds).toBe(60)
    expect(settings.store.tablePrefix).toBe('broker')
    expect(settings.credential.vaultUrl).toBe('https://localhost:9999')
  })

  it('that are missing are all named at once, each with an example', () => {
    const error = (() => {
      try {
        return parseSettings({})
      } catch (thrown) {
        return thrown as Error
      }
    })()

    for (const name of Object.keys(environment))
      expect(error).toHaveProperty('message', expect.stringContaining(`- ${name} is missing. `))
  })

  it('that are bad in several ways are all named at once', () => {
    const changes = {
      Broker__BaseUrl: 'http://signin.example.com',
      AzureAd__TenantId: 'consumers',
      AzureAd__ClientId: undefined,
      AzureAd__TenatId: 'x',
      Broker__SignInSeconds: '5',
      Broker__FrontEnds: '[{"id":"spa","origins":["https://app.example.com/"]},{"id":"SPA","origin":"x"}]',
    }

    expect(problemsOf(changes).map(({ setting }) => setting)).toEqual([
      'Broker__BaseUrl',
      'Broker__FrontEnds[0].origins[0]',
      'Broker__FrontEnds[1].id',
      'Broker__FrontEnds[1].origins',
      'Broker__FrontEnds[1].origin',
      'AzureAd__TenantId',
      'AzureAd__ClientId',
      'Broker__SignInSeconds',
      'AzureAd__TenatId',
    ])
    expect(errorOf(changes).message).toContain('The settings have 9 problems:')
  })

  it('count as not set when they are empty, as templates leave them', () => {
    expect(settingsWith({ Broker__TablePrefix: '', AzureAd__Domain: '' }).store.tablePrefix).toBe('broker')
    expect(refusalsOf({ AzureAd__ClientId: '' })).toEqual(['AzureAd__ClientId is missing'])
  })

  it('with white space around them are refused, since it cannot be seen', () => {
    expect(refusalsOf({ AzureAd__ClientId: `${environment.AzureAd__ClientId}\n` })).toEqual([
      'AzureAd__ClientId has white space at its beginning or end',
    ])
  })

  it('never have their value in an error', () => {
    const marker = 'QmFyZS1tYXJrZXI'
    const bad = Object.fromEntries(Object.keys(localDefaults).map((name) => [name, `${marker} ${name}`]))
    const inJson = JSON.stringify([
      {
        id: marker,
        kind: marker,
        origins: [`https://${marker}.example/x`, marker],
        returnUrls: [`https://a.example/#${marker}`],
      },
      {
        id: 'spa',
        [`${marker} pasted`]: marker,
        origins: marker,
        prompts: [marker],
        apis: [{ name: `${marker} !`, scopes: [marker] }],
      },
    ])

    for (const changes of [
      bad,
      { Broker__FrontEnds: inJson },
      { Broker__FrontEnds: `[{"id": ${marker}]` },
      { Broker__Unknown: marker },
    ]) {
      const error = errorOf(changes)
      expect(error.message.toLowerCase()).not.toContain(marker.toLowerCase())
      expect(JSON.stringify(error.problems).toLowerCase()).not.toContain(marker.toLowerCase())
    }
  })
})

describe('the base URL', () => {
  it.each([
    'https://signin.example.com',
    'https://signin.example.com/',
    'https://signin.example.com:8443',
    'http://localhost:7071',
    'http://127.0.0.1:7071',
  ])('is accepted as an origin: %s', (value) =>
    expect(settingsWith({ Broker__BaseUrl: value }).baseUrl).toBe(new URL(value).origin),
  )

  it.each([
    ['https://app.example.com/auth', 'https://app.example.com/auth'],
    ['https://app.example.com/auth/', 'https://app.example.com/auth'],
    ['https://APP.example.com/Team-1/sign_in.v2', 'https://app.example.com/Team-1/sign_in.v2'],
    ['http://localhost:7071/auth', 'http://localhost:7071/auth'],
  ])('may have a path, for a host that the broker shares: %s', (value, baseUrl) =>
    expect(settingsWith({ Broker__BaseUrl: value }).baseUrl).toBe(baseUrl),
  )

  it.each([
    ['http://signin.example.com', 'is http outside loopback'],
    ['http://localhost.example.com', 'is http outside loopback'],
    ['https://app.example.com/auth?x=1', 'has a query or a fragment'],
    ['https://app.example.com/auth/../admin', 'has a path with other characters than letters, digits, -, . and _'],
    ['https://app.example.com/a%75th', 'has a path with other characters than letters, digits, -, . and _'],
    ['https://app.example.com//auth', 'has a path with other characters than letters, digits, -, . and _'],
    ['https://app.example.com/.well-known', 'has a path with other characters than letters, digits, -, . and _'],
    [`https://app.example.com/${'a'.repeat(100)}`, 'has a path of more than 100 characters'],
    ['https://signin.example.com/?a=b', 'has a query or a fragment'],
    ['https://name:word@signin.example.com', 'contains a user name or a password'],
    ['https://*.example.com', 'is a pattern; only exact addresses are accepted'],
    ['https:\\\\signin.example.com', 'is not a URL that begins with https://'],
    ['https://signin.example.com\\x', 'contains white space or a backslash'],
    ['signin.example.com', 'is not a URL that begins with https://'],
    ['javascript:alert(1)', 'is not a URL that begins with https://'],
  ])('is refused otherwise: %s', (value, problem) =>
    expect(refusalsOf({ Broker__BaseUrl: value })).toEqual([`Broker__BaseUrl ${problem}`]),
  )
})

describe('the identity provider', () => {
  it.each([
    ['https://login.microsoftonline.com', 'https://login.microsoftonline.com/'],
    ['https://localhost:7171', 'https://localhost:7171/'],
  ])('is accepted at a login host of a cloud or on loopback, with a slash at its end: %s', (value, instance) =>
    expect(settingsWith({ AzureAd__Instance: value }).provider.identity).toMatchObject({ instance }),
  )

  it.each([
    ['http://login.microsoftonline.com/', 'is not https'],
    ['http://localhost:7171/', 'is http; https is required, also on loopback'],
    ['https://login.microsoftonline.com/common/v2.0', 'has a path'],
    ['https://login.microsoftonline.com:8443/', 'has a port'],
    ['https://login.microsoftonline.com.example.com/', 'is not a login host of an Azure cloud'],
    ['https://login.windows.net/', 'is an alias, which no token names as its issuer'],
    ['https://20.190.128.1/', 'is an IP address'],
  ])('is refused at another host: %s', (value, problem) =>
    expect(refusalsOf({ AzureAd__Instance: value })).toEqual([`AzureAd__Instance ${problem}`]),
  )

  it.each([
    ['consumers', 'admits personal accounts, which belong to no tenant of yours'],
    ['contoso.onmicrosoft.com', 'is a domain name, which can move to another tenant'],
    ['<your tenant id>', 'is a placeholder'],
    ['00000000-0000-0000-0000-000000000000', 'is a placeholder'],
    ['12345', 'is not a GUID'],
  ])('serves one tenant, named by its GUID, and not: %s', (value, problem) =>
    expect(refusalsOf({ AzureAd__TenantId: value })).toEqual([`AzureAd__TenantId ${problem}`]),
  )

  it('accepts a GUID in capitals, and compares it in small letters', () => {
    const tenant = environment.AzureAd__TenantId.toUpperCase()

    expect(settingsWith({ AzureAd__TenantId: tenant }).provider.identity).toMatchObject({
      tenantId: environment.AzureAd__TenantId,
    })
  })

  it('knows the broker by a client id that is a GUID and no placeholder', () => {
    expect(refusalsOf({ AzureAd__ClientId: 'my-app' })).toEqual(['AzureAd__ClientId is not a GUID'])
    expect(refusalsOf({ AzureAd__ClientId: '[Enter the Client Id]' })).toEqual(['AzureAd__ClientId is a placeholder'])
    expect(settingsWith().provider.clientId).toBe(environment.AzureAd__ClientId)
  })

  it('answers by form_post or by query, and in no other way', () => {
    expect(settingsWith({ Broker__ResponseMode: 'query' }).provider.responseMode).toBe('query')
    expect(refusalsOf({ Broker__ResponseMode: 'fragment' })).toEqual(['Broker__ResponseMode is not an accepted value'])
  })
})

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

describe('the store', () => {
  it.each([
    'https://contososignin.table.core.windows.net/',
    'http://127.0.0.1:10002/devstoreaccount1',
    'https://localhost:10002/devstoreaccount1',
  ])('is a table service of a cloud, or on loopback: %s', (value) =>
    expect(settingsWith({ Broker__TableServiceUri: value }).store.tableServiceUri).toBe(value.replace(/\/$/, '')),
  )

  it.each([
    ['http://contososignin.table.core.windows.net', 'is not https'],
    ['https://contososignin.blob.core.windows.net', 'is not a table service of an Azure cloud'],
    ['https://table.example.com', 'is not a table service of an Azure cloud'],
    ['https://contososignin.table.core.windows.net/sessions', 'has a path'],
    ['https://contososignin.table.core.usgovcloudapi.net', 'is in Azure Government, but AzureAd__Instance is in Azure'],
  ])('is refused otherwise: %s', (value, problem) =>
    expect(refusalsOf({ Broker__TableServiceUri: value })).toEqual([`Broker__TableServiceUri ${problem}`]),
  )

  it('has tables whose names begin with a permitted character', () => {
    expect(settingsWith({ Broker__TablePrefix: 'second2' }).store.tablePrefix).toBe('second2')
    expect(refusalsOf({ Broker__TablePrefix: 'broker-2' })).toEqual([
      'Broker__TablePrefix is not a prefix of table names',
    ])
    expect(refusalsOf({ Broker__TablePrefix: '2broker' })).toEqual([
      'Broker__TablePrefix is not a prefix of table names',
    ])
  })
})

describe('times', () => {
  it.each([
    ['Broker__SignInSeconds', 60, 3600],
    ['Broker__SessionIdleSeconds', 300, 86_400],
    ['Broker__SessionAbsoluteSeconds', 600, 604_800],
    ['Broker__SessionCacheSeconds', 0, 60],
  ])('%s is a whole number from %i to %i', (name, least, most) => {
    const others =
      name === 'Broker__SessionIdleSeconds'
        ? { Broker__SessionAbsoluteSeconds: '604800' }
        : { Broker__SessionIdleSeconds: '300' }
    const problem = `${name} is not a whole number of seconds from ${least} to ${most}`

    for (const value of [least, most]) expect(() => settingsWith({ ...others, [name]: String(value) })).not.toThrow()
    for (const value of [least - 1, most + 1, '1e3', '0x40', '60.5', 'sixty']) {
      expect(refusalsOf({ ...others, [name]: String(value) })).toEqual([problem])
    }
  })

  it('end a session by idling no later than absolutely', () => {
    expect(refusalsOf({ Broker__SessionIdleSeconds: '7200', Broker__SessionAbsoluteSeconds: '3600' })).toEqual([
      'Broker__SessionIdleSeconds is longer than Broker__SessionAbsoluteSeconds',
    ])
    expect(
      settingsWith({ Broker__SessionIdleSeconds: '3600', Broker__SessionAbsoluteSeconds: '3600' }).session,
    ).toMatchObject({
      idleSeconds: 3600,
      absoluteSeconds: 3600,
    })
  })
})

describe('names', () => {
  it.each([
    ['AzureAd__TenatId', 'Did you mean AzureAd__TenantId? Otherwise delete it.'],
    ['Broker__BaseURI', 'Did you mean Broker__BaseUrl? Otherwise delete it.'],
    ['Broker__FrontEnd', 'Did you mean Broker__FrontEnds? Otherwise delete it.'],
    ['Broker__Colour', 'Delete it; docs/settings.md lists the names that are read.'],
  ])('that are unknown under the two prefixes are refused, with the right name: %s', (name, fix) =>
    expect(problemsOf({ [name]: 'x' })).toEqual([{ setting: name, problem: 'is unknown', fix }]),
  )

  it.each([
    'PATH',
    'Brokerage',
    'BROKER_SERVICE_HOST',
    'AzureAdminPortal',
    'APPSETTING_Broker__Colour',
    'MSI_SECRET',
    'IDENTITY_HEADER',
  ])('that do not belong to the broker are ignored: %s', (name) =>
    expect(() => settingsWith({ [name]: 'x' })).not.toThrow(),
  )

  it.each([
    ['AzureAD__TenantId', 'is written in other upper or lower case', 'Write AzureAd__TenantId.'],
    ['BROKER__BASEURL', 'is written in other upper or lower case', 'Write Broker__BaseUrl.'],
    [
      'AzureAd:TenantId',
      'is written with a colon, which environment variables do not support; __ separates levels',
      'Write AzureAd__TenantId.',
    ],
    ['AzureAd_TenantId', 'is written with other underscores; __ separates levels', 'Write AzureAd__TenantId.'],
    [
      'AzureAd:ClientCredentials:0:SourceType',
      'is written with a colon, which environment variables do not support; __ separates levels',
      'Write AzureAd__ClientCredentials__0__SourceType.',
    ],
  ])('that are known in another spelling are refused, with the right one: %s', (setting, problem, fix) =>
    expect(problemsOf({ [setting]: 'x' })).toEqual([{ setting, problem, fix }]),
  )

  it.each([
    ['AzureAd__Domain', 'is not needed'],
    ['AzureAd__CallbackPath', 'is fixed'],
    ['AzureAd__SignedOutCallbackPath', 'is fixed'],
    ['AzureAd__Scopes', 'belongs to a front end'],
    ['AzureAd__Scopes__0', 'belongs to a front end'],
    ['azuread__domain', 'is not needed'],
    ['AzureAd__ClientCredentials', 'is a list in one setting'],
    ['AzureAd__ClientCredentials__0__CertificateThumbprint', 'names a certificate store of Windows'],
    ['AzureAd__ClientCertificates__0__CertificateDiskPath', 'puts a private key into a file'],
    ['Broker__FrontEnds__0__id', 'is one member of a front end in a separate setting'],
  ])('that Microsoft.Identity.Web users bring along have a sentence of their own: %s', (setting, problem) =>
    expect(refusalsOf({ [setting]: 'x' })).toEqual([`${setting} ${problem}`]),
  )

  it.each([
    ['AzureAd__CallbackPath', '/callback'],
    ['AzureAd__SignedOutCallbackPath', '/logout/done'],
  ])('of paths that are fixed are accepted with the fixed path: %s', (name, value) =>
    expect(() => settingsWith({ [name]: value })).not.toThrow(),
  )
})

describe('the response type', () => {
  const hybrid = { Broker__ResponseType: 'code id_token' }

  it('is code, or by setting the hybrid flow', () => {
    expect(settingsWith().provider.responseType).toBe('code')
    expect(settingsWith(hybrid).provider.responseType).toBe('code id_token')
    expect(settingsWith({ ...hybrid, Broker__ResponseMode: 'form_post' }).provider.responseMode).toBe('form_post')
  })

  it.each(['id_token', 'code token', 'code id_token token', 'id_token code', 'token', 'none'])(
    'is never %s: the broker requests no token in the front channel but the ID token beside a code',
    (value) => {
      expect(refusalsOf({ Broker__ResponseType: value })).toEqual(['Broker__ResponseType is not an accepted value'])
    },
  )

  it('of the hybrid flow requires form_post', () => {
    expect(refusalsOf({ ...hybrid, Broker__ResponseMode: 'query' })).toEqual([
      'Broker__ResponseMode is query, but Broker__ResponseType is code id_token',
    ])
    expect(() => settingsWith({ Broker__ResponseMode: 'query' })).not.toThrow()
  })
})
