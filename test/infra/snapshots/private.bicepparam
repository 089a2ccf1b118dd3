// The private network behind Front Door. Every parameter with a default has another value than its default.
using '../../../infra/main.bicep'

param location = 'westeurope'
param tenantId = 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55'
param clientId = '0c7d3f52-2a54-4b5e-8c0e-5a1f6d9be310'
param applicationObjectId = '5d2f8c1e-7a3b-4e6d-9f10-2b4c6d8e0a12'
param principalId = '8a4c2e60-1b3d-4f5a-8c7e-9d0b1a2c3e4f'
param resourceToken = 'k7m2p4q6r8s3t'
param environmentName = 'shop-dev'
param resourceGroupName = 'signin'
param frontEnds = [
  {
    id: 'spa'
    kind: 'session'
    origins: ['https://app.example.com']
    apis: [
      {
        name: 'orders'
        scopes: ['api://orders/orders.read']
      }
    ]
  }
]
param brokerSettings = {
  Broker__ResponseMode: 'query'
  Broker__SignInSeconds: '600'
  Broker__SessionIdleSeconds: '1800'
  Broker__SessionAbsoluteSeconds: '28800'
  Broker__SessionCacheSeconds: '5'
}
param extraTags = {
  costCenter: 'identity'
}
param deploymentPass = 'second'
param nodeVersion = '24'
param instanceMemoryMB = 512
param maximumInstances = 60
param alwaysReadyInstances = 2
param vaultAuthorization = 'accessPolicies'
param vaultName = 'contoso-signin'
param vaultSku = 'premium'
param vaultSoftDeleteDays = 30
param certificateName = 'signin'
param wrappingKeyName = 'signin-ring'
param principalType = 'ServicePrincipal'
param certificateOfficerId = '1f3e5d7c-9b8a-4c6e-8d0f-2a4b6c8d0e1f'
param developerIds = [
  '2b4d6f80-1a3c-4e5f-9071-8a9b0c1d2e3f'
]
param otherVaultAccess = [
  {
    objectId: '3c5e7f91-2b4d-4f60-8182-9bacbdcedfe0'
    certificates: ['get', 'list']
  }
]
param assignRoles = true
param alertEmails = ['operations@example.com']
param webTestLocations = ['emea-nl-ams-azr', 'emea-gb-db3-azr', 'emea-se-sto-edge', 'us-va-ash-azr']
param logRetentionDays = 90
param softDeleteDays = 14
param alertActionGroupIds = [
  '/subscriptions/aaaaaaaa-1111-4111-8111-111111111111/resourceGroups/operations/providers/Microsoft.Insights/actionGroups/on-call'
]
param auditTableReads = false
param network = 'private'
param networkAddressPrefix = '10.20.0.0/23'
param vaultAllowedAddresses = ['203.0.113.7', '198.51.100.0/24']
param frontDoor = {
  id: '7c9e2b1a-4d5f-4e6a-8b0c-1d2e3f405162'
  domain: 'signin.example.com'
}
param baseUrl = 'https://signin.example.com/auth'
param zoneRedundant = true
param lockResources = true
param budget = {
  amount: 200
  startDate: '2026-11-01'
}
param updateStrategy = 'RollingUpdate'
param cloudName = 'AzureCloud'
