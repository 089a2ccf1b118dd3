/** Environment variables that switch checks off, and references that App Service did not resolve. */
import { describe, expect, it } from 'vitest'
import { localDefaults } from '../../../local/local-defaults.ts'
import { allDeclarations } from '../../../shared/settings/declarations.ts'
import { parseSettings } from '../../../shared/settings/settings.ts'
import { frontEnd, refusalsOf, settingsWith } from './environment.ts'
import type { Changes } from './environment.ts'

const unsafe: readonly (readonly [string, string])[] = [
  ['NODE_TLS_REJECT_UNAUTHORIZED', '0'],
  ...[
    '--insecure-http-parser',
    '--insecure_http_parser',
    '--max-old-space-size=512 --insecure-http-parser',
    '"--insecure-http-parser"',
    '--security-revert=CVE-2023-46809',
    '--use-openssl-ca',
    '--tls-min-v1.0',
    '--tls-min-v1.1',
    '--tls-cipher-list=DEFAULT@SECLEVEL=0',
    '--tls-cipher-list ALL:NULL',
    '--tls-keylog=keys.log',
    '--tls-keylog keys.log',
    '--trace-tls',
    '--inspect',
    '--inspect=0.0.0.0:9229',
    '--inspect-brk',
    '--inspect-wait',
    '--heapsnapshot-signal=SIGUSR2',
    '--heapsnapshot-near-heap-limit=2',
  ].map((options) => ['NODE_OPTIONS', options] as const),
  ...['http', 'HTTPS', 'net,http2', 'undici fs', '*', 'h*', 'fetch'].map((value) => ['NODE_DEBUG', value] as const),
  ['MSAL_FORCE_REGION', 'westeurope'],
  ['MSI_ENDPOINT', 'https://tokens.example/msi'],
  ['MSI_ENDPOINT', 'http://tokens.example/msi'],
  ['IMDS_ENDPOINT', 'http://10.0.0.1'],
  ['AZURE_POD_IDENTITY_AUTHORITY_HOST', 'http://tokens.example'],
]

const safe: readonly (readonly [string, string])[] = [
  ['NODE_TLS_REJECT_UNAUTHORIZED', '1'],
  ['NODE_OPTIONS', '--max-old-space-size=512 --enable-source-maps --tls-min-v1.3 --use-system-ca'],
  ['NODE_OPTIONS', '--require /agent.js --inspect-publish-uid=http --tls-cipher-list=TLS_AES_256_GCM_SHA384'],
  ['NODE_DEBUG', 'fs,timer'],
  ['NODE_EXTRA_CA_CERTS', '/etc/ssl/company.pem'],
  ['MSI_ENDPOINT', 'http://127.0.0.1:41741/msi/token/'],
  ['MSI_ENDPOINT', 'http://169.254.129.2:8081/msi/token'],
  ['AZURE_POD_IDENTITY_AUTHORITY_HOST', 'http://169.254.169.254'],
]

describe('a setting that switches off a check', () => {
  it.each(unsafe)('is refused with its name: %s=%s', (name, value) => {
    expect(refusalsOf({ [name]: value })).toEqual([expect.stringMatching(`^${name} `)])
  })

  it.each(unsafe)('is a warning where every part is on loopback: %s=%s', (name, value) => {
    const { warnings } = parseSettings({ ...localDefaults, [name]: value })

    expect(warnings.map(({ setting }) => setting)).toEqual([name])
  })

  it('is refused as soon as one part is outside loopback', () => {
    const elsewhere: Changes[] = [
      { Broker__BaseUrl: 'https://signin.example.com' },
      { AzureAd__Instance: 'https://login.microsoftonline.com/' },
      { AzureAd__ClientCredentials__0__KeyVaultUrl: 'https://contoso.vault.azure.net' },
      { Broker__TableServiceUri: 'https://contoso.table.core.windows.net' },
      { Broker__GraphUrl: 'https://graph.microsoft.com' },
    ]
    for (const changes of elsewhere) {
      const environment = { ...localDefaults, ...changes, NODE_TLS_REJECT_UNAUTHORIZED: '0' }
      expect(() => parseSettings(environment)).toThrow('NODE_TLS_REJECT_UNAUTHORIZED')
    }
  })

  it.each(safe)('is not confused with another: %s=%s', (name, value) => {
    expect(settingsWith({ [name]: value }).warnings).toEqual([])
  })
})

const reference = '@Microsoft.KeyVault(SecretUri=https://contoso.vault.azure.net/secrets/a/b)'

describe('a reference that was not resolved', () => {
  const refused = allDeclarations.filter(({ faultWarns, about }) => !faultWarns && about !== 'other providers')

  it.each(refused.map(({ name }) => name))('is reported as such in %s', (name) => {
    expect(refusalsOf({ [name]: reference })).toEqual([`${name} is a Key Vault reference that was not resolved`])
  })

  it.each([
    [reference.toLowerCase(), 'is a Key Vault reference'],
    [` ${reference}`, 'is a Key Vault reference'],
    ['@Microsoft.KeyVault(VaultName=contoso;SecretName=a)', 'is a Key Vault reference'],
    ['@Microsoft.AppConfiguration(Endpoint=https://a.azconfig.io; Key=b)', 'is an App Configuration reference'],
  ])('is recognised in every form: %s', (value, problem) => {
    expect(refusalsOf({ Broker__BaseUrl: value })).toEqual([expect.stringContaining(problem)])
  })

  it('names the place inside JSON, where App Service resolves none', () => {
    const frontEnds = JSON.stringify([{ ...frontEnd, origins: [frontEnd.origins[0], reference] }])

    expect(refusalsOf({ Broker__FrontEnds: frontEnds })).toEqual([
      'Broker__FrontEnds[0].origins[1] is a reference inside JSON, which App Service does not resolve',
    ])
  })

  it('repeats no part of the reference', () => {
    expect(() => settingsWith({ Broker__BaseUrl: reference })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('contoso.vault') as string }),
    )
  })
})
