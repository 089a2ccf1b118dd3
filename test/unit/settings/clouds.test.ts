/** Hosts of the clouds, and hosts that an operator adds. */
import { describe, expect, it } from 'vitest'
import { vaultResourceOf } from '../../../shared/settings/addresses.ts'
import { clouds } from '../../../shared/settings/clouds.ts'
import { refusalsOf, settingsWith } from './environment.ts'

const vaultName = 'AzureAd__ClientCredentials__0__KeyVaultUrl'
const vault = (host: string) => ({ [vaultName]: `https://${host}` })
const table = (host: string) => ({ Broker__TableServiceUri: `https://${host}` })

describe('the clouds', () => {
  it.each(clouds.map((cloud) => [cloud.name, cloud] as const))('%s: its hosts are accepted together', (_, cloud) => {
    const settings = settingsWith({
      AzureAd__Instance: `https://${cloud.loginHost}/`,
      ...vault(`contoso${cloud.vaultSuffix}`),
      ...table(`contoso${cloud.tableSuffix}`),
    })

    expect(settings.provider.graphUrl).toBe(`https://${cloud.graphHosts[0]}`)
    expect(vaultResourceOf(settings.credential.vaultUrl)).toBe(`https://${cloud.vaultSuffix.slice(1)}`)
  })

  it.each(clouds.slice(1).map((cloud) => [cloud.name, cloud] as const))(
    '%s: no host is mixed with Azure',
    (_, cloud) => {
      expect(refusalsOf(vault(`contoso${cloud.vaultSuffix}`))).toEqual([
        `${vaultName} is in ${cloud.name}, but AzureAd__Instance is in Azure`,
      ])
      expect(refusalsOf(table(`contoso${cloud.tableSuffix}`))).toHaveLength(1)
    },
  )

  it.each(clouds.flatMap(({ loginAliases, loginHost }) => loginAliases.map((alias) => [alias, loginHost] as const)))(
    'an alias is refused with the name of the issuer: %s',
    (alias, loginHost) => {
      const changes = { AzureAd__Instance: `https://${alias}/` }

      expect(refusalsOf(changes)).toEqual(['AzureAd__Instance is an alias, which no token names as its issuer'])
      expect(clouds.map((cloud) => cloud.loginHost)).toContain(loginHost)
    },
  )

  it.each([
    'contoso.z21.table.storage.azure.net',
    'contoso0.z1.table.storage.azure.net',
    'abc.z00.table.storage.azure.net',
  ])('a storage account with DNS zone endpoints is accepted: %s', (host) =>
    expect(settingsWith(table(host)).store.tableServiceUri).toBe(`https://${host}`),
  )

  it.each([
    'z21.table.storage.azure.net',
    'contoso.table.storage.azure.net',
    'contoso.z.table.storage.azure.net',
    'contoso.z211.table.storage.azure.net',
    'contoso.x.z21.table.storage.azure.net',
    'contoso.z21.table.storage.azure.net.evil.example',
    'contoso.z21.blob.storage.azure.net',
    'contoso.z21.table.storage.azure.cn',
    'contoso-secondary.table.core.windows.net',
  ])('any other host is refused: %s', (host) =>
    expect(refusalsOf(table(host))).toEqual(['Broker__TableServiceUri is not a table service of an Azure cloud']),
  )
})

describe('Broker__AdditionalHosts', () => {
  const newCloud = {
    AzureAd__Instance: 'https://login.newcloud.example/',
    ...vault('contoso.vault.newcloud.example'),
    ...table('contoso.table.core.newcloud.example'),
    Broker__GraphUrl: 'https://graph.newcloud.example',
  }
  const hosts =
    'login.newcloud.example, contoso.vault.newcloud.example,contoso.table.core.newcloud.example,graph.newcloud.example'

  it('adds hosts of a cloud that the broker does not know', () => {
    const settings = settingsWith({ ...newCloud, Broker__AdditionalHosts: hosts })

    expect(settings.provider).toMatchObject({ graphUrl: newCloud.Broker__GraphUrl })
    expect(vaultResourceOf(settings.credential.vaultUrl, settings.additionalHosts)).toBe(
      'https://vault.newcloud.example',
    )
    expect(refusalsOf(newCloud)).toHaveLength(4)
  })

  it('adds exactly the hosts that it names', () => {
    const others = { ...vault('other.vault.newcloud.example'), ...table('a.contoso.table.core.newcloud.example') }

    expect(refusalsOf({ ...newCloud, ...others, Broker__AdditionalHosts: hosts })).toEqual([
      `${vaultName} is not a Key Vault of an Azure cloud`,
      'Broker__TableServiceUri is not a table service of an Azure cloud',
    ])
  })

  it.each([
    ['http', { [vaultName]: 'http://contoso.vault.newcloud.example' }],
    ['a port', { [vaultName]: 'https://contoso.vault.newcloud.example:8443' }],
    ['a path', { [vaultName]: 'https://contoso.vault.newcloud.example/keys' }],
    ['a user name', { [vaultName]: 'https://me@contoso.vault.newcloud.example' }],
  ])('leaves every other rule in place: %s', (_, changes) =>
    expect(refusalsOf({ ...newCloud, ...changes, Broker__AdditionalHosts: hosts })).toHaveLength(1),
  )

  it.each([
    '*.newcloud.example',
    '.newcloud.example',
    'newcloud',
    'localhost',
    'api.localhost',
    'https://login.newcloud.example',
    'login.newcloud.example/',
    'login.newcloud.example:443',
    'LOGIN.newcloud.example',
    'login.newcloud.example;graph.newcloud.example',
    'login.newcloud.example,',
    '20.190.128.1',
    '127.1',
    '0x7f.1',
    '[::1]',
    '169.254.169.254',
    'metadata.google.internal',
    'login..newcloud.example',
    'login.newcloud.example.',
    'log\u0456n.newcloud.example',
    '@Microsoft.KeyVault(SecretUri=https://a.vault.azure.net/secrets/b)',
    Array.from({ length: 21 }, (_, index) => `h${index}.newcloud.example`).join(','),
  ])('refuses anything but full names of hosts: %s', (value) =>
    expect(refusalsOf({ Broker__AdditionalHosts: value })).toEqual([
      expect.stringMatching(/^Broker__AdditionalHosts /),
    ]),
  )
})

describe('scopes at Entra ID', () => {
  const withScope = (...scopes: string[]) => ({
    Broker__FrontEnds: JSON.stringify([
      { id: 'spa', origins: ['https://app.example.com'], apis: [{ name: 'orders', scopes }] },
    ]),
  })

  it.each([
    'https://database.windows.net//.default',
    'https://management.core.windows.net//user_impersonation',
    'https://ossrdbms-aad.database.windows.net/.default',
    'api://orders/orders.read',
    'api://contoso.example/orders/orders.read',
    '00000003-0000-0000-c000-000000000000/User.Read',
    'urn:orders/read',
  ])('name a resource: %s', (scope) =>
    expect(settingsWith(withScope(scope)).frontEnds[0]?.apis[0]?.scopes).toEqual([scope]),
  )

  it.each([
    'orders.read',
    '/orders.read',
    '//orders.read',
    'api://orders.read',
    'api:///orders.read',
    'https://x/',
    'api:/read',
  ])('are refused without one: %s', (scope) =>
    expect(refusalsOf(withScope(scope))).toEqual(['Broker__FrontEnds[0].apis[0].scopes[0] names no resource']),
  )
})
