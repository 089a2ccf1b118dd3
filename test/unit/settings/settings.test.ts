import { describe, expect, it } from 'vitest'
import { parseSettings } from '../../../shared/settings/settings.ts'
import { localDefaults, withLocalDefaults } from '../../../local/local-defaults.ts'
import { environment, errorOf, problemsOf, refusalsOf, settingsWith } from './environment.ts'

describe('settings', () => {
  it('are read, with defaults for what is left out', () => {
    expect(settingsWith()).toEqual({
      warnings: [],
      baseUrl: 'https://signin.example.com',
      certificateAuthorities: [],
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
        AzureAd__ClientCertificates__0__KeyVaultUrl: 'https://localhost:9999',
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
