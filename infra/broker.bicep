metadata name = 'Certificate token broker'
metadata description = 'All resources of one broker in one resource group. It can be deployed alone; main.bicep creates the group too.'

import {
  appSettings
  frontDoorOrigin
  frontEnd
  monthlyBudget
  tags
  vaultAccess
  isGuid
  isProduction
} from 'modules/types.bicep'

@description('Azure region. The region must offer Flex Consumption: `az functionapp list-flexconsumption-locations`.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string = resourceGroup().location

@description('Name of the azd environment. It is part of the resource names and of the tag azd-env-name.')
@minLength(1)
@maxLength(64)
param environmentName string = 'broker-dev'

@description('Suffix that makes resource names unique. If empty, the template derives it from subscription, resource group and environment.')
@maxLength(13)
param resourceToken string = ''

@description('Tenant of the people who sign in, as a GUID. If empty, the tenant of the subscription. organizations or common for people of many tenants.')
@maxLength(64)
param tenantId string = ''

@description('Application (client) id of the app registration, or the client id at another provider. The hook creates the registration if there is none.')
@maxLength(64)
param clientId string = ''

@description('Object id of the same application (not of its service principal). The broker needs it to renew its certificate; if empty, it does not renew.')
@maxLength(64)
param applicationObjectId string = ''

@description('Front ends that may use the broker: an array that follows docs/front-ends.schema.json.')
@maxLength(100)
param frontEnds frontEnd[] = []

@description('Settings of the broker by name, as docs/settings.md lists them: Broker__Authority, Broker__SessionIdleSeconds and so on. Not those that the template computes.')
param brokerSettings appSettings = {}

@description('first: everything except the resources that need the deployed code. second: those too. The hook sets it.')
param deploymentPass 'first' | 'second' = 'first'

@description('Major version of Node. `az functionapp list-flexconsumption-runtimes --location <region> --runtime node` lists the versions of a region.')
param nodeVersion '22' | '24' = '22'

@description('Memory of an instance in MB.')
param instanceMemoryMB 512 | 2048 | 4096 = 2048

@description('Upper limit of on-demand instances of each group of functions. It also limits the costs of an hour: see docs/deploy.md.')
@minValue(40)
@maxValue(1000)
param maximumInstances int = 40

@description('HTTP instances that are always running and are billed while idle. 2 in production.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int = 0

@description('Custom domain of the app, without https://. If empty, the default host name. Its DNS records must exist.')
@maxLength(253)
param domain string = ''

@description('Address of the broker where another server forwards requests to it, with its path: https://app.example.com/auth. If empty, the domain.')
@maxLength(200)
param baseUrl string = ''

@description('True if the custom domain is already bound to the app. The hook sets it.')
param domainIsBound bool = false

@description('Permission model of the vault: access policies, or custom roles with the same permissions.')
param vaultAuthorization 'accessPolicies' | 'rbac' = 'accessPolicies'

@description('Name of the vault. If empty, the template derives it from the suffix. The name of a deleted vault stays reserved.')
@maxLength(24)
param vaultName string = ''

@description('SKU of the vault: standard for software keys, premium for HSM keys.')
param vaultSku 'standard' | 'premium' = 'standard'

@description('Days for which a deleted vault can be recovered and its name stays reserved. Cannot be changed later.')
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

@description('Object id of the deploying identity, which creates the certificate in the first pass. If empty, the template grants it nothing.')
@maxLength(64)
param principalId string = ''

@description('Type of the deploying identity.')
param principalType 'User' | 'Group' | 'ServicePrincipal' = 'User'

@description('Object id of the certificate officer, who may always create certificates and change their policy. If empty, there is none.')
@maxLength(64)
param certificateOfficerId string = ''

@description('Object ids of developers or of their group. They get the permissions of the broker in the vault. Refused in production.')
@maxLength(50)
param developerIds string[] = []

@description('Access policies of other people and applications in the vault. A deployment removes every entry that it does not list. Access policies only.')
@maxLength(100)
param otherVaultAccess vaultAccess[] = []

@description('True if the template creates the role assignments. If false, the hook prints them as commands for an administrator.')
param assignRoles bool = true

@description('Mail addresses that receive the alerts.')
@maxLength(20)
param alertEmails string[] = []

@description('Existing action groups that receive the alerts too, by their resource ids.')
@maxLength(4)
param alertActionGroupIds string[] = []

@description('Regions that send the requests of the web test, by their names in Application Insights.')
@minLength(3)
@maxLength(16)
param webTestLocations string[] = ['emea-nl-ams-azr', 'us-va-ash-azr', 'apac-sg-sin-azr']

@description('Retention of the logs in days.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Days for which deleted blobs and containers can be restored.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@description('True to log reads of the tables too, so that the alert for other identities sees them. The log grows with every session read.')
param auditTableReads bool = true

@description('Tags of your own for every resource. The tags azd-env-name and application belong to the template. The wrapping key and private DNS zones get the first 15 by name.')
param extraTags tags = {}

@description('public: Key Vault and storage accept requests from any network. private: the app joins a virtual network, and Key Vault and storage are reachable through private endpoints only.')
param network 'public' | 'private' = 'public'

@description('Address range of the virtual network that the template creates, /25 or larger.')
@minLength(9)
@maxLength(18)
param networkAddressPrefix string = '10.140.0.0/24'

@description('Existing subnet for the app, by its resource id: delegated to Microsoft.App/environments, /27 or larger, no underscore in its name. If empty, the template creates a virtual network.')
@maxLength(500)
param appSubnetId string = ''

@description('Existing subnet for the private endpoints, by its resource id. Required with appSubnetId.')
@maxLength(500)
param endpointSubnetId string = ''

@description('True if the template creates the private DNS zones. False if a policy or a central team registers private endpoints in DNS.')
param createDnsZones bool = true

@description('IPv4 addresses or CIDR ranges that may reach the vault from outside the private network, for the deployment\'s own machine.')
@maxLength(20)
param vaultAllowedAddresses string[] = []

@description('Front Door in front of the app: its id and the domain that browsers use. The app then accepts requests from this Front Door only.')
param frontDoor frontDoorOrigin?

@description('True to spread app and storage over availability zones. Choose it before the first deployment; the region must support it.')
param zoneRedundant bool = false

@description('True to protect the vault and the storage accounts from deletion by locks. Needs the right to write locks.')
param lockResources bool = false

@description('Monthly budget of the resource group with alerts at 80 % of the forecast and 100 % of the costs.')
param budget monthlyBudget?

@description('Recreate: an update restarts all instances. RollingUpdate: an update replaces them in batches. Not every region has it.')
param updateStrategy 'Recreate' | 'RollingUpdate' = 'Recreate'

@description('Name of the Azure cloud.')
@maxLength(64)
param cloudName string = environment().name

// Bad values stop the deployment here, before it starts. The message names the parameter, the problem and the fix.
var usesOtherProvider = contains(brokerSettings, 'Broker__Authority')
var computedSettings = [
  'azuread__clientcredentials__0__sourcetype'
  'azuread__clientcredentials__0__keyvaulturl'
  'azuread__clientcredentials__0__keyvaultcertificatename'
  'azuread__clientid'
  'azuread__tenantid'
  'broker__applicationobjectid'
  'broker__baseurl'
  'broker__frontends'
  'broker__tableserviceuri'
  'broker__tableprefix'
  'broker__wrappingkeyname'
  'azure_client_id'
  'applicationinsights_connection_string'
  'applicationinsights_authentication_string'
]
// Flex Consumption refuses these, or they replace the access by identity.
var hostSettings = [
  'functions_worker_runtime'
  'functions_extension_version'
  'scm_do_build_during_deployment'
  'enable_oryx_build'
  'tz'
]
var refusedSettings = filter(
  objectKeys(brokerSettings),
  name =>
    contains(computedSettings, toLower(name)) || contains(hostSettings, toLower(name)) || startsWith(
      toLower(name),
      'azurewebjobs'
    ) || startsWith(toLower(name), 'website_')
)
var checkedSettings = empty(refusedSettings)
  ? brokerSettings
  : fail('brokerSettings contains ${join(refusedSettings, ', ')}: the template computes these settings, or Flex Consumption refuses them. Remove them and use the parameter of that name instead.')
var checkedClientId = usesOtherProvider
  ? clientId
  : isGuid(clientId) && clientId != '00000000-0000-0000-0000-000000000000'
      ? toLower(clientId)
      : fail('clientId is not the GUID of an app registration. Run azd provision, whose hook creates one, or write the Application (client) ID of yours.')
var checkedTenantId = empty(tenantId)
  ? tenant().tenantId
  : contains(['organizations', 'common'], toLower(tenantId)) || (isGuid(tenantId) && tenantId != '00000000-0000-0000-0000-000000000000')
      ? toLower(tenantId)
      : fail('tenantId is not a GUID. Write the Tenant ID from the overview page of Entra ID, or nothing for the tenant of the subscription.')
var checkedObjectId = empty(applicationObjectId) || isGuid(applicationObjectId)
  ? toLower(applicationObjectId)
  : fail('applicationObjectId is not a GUID. Write the Object ID from the overview page of the app registration, or nothing.')
var checkedDeveloperIds = empty(developerIds) || !isProduction(environmentName) ? union(developerIds, []) : fail('developerIds would give people the permissions of the broker, and the name of the environment says production. Remove it, or use another environment.')
var checkedOtherAccess = vaultAuthorization == 'accessPolicies' || empty(otherVaultAccess)
  ? otherVaultAccess
  : fail('otherVaultAccess is for access policies, and vaultAuthorization is rbac. Assign roles on the vault instead.')
var checkedFrontDoor = frontDoor == null
  ? null
  : !isGuid(frontDoor!.id)
      ? fail('frontDoor.id is not a GUID. Write the Front Door ID from the overview page of the Front Door profile.')
      : contains(frontDoor!.domain, '/')
          ? fail('frontDoor.domain is not a domain name. Write the name alone, without https:// and path: signin.example.com.')
          : empty(domain)
              ? frontDoor
              : fail('domain and frontDoor are both set. Behind Front Door the domain belongs to Front Door: write it as frontDoor.domain and remove domain.')
var checkedBaseUrl = empty(baseUrl) || (startsWith(baseUrl, 'https://') && !endsWith(baseUrl, '/'))
  ? empty(baseUrl) || empty(domain)
      ? baseUrl
      : fail('domain and baseUrl are both set. Where another server forwards to the broker, it has the domain: remove domain.')
  : fail('baseUrl is not an https address without a slash at its end. Write it such as https://app.example.com/auth.')
var ownSubnets = empty(appSubnetId) == empty(endpointSubnetId)
  ? !empty(appSubnetId)
  : fail('appSubnetId and endpointSubnetId belong together. Write both, or neither to create a virtual network.')
// Flex Consumption refuses a subnet with an underscore in its name, with an error that does not mention it.
var checkedAppSubnetId = contains(last(split(appSubnetId, '/')), '_')
  ? fail('appSubnetId names a subnet with an underscore, which Flex Consumption refuses. Use a subnet with another name.')
  : appSubnetId
// Two subnets of /26 must fit.
var checkedAddressPrefix = int(last(split(networkAddressPrefix, '/'))) <= 25
  ? networkAddressPrefix
  : fail('networkAddressPrefix is too small for the two subnets. Write a range of /25 or larger, such as 10.140.0.0/24.')
var checkedBudget = endsWith(budget.?startDate ?? '-01', '-01')
  ? budget
  : fail('budget.startDate is not the first day of a month. Write the month in which the budget starts, such as 2026-11-01.')
var isPrivate = network == 'private'
  ? true
  : ownSubnets
      ? fail('appSubnetId is set, and network is public. Write private for network, or remove the subnets.')
      : empty(vaultAllowedAddresses)
          ? false
          : fail('vaultAllowedAddresses is set, and network is public, where every address is allowed. Write private for network, or remove it.')

var token = empty(resourceToken)
  ? uniqueString(subscription().subscriptionId, resourceGroup().name, environmentName)
  : resourceToken

var names = {
  identity: 'id-broker-${token}'
  hostIdentity: 'id-broker-host-${token}'
  vault: empty(vaultName) ? 'kv-${token}' : vaultName
  storage: 'st${token}'
  packageStorage: 'stpkg${token}'
  packageContainer: 'package'
  deadLetterContainer: 'dead-letters'
  workspace: 'log-broker-${token}'
  component: 'appi-broker-${token}'
  plan: 'plan-broker-${token}'
  functionApp: 'func-broker-${token}'
  topic: 'evgt-broker-${token}'
  actionGroup: 'ag-broker-${token}'
  network: 'vnet-broker-${token}'
  natGateway: 'ng-broker-${token}'
  budget: 'budget-broker-${token}'
}

var resourceTags = union(extraTags, {
  'azd-env-name': environmentName
  application: 'certificate-token-broker'
})

var tablePrefix = 'broker'
var tables = map(['sessions', 'states', 'codes', 'service'], table => '${tablePrefix}${table}')

var createsNetwork = isPrivate && !ownSubnets
var appSubnet = createsNetwork
  ? resourceId('Microsoft.Network/virtualNetworks/subnets', names.network, 'app')
  : checkedAppSubnetId
var endpointSubnet = createsNetwork
  ? resourceId('Microsoft.Network/virtualNetworks/subnets', names.network, 'endpoints')
  : endpointSubnetId

// In Azure China, Resource Manager names an older host, which no token names as its issuer and the broker refuses.
var loginEndpoint = replace(
  environment().authentication.loginEndpoint,
  'login.chinacloudapi.cn',
  'login.partner.microsoftonline.cn'
)
var identityProviderSettings = usesOtherProvider
  ? {}
  : union(
      {
        AzureAd__Instance: loginEndpoint
        AzureAd__TenantId: checkedTenantId
      },
      empty(checkedObjectId) ? {} : { Broker__ApplicationObjectId: checkedObjectId }
    )

module identities 'modules/identity.bicep' = {
  params: {
    names: names
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
    publisherPrincipalId: identities.outputs.principalId
    assignRoles: assignRoles
  }
}

module virtualNetwork 'modules/network.bicep' = if (createsNetwork) {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    addressPrefix: checkedAddressPrefix
  }
}

module vault 'modules/vault.bicep' = {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    sku: vaultSku
    authorization: vaultAuthorization
    softDeleteDays: vaultSoftDeleteDays
    wrappingKeyName: wrappingKeyName
    brokerPrincipalId: identities.outputs.principalId
    developerIds: checkedDeveloperIds
    deployerId: principalId
    deployerType: principalType
    officerId: certificateOfficerId
    otherAccess: checkedOtherAccess
    deploymentPass: deploymentPass
    assignRoles: assignRoles
    isPrivate: isPrivate
    allowedAddresses: vaultAllowedAddresses
    lockResources: lockResources
  }
  dependsOn: [monitoring]
}

module storage 'modules/storage.bicep' = {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    tables: tables
    brokerPrincipalId: identities.outputs.principalId
    hostPrincipalId: identities.outputs.hostPrincipalId
    softDeleteDays: softDeleteDays
    auditTableReads: auditTableReads
    isPrivate: isPrivate
    zoneRedundant: zoneRedundant
    lockResources: lockResources
    assignRoles: assignRoles
  }
  dependsOn: [monitoring]
}

