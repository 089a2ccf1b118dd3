metadata name = 'Certificate token broker, whole'
metadata description = 'The resource group and the broker in it: what azd deploys.'

targetScope = 'subscription'

import { frontEnd, tags, vaultAccess } from 'modules/types.bicep'

@description('Name of the resource group; empty for one made of the name of the environment.')
@maxLength(90)
param resourceGroupName string = ''

@description('Azure region. Flex Consumption must be there: `az functionapp list-flexconsumption-locations`.')
@minLength(1)
param location string = deployment().location

@description('Name of the azd environment; part of every name and tag.')
@minLength(1)
@maxLength(64)
param environmentName string = 'broker-dev'

@description('Makes names unique; empty for one that is derived from subscription and environment.')
@maxLength(13)
param resourceToken string = ''

@description('GUID of the tenant whose people sign in; empty for the tenant of the subscription.')
@maxLength(64)
param tenantId string = ''

@description('Application (client) id of the app registration, or the client id at another provider.')
@maxLength(64)
param clientId string = ''

@description('Object id of the same app registration (not of its service principal). Empty: the broker registers no certificate at Graph.')
@maxLength(64)
param applicationObjectId string = ''

@description('Front ends that may send people to the broker, by docs/front-ends.schema.json.')
@maxLength(100)
param frontEnds frontEnd[] = []

@description('App settings of the broker that no other parameter sets, by the names of docs/settings.md. The values that the template itself sets win. No secrets.')
param brokerSettings tags = {}

@description('Tags of every resource, beside those of the template.')
param extraTags tags = {}

@description('first: all but what needs the deployed code; second: that too. The hook decides.')
param deploymentPass 'first' | 'second' = 'first'

@description('Major version of Node; which ones a region has: `az functionapp list-flexconsumption-runtimes`.')
param nodeVersion '22' | '24' = '22'

@description('Memory of an instance in MB.')
param instanceMemoryMB 512 | 2048 | 4096 = 2048

@description('The most instances of the app.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('Instances that are always ready for HTTP; each is billed while idle. 1 or 2 in production.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int = 0

@description('Domain of its own, without https://; empty for the default host name. Its DNS records must be there.')
@maxLength(253)
param domain string = ''

@description('Whether the domain is bound to the app already. The hook finds out.')
param domainIsBound bool = false

@description('How permissions in the vault are given: by access policies, or by roles with the same reach.')
param vaultAuthorization 'accessPolicies' | 'rbac' = 'accessPolicies'

@description('Name of the vault; empty for one made of the token. Names of deleted vaults stay taken.')
@maxLength(24)
param vaultName string = ''

@description('Software keys (standard) or HSM keys (premium).')
param vaultSku 'standard' | 'premium' = 'standard'

@description('Brings back the deleted vault that holds the name.')
param recoverVault bool = false

@description('Days that the deleted vault can be brought back and its name stays taken. Can\'t be changed later.')
@minValue(7)
@maxValue(90)
param vaultSoftDeleteDays int = 90

@description('Name of the certificate in the vault.')
@minLength(1)
@maxLength(127)
param certificateName string = 'broker'

@description('Name of the key in the vault that wraps the key ring.')
@minLength(1)
@maxLength(127)
param wrappingKeyName string = 'broker-key-ring'

@description('Object id of who deploys; makes the certificate in the first pass. Empty for nobody.')
@maxLength(64)
param principalId string = ''

@description('What the deploying identity is.')
param principalType 'User' | 'Group' | 'ServicePrincipal' = 'User'

@description('Object id of who may make and change certificates for good. Empty for nobody.')
@maxLength(64)
param certificateOfficerId string = ''

@description('Object ids of developers (or of a group of them), who get what the broker has in the vault. Not in production.')
@maxLength(50)
param developerIds string[] = []

@description('Other people\'s entries in the vault, which a deployment would otherwise remove: JSON, access policies only.')
@maxLength(100)
param otherVaultAccess vaultAccess[] = []

@description('Whether the template makes the role assignments; false where somebody else must. The hook then prints them.')
param assignRoles bool = true

@description('Mail addresses that get the alerts.')
@maxLength(20)
param alertEmails string[] = []

@description('Regions that the web test asks from, by their names in Application Insights.')
@minLength(3)
@maxLength(16)
param webTestLocations string[] = ['emea-nl-ams-azr', 'us-va-ash-azr', 'apac-sg-sin-azr']

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Days that deleted blobs and containers can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: empty(resourceGroupName) ? 'rg-${environmentName}' : resourceGroupName
  location: location
  tags: union(extraTags, {
    'azd-env-name': environmentName
    application: 'certificate-token-broker'
  })
}

module broker 'broker.bicep' = {
  scope: group
  params: {
    location: location
    environmentName: environmentName
    resourceToken: resourceToken
    tenantId: tenantId
    clientId: clientId
    applicationObjectId: applicationObjectId
    frontEnds: frontEnds
    brokerSettings: brokerSettings
    extraTags: extraTags
    deploymentPass: deploymentPass
    nodeVersion: nodeVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReadyInstances: alwaysReadyInstances
    domain: domain
    domainIsBound: domainIsBound
    vaultAuthorization: vaultAuthorization
    vaultName: vaultName
    vaultSku: vaultSku
    recoverVault: recoverVault
    vaultSoftDeleteDays: vaultSoftDeleteDays
    certificateName: certificateName
    wrappingKeyName: wrappingKeyName
    principalId: principalId
    principalType: principalType
    certificateOfficerId: certificateOfficerId
    developerIds: developerIds
    otherVaultAccess: otherVaultAccess
    assignRoles: assignRoles
    alertEmails: alertEmails
    webTestLocations: webTestLocations
    logRetentionDays: logRetentionDays
    softDeleteDays: softDeleteDays
  }
}

@description('Name of the resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Where browsers reach the broker.')
output BROKER_BASE_URL string = broker.outputs.baseUrl

@description('Host name that Azure gives the app: what the CNAME of a domain points at.')
output BROKER_DEFAULT_HOST_NAME string = broker.outputs.defaultHostName

@description('Name of the function app.')
output BROKER_FUNCTION_APP_NAME string = broker.outputs.functionAppName

@description('Name of the vault.')
output BROKER_VAULT_NAME string = broker.outputs.vaultName

@description('Address of the vault.')
output BROKER_VAULT_URL string = broker.outputs.vaultUrl

@description('Name of the certificate in the vault.')
output BROKER_CERTIFICATE_NAME string = broker.outputs.certificateName

@description('Client id of the identity of the broker.')
output BROKER_IDENTITY_CLIENT_ID string = broker.outputs.identityClientId

@description('Object id of the identity of the broker.')
output BROKER_IDENTITY_PRINCIPAL_ID string = broker.outputs.identityPrincipalId
