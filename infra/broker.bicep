metadata name = 'Certificate token broker'
metadata description = 'All that one broker needs, in one resource group. Deployable by itself; main.bicep adds the group.'

import { frontEnd, tags, vaultAccess, isGuid, isProduction } from 'modules/types.bicep'

@description('Azure region. Flex Consumption must be there: `az functionapp list-flexconsumption-locations`.')
@minLength(1)
param location string = resourceGroup().location

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

// Bad values stop here, before anything is deployed: the name of the parameter, what is wrong, what to do.
var isEntra = !contains(brokerSettings, 'Broker__Authority')
var checkedClientId = !isEntra
  ? clientId
  : isGuid(clientId) && clientId != '00000000-0000-0000-0000-000000000000'
      ? toLower(clientId)
      : fail('clientId is not the GUID of an app registration. Run azd provision, whose hook creates one, or write the Application (client) ID of yours.')
// Empty values reach this place where azd compiles without a stored configuration.
var knownTenantId = empty(tenantId) ? tenant().tenantId : tenantId
var checkedTenantId = isGuid(knownTenantId) && knownTenantId != '00000000-0000-0000-0000-000000000000'
  ? toLower(knownTenantId)
  : fail('tenantId is no GUID. Write the Tenant ID from the overview page of Entra ID.')
var checkedObjectId = empty(applicationObjectId) || isGuid(applicationObjectId)
  ? toLower(applicationObjectId)
  : fail('applicationObjectId is not a GUID. Write the Object ID from the overview page of the app registration, or nothing.')
var checkedDeveloperIds = empty(developerIds) || !isProduction(environmentName) ? union(developerIds, []) : fail('developerIds would give developers the permissions of the broker in a production environment. Remove it, or use another environment.')
var checkedOtherAccess = vaultAuthorization == 'accessPolicies' || empty(otherVaultAccess)
  ? otherVaultAccess
  : fail('otherVaultAccess is for access policies, and vaultAuthorization is rbac. Assign roles on the vault instead.')

var token = empty(resourceToken)
  ? uniqueString(subscription().subscriptionId, resourceGroup().name, environmentName)
  : resourceToken

var names = {
  identity: 'id-broker-${token}'
  vault: empty(vaultName) ? 'kv-${token}' : vaultName
  storage: 'st${token}'
  packageContainer: 'package'
  deadLetterContainer: 'dead-letters'
  workspace: 'log-broker-${token}'
  component: 'appi-broker-${token}'
  plan: 'plan-broker-${token}'
  functionApp: 'func-broker-${token}'
  topic: 'evgt-broker-${token}'
  actionGroup: 'ag-broker-${token}'
}

var resourceTags = union(extraTags, {
  'azd-env-name': environmentName
  application: 'certificate-token-broker'
})

var tablePrefix = 'broker'
var tables = map(['sessions', 'states', 'codes', 'service'], table => '${tablePrefix}${table}')

module identity 'modules/identity.bicep' = {
  params: {
    name: names.identity
    location: location
    resourceTags: resourceTags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    retentionDays: logRetentionDays
    publisherPrincipalId: identity.outputs.principalId
    assignRoles: assignRoles
  }
}

module vault 'modules/vault.bicep' = {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    sku: vaultSku
    authorization: vaultAuthorization
    recover: recoverVault
    softDeleteDays: vaultSoftDeleteDays
    wrappingKeyName: wrappingKeyName
    brokerPrincipalId: identity.outputs.principalId
    developerIds: checkedDeveloperIds
    deployerId: principalId
    deployerType: principalType
    officerId: certificateOfficerId
    otherAccess: checkedOtherAccess
    deploymentPass: deploymentPass
    assignRoles: assignRoles
    workspaceName: names.workspace
  }
  dependsOn: [monitoring]
}

module storage 'modules/storage.bicep' = {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    tables: tables
    brokerPrincipalId: identity.outputs.principalId
    softDeleteDays: softDeleteDays
    assignRoles: assignRoles
  }
}

module functionApp 'modules/function-app.bicep' = {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    nodeVersion: nodeVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReadyInstances: alwaysReadyInstances
    identityClientId: identity.outputs.clientId
    blobEndpoint: storage.outputs.blobEndpoint
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    domain: domain
    brokerSettings: union(
      brokerSettings,
      isEntra
        ? {
            AzureAd__Instance: environment().authentication.loginEndpoint
            AzureAd__TenantId: checkedTenantId
          }
        : {},
      {
        AzureAd__ClientId: checkedClientId
        AzureAd__ClientCredentials__0__SourceType: 'KeyVault'
        AzureAd__ClientCredentials__0__KeyVaultUrl: vault.outputs.vaultUri
        AzureAd__ClientCredentials__0__KeyVaultCertificateName: certificateName
        Broker__FrontEnds: string(frontEnds)
        Broker__TableServiceUri: storage.outputs.tableEndpoint
        Broker__TablePrefix: tablePrefix
        Broker__WrappingKeyName: wrappingKeyName
      },
      empty(checkedObjectId) || !isEntra ? {} : { Broker__ApplicationObjectId: checkedObjectId }
    )
  }
}

module ownDomain 'modules/domain.bicep' = if (!empty(domain)) {
  params: {
    functionAppName: names.functionApp
    location: location
    resourceTags: resourceTags
    domain: domain
    isBound: domainIsBound
  }
  dependsOn: [functionApp]
}

module alerts 'modules/alerts.bicep' = {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    emails: alertEmails
    baseUrl: functionApp.outputs.baseUrl
    deploymentPass: deploymentPass
    webTestLocations: webTestLocations
  }
}

module events 'modules/events.bicep' = {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    certificateName: certificateName
    actionGroupId: alerts.outputs.actionGroupId
    deploymentPass: deploymentPass
    assignRoles: assignRoles
  }
}

@description('Where browsers reach the broker.')
output baseUrl string = functionApp.outputs.baseUrl

@description('Host name that Azure gives the app: what the CNAME of a domain points at.')
output defaultHostName string = functionApp.outputs.defaultHostName

@description('Name of the function app.')
output functionAppName string = names.functionApp

@description('Name of the vault.')
output vaultName string = names.vault

@description('Address of the vault.')
output vaultUrl string = vault.outputs.vaultUri

@description('Name of the certificate in the vault.')
output certificateName string = certificateName

@description('Client id of the identity of the broker.')
output identityClientId string = identity.outputs.clientId

@description('Object id of the identity of the broker.')
output identityPrincipalId string = identity.outputs.principalId