module privateEndpoints 'modules/private-endpoints.bicep' = if (isPrivate) {
  params: {
    names: names
    location: location
    resourceTags: resourceTags
    subnetId: endpointSubnet
    networkId: first(split(endpointSubnet, '/subnets/'))
    createDnsZones: createDnsZones
  }
  dependsOn: [virtualNetwork, vault, storage]
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
    zoneRedundant: zoneRedundant
    updateStrategy: updateStrategy
    identityClientId: identities.outputs.clientId
    hostIdentityClientId: identities.outputs.hostClientId
    packageEndpoint: storage.outputs.packageEndpoint
    hostStorage: {
      blob: storage.outputs.blobEndpoint
      queue: storage.outputs.queueEndpoint
      table: storage.outputs.tableEndpoint
    }
    isPublicCloud: cloudName == 'AzureCloud'
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    domain: domain
    baseUrl: checkedBaseUrl
    frontDoor: checkedFrontDoor
    subnetId: appSubnet
    brokerSettings: union(identityProviderSettings, checkedSettings, {
      AzureAd__ClientId: checkedClientId
      AzureAd__ClientCredentials__0__SourceType: 'KeyVault'
      AzureAd__ClientCredentials__0__KeyVaultUrl: vault.outputs.vaultUri
      AzureAd__ClientCredentials__0__KeyVaultCertificateName: certificateName
      Broker__FrontEnds: string(frontEnds)
      Broker__TableServiceUri: storage.outputs.tableEndpoint
      Broker__TablePrefix: tablePrefix
      Broker__WrappingKeyName: wrappingKeyName
    })
  }
  // The app reads its package when it starts, so the private way to it must exist before.
  dependsOn: [virtualNetwork, privateEndpoints]
}

