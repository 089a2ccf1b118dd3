import { expect, it } from 'vitest'
import { composeParameters, encodeParameters } from '../../../infra/hooks/parameters.ts'
import { setTextsOf } from '../../../shared/settings/values.ts'
import { deployedSettings } from '../../../tools/certificate/deployed-settings.ts'

it('reads the settings of the deployed broker from the outputs and parameters that azd stores', () => {
  const configuration = { wrappingKeyName: 'ring', settings: { Broker__CertificateReadSeconds: 60 } }
  const discovered = {
    resourceToken: 'abc',
    tenantId: 'aaaaaaaa-0001-4000-8000-000000000001',
    clientId: 'aaaaaaaa-0001-4000-8000-000000000002',
    applicationObjectId: 'aaaaaaaa-0001-4000-8000-000000000003',
    principalId: 'aaaaaaaa-0001-4000-8000-000000000004',
    principalType: 'User' as const,
    deploymentPass: 'second' as const,
    domainIsBound: false,
    cloudName: undefined,
  }

  const settings = deployedSettings({
    BROKER_VAULT_URL: 'https://kv-abc.vault.azure.net/',
    BROKER_CERTIFICATE_NAME: 'broker',
    BROKER_TABLE_SERVICE_URI: 'https://stabc.table.core.windows.net/',
    BROKER_PARAMETERS: encodeParameters(composeParameters(configuration, discovered)),
  })

  expect(settings).toEqual({
    AzureAd__ClientCredentials__0__KeyVaultUrl: 'https://kv-abc.vault.azure.net/',
    AzureAd__ClientCredentials__0__KeyVaultCertificateName: 'broker',
    AzureAd__ClientId: 'aaaaaaaa-0001-4000-8000-000000000002',
    Broker__TableServiceUri: 'https://stabc.table.core.windows.net/',
    Broker__ApplicationObjectId: 'aaaaaaaa-0001-4000-8000-000000000003',
    Broker__WrappingKeyName: 'ring',
    Broker__CertificateReadSeconds: '60',
  })
})

it.each([[undefined], ['not Base64 of JSON']])('reads nothing from BROKER_PARAMETERS %j', (BROKER_PARAMETERS) => {
  expect(setTextsOf(deployedSettings({ BROKER_PARAMETERS })).size).toBe(0)
})
