import { describe, expect, it } from 'vitest'
import { refusalsOf, settingsWith } from './environment.ts'

const key = 'InstrumentationKey=3f1b6c2e-8a4d-4c57-9b0e-d2a7f5e81c90'
const byIdentity = { APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'Authorization=AAD' }
const connection = (rest: string) => ({ APPLICATIONINSIGHTS_CONNECTION_STRING: `${key};${rest}` })

describe('where telemetry goes', () => {
  it.each([
    'IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/;LiveEndpoint=https://westeurope.livediagnostics.monitor.azure.com/;ApplicationId=1',
    'IngestionEndpoint=https://usgovvirginia-1.in.applicationinsights.azure.us/;AADAudience=https://monitor.azure.us/',
    'IngestionEndpoint=https://dc.services.visualstudio.com',
    'EndpointSuffix=applicationinsights.us',
    'EndpointSuffix=applicationinsights.azure.cn;Location=chinanorth3',
    'IngestionEndpoint=https://localhost:7178/',
    'AadAudience=https://monitor.azure.com//.default',
    '',
  ])('may have a token where it is of an Azure cloud or of loopback: %s', (rest) => {
    const { telemetry } = settingsWith({ ...connection(rest), ...byIdentity })
    expect(telemetry).toEqual({ connectionString: `${key};${rest}`, managedIdentity: { clientId: undefined } })
  })

  it.each([
    ['IngestionEndpoint=https://evil.example/', 'a token would go there'],
    ['IngestionEndpoint=https://applicationinsights.azure.com.evil.example/', 'a token would go there'],
    ['IngestionEndpoint=https://a.in.applicationinsights.azure.com@evil.example/', 'a token would go there'],
    ['IngestionEndpoint=https://evil.example\\.in.applicationinsights.azure.com/', 'a token would go there'],
    ['IngestionEndpoint=https://20.1.2.3/', 'a token would go there'],
    ['EndpointSuffix=evil.example', 'a token would go there'],
    ['EndpointSuffix=applicationinsights.azure.com;Location=evil.example/', 'a token would go there'],
    ['AADAudience=https://vault.azure.net/.default', 'something else than Azure Monitor'],
    ['AADAudience=https://monitor.azure.com.evil.example', 'something else than Azure Monitor'],
  ])('has no token, and none for anything else: %s', (rest, problem) => {
    expect(refusalsOf({ ...connection(rest), ...byIdentity })).toEqual([
      expect.stringMatching(`^APPLICATIONINSIGHTS_CONNECTION_STRING .*${problem}$`),
    ])
    // By the key alone, which is no secret, it may be a proxy of one's own.
    expect(settingsWith(connection(rest)).telemetry?.managedIdentity).toBeUndefined()
  })

  it('is https in any case', () => {
    expect(refusalsOf(connection('IngestionEndpoint=http://westeurope-5.in.applicationinsights.azure.com/'))).toEqual([
      'APPLICATIONINSIGHTS_CONNECTION_STRING names an ingestion endpoint that is not https',
    ])
  })
})