module customDomain 'modules/domain.bicep' = if (!empty(domain)) {
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
    otherActionGroupIds: alertActionGroupIds
    baseUrl: functionApp.outputs.baseUrl
    brokerPrincipalId: identities.outputs.principalId
    hostPrincipalId: identities.outputs.hostPrincipalId
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
    actionGroupIds: alerts.outputs.actionGroupIds
    deploymentPass: deploymentPass
    assignRoles: assignRoles
  }
}

module costs 'modules/budget.bicep' = if (budget != null) {
  params: {
    names: names
    budget: checkedBudget!
    actionGroupIds: alerts.outputs.actionGroupIds
    emails: alertEmails
  }
}

@description('Public address of the broker.')
output baseUrl string = functionApp.outputs.baseUrl

@description('Default host name of the app: the target of the CNAME of a custom domain.')
output defaultHostName string = functionApp.outputs.defaultHostName

@description('Name of the function app.')
output functionAppName string = names.functionApp

@description('Name of the vault.')
output vaultName string = names.vault

@description('URL of the vault.')
output vaultUrl string = vault.outputs.vaultUri

@description('Name of the certificate in the vault.')
output certificateName string = certificateName

@description('URL of the table service that stores the sessions.')
output tableServiceUri string = storage.outputs.tableEndpoint

@description('Client id of the managed identity of the broker.')
output identityClientId string = identities.outputs.clientId

@description('Object id of the managed identity of the broker.')
output identityPrincipalId string = identities.outputs.principalId

@description('Object id of the managed identity of the host, which owns the package and the blobs of the host.')
output hostIdentityPrincipalId string = identities.outputs.hostPrincipalId
