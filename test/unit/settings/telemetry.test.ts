import { describe, expect, it } from 'vitest'
import { settingsWith, warningsOf } from './environment.ts'
import type { Changes } from './environment.ts'

const name = 'APPLICATIONINSIGHTS_CONNECTION_STRING'
const key = 'InstrumentationKey=3f1b6c2e-8a4d-4c57-9b0e-d2a7f5e81c90'
const byIdentity = { APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD' }
const connection = (rest: string) => ({ [name]: `${key};${rest}` })

describe('telemetry settings', () => {
  it.each([
    'IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;LiveEndpoint=https://westeurope.livediagnostics.monitor.azure.com/;ApplicationId=1',
    'IngestionEndpoint=https://usgovvirginia-1.in.applicationinsights.azure.us/;AADAudience=https://monitor.azure.us/',
    'IngestionEndpoint=https://dc.services.visualstudio.com',
    'EndpointSuffix=applicationinsights.us',
    'EndpointSuffix=applicationinsights.azure.cn;Location=chinanorth3',
    'IngestionEndpoint=https://localhost:7178/',
    'AadAudience=https://monitor.azure.com//.default',
    '',
  ])('permit tokens for an ingestion endpoint of an Azure cloud or on loopback: %s', (rest) => {
    const { telemetry, warnings } = settingsWith({ ...connection(rest), ...byIdentity })
    expect(telemetry).toEqual({ connectionString: `${key};${rest}`, managedIdentity: { clientId: undefined } })
    expect(warnings).toEqual([])
  })

  it.each([
    ['IngestionEndpoint=https://evil.example/', 'which would receive a token'],
    ['IngestionEndpoint=https://applicationinsights.azure.com.evil.example/', 'which would receive a token'],
    ['IngestionEndpoint=https://a.in.applicationinsights.azure.com@evil.example/', 'which would receive a token'],
    ['IngestionEndpoint=https://evil.example\\.in.applicationinsights.azure.com/', 'which would receive a token'],
    ['IngestionEndpoint=https://20.1.2.3/', 'which would receive a token'],
    ['EndpointSuffix=evil.example', 'which would receive a token'],
    ['EndpointSuffix=applicationinsights.azure.com;Location=evil.example/', 'which would receive a token'],
    ['AADAudience=https://vault.azure.net/.default', 'another service than Azure Monitor'],
    ['AADAudience=https://monitor.azure.com.evil.example', 'another service than Azure Monitor'],
  ])('send no token to another host: telemetry is off, with a warning: %s', (rest, problem) => {
    const changes = { ...connection(rest), ...byIdentity }

    expect(warningsOf(changes)).toEqual([expect.stringMatching(`^${name} .*${problem}$`)])
    expect(settingsWith(changes).telemetry).toBeUndefined()
    // With the instrumentation key alone, which is not a secret, it may be a proxy of the operator.
    expect(settingsWith(connection(rest)).telemetry).toMatchObject({ managedIdentity: undefined })
  })

  it('permit tokens for a host that Broker__AdditionalHosts adds', () => {
    const changes = { ...connection('IngestionEndpoint=https://in.newcloud.example/'), ...byIdentity }
    const added = { ...changes, Broker__AdditionalHosts: 'in.newcloud.example' }

    expect(settingsWith(changes).telemetry).toBeUndefined()
    expect(settingsWith(added).telemetry).toBeDefined()
  })

  it.each<[string, Changes, string]>([
    [
      'an instrumentation key of zeros',
      { [name]: `InstrumentationKey=${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}` },
      name,
    ],
    ['no instrumentation key', { [name]: 'IngestionEndpoint=https://dc.services.visualstudio.com' }, name],
    ['a placeholder', { [name]: '<connection string>' }, name],
    ['any other text', { [name]: 'on' }, name],
    ['a text of separators', { [name]: ';;=;' }, name],
    ['white space around it', { [name]: ` ${key}` }, name],
    [
      'an endpoint without TLS',
      connection('IngestionEndpoint=http://westeurope-5.in.applicationinsights.azure.com/'),
      name,
    ],
    ['an endpoint that is no URL', connection('IngestionEndpoint=westeurope'), name],
    ['a Key Vault reference', { [name]: '@Microsoft.KeyVault(SecretUri=https://a.vault.azure.net/secrets/b)' }, name],
    [
      'an unknown kind of authentication',
      { ...connection(''), APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=Key' },
      'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
    ],
    [
      'a client id that is no GUID',
      { ...connection(''), APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=me' },
      'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
    ],
    [
      'an empty client id',
      { ...connection(''), APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD;ClientId=' },
      'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
    ],
  ])('turn telemetry off with a warning, and leave the broker open, for %s', (_, changes, setting) => {
    const settings = settingsWith(changes)

    expect(settings.telemetry).toBeUndefined()
    expect(settings.warnings.map((warning) => warning.setting)).toEqual([setting])
  })
})
