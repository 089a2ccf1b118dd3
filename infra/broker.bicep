metadata name = 'Certificate token broker'
metadata description = 'All that one broker needs, in one resource group. Deployable by itself; main.bicep adds the group.'

import { frontEnd, vaultAccess, isGuid, isProduction } from 'modules/types.bicep'

@description('Azure region. Flex Consumption must be there: `az functionapp list-flexconsumption-locations`.')
@minLength(1)
param location string = resourceGroup().location

@description('Name of the azd environment; part of every name and tag.')
@minLength(1)
@maxLength(64)
param environmentName string = 'broker-dev'

@description('Makes names unique; empty for one made of subscription and environment.')
@maxLength(13)
param resourceToken string = ''

@description('Tenant whose people sign in, by its GUID. AZURE_TENANT_ID, or BROKER_TENANT_ID where it is another one than that of the subscription.')
@maxLength(64)
param tenantId string = tenant().tenantId

@description('Application (client) id of the app registration. The hook makes it; or give one by BROKER_CLIENT_ID.')
@maxLength(64)
param clientId string = ''

@description('Object id of the same application (not of its service principal), for rolling the certificate. BROKER_APPLICATION_OBJECT_ID; empty where the broker is not to roll.')
@maxLength(64)
param applicationObjectId string = ''

@description('Front ends that may send people to the broker: one JSON array by docs/front-ends.schema.json, in BROKER_FRONT_ENDS.')
@maxLength(100)
param frontEnds frontEnd[] = []

@description('How the provider answers at /callback.')
param responseMode 'form_post' | 'query' = 'form_post'

@description('How long a person may take to sign in.')
@minValue(60)
@maxValue(3600)
param signInSeconds int = 900

@description('A session ends when it was not used for so long.')
@minValue(300)
@maxValue(86400)
param sessionIdleSeconds int = 3600

@description('A session ends so long after its sign-in.')
@minValue(600)
@maxValue(604800)
param sessionAbsoluteSeconds int = 43200

@description('How long an instance may answer from a session row that it has read; a sign-out elsewhere takes effect so much later.')
@minValue(0)
@maxValue(60)
param sessionCacheSeconds int = 0

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
var checkedClientId = isGuid(clientId) && clientId != '00000000-0000-0000-0000-000000000000'
  ? toLower(clientId)
  : fail('clientId (BROKER_CLIENT_ID) is not the GUID of an app registration. Run azd provision, whose hook makes one, or write the Application (client) ID of yours.')
var checkedTenantId = isGuid(tenantId) && tenantId != '00000000-0000-0000-0000-000000000000'
  ? toLower(tenantId)
  : fail('tenantId (AZURE_TENANT_ID or BROKER_TENANT_ID) is missing or no GUID. Write the Tenant ID from the overview page of Entra ID.')
var checkedObjectId = empty(applicationObjectId) || isGuid(applicationObjectId)
  ? toLower(applicationObjectId)
  : fail('applicationObjectId (BROKER_APPLICATION_OBJECT_ID) is not a GUID. Write the Object ID from the overview page of the app registration, or nothing.')
var checkedDeveloperIds = empty(developerIds) || !isProduction(environmentName) ? union(developerIds, []) : fail('developerIds (BROKER_DEVELOPER_IDS) would give people the permissions of the broker in an environment whose name says production. Remove it, or use another environment.')
var checkedIdleSeconds = sessionIdleSeconds <= sessionAbsoluteSeconds
  ? sessionIdleSeconds
  : fail('sessionIdleSeconds (BROKER_SESSION_IDLE_SECONDS) is longer than sessionAbsoluteSeconds. Write a shorter one.')
var checkedOtherAccess = vaultAuthorization == 'accessPolicies' || empty(otherVaultAccess)
  ? otherVaultAccess
  : fail('otherVaultAccess (BROKER_VAULT_ACCESS) is for access policies, and vaultAuthorization is rbac. Assign roles on the vault instead.')

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

var resourceTags = {
  'azd-env-name': environmentName
  application: 'certificate-token-broker'
}

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
      {
        AzureAd__Instance: environment().authentication.loginEndpoint
        AzureAd__TenantId: checkedTenantId
        AzureAd__ClientId: checkedClientId
        AzureAd__ClientCredentials__0__SourceType: 'KeyVault'
        AzureAd__ClientCredentials__0__KeyVaultUrl: vault.outputs.vaultUri
        AzureAd__ClientCredentials__0__KeyVaultCertificateName: certificateName
        Broker__FrontEnds: string(frontEnds)
        Broker__TableServiceUri: storage.outputs.tableEndpoint
        Broker__TablePrefix: tablePrefix
        Broker__WrappingKeyName: wrappingKeyName
        Broker__ResponseMode: responseMode
        Broker__SignInSeconds: string(signInSeconds)
        Broker__SessionIdleSeconds: string(checkedIdleSeconds)
        Broker__SessionAbsoluteSeconds: string(sessionAbsoluteSeconds)
        Broker__SessionCacheSeconds: string(sessionCacheSeconds)
      },
      empty(checkedObjectId) ? {} : { Broker__ApplicationObjectId: checkedObjectId }
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
