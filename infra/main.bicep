metadata name = 'Certificate token broker with its resource group'
metadata description = 'The template that azd deploys: a resource group and the broker in it.'

targetScope = 'subscription'

import { appSettings, frontDoorOrigin, frontEnd, monthlyBudget, tags, vaultAccess } from 'modules/types.bicep'

@description('Name of the resource group. If empty, rg- and the name of the environment.')
@maxLength(90)
param resourceGroupName string = ''

@description('Azure region. The region must offer Flex Consumption: `az functionapp list-flexconsumption-locations`.')
@metadata({
  azd: {
    type: 'location'
  }
})
param location string = deployment().location

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
    deploymentPass: deploymentPass
    nodeVersion: nodeVersion
    instanceMemoryMB: instanceMemoryMB
    maximumInstances: maximumInstances
    alwaysReadyInstances: alwaysReadyInstances
    domain: domain
    baseUrl: baseUrl
    domainIsBound: domainIsBound
    vaultAuthorization: vaultAuthorization
    vaultName: vaultName
    vaultSku: vaultSku
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
    alertActionGroupIds: alertActionGroupIds
    webTestLocations: webTestLocations
    logRetentionDays: logRetentionDays
    softDeleteDays: softDeleteDays
    auditTableReads: auditTableReads
    extraTags: extraTags
    network: network
    networkAddressPrefix: networkAddressPrefix
    appSubnetId: appSubnetId
    endpointSubnetId: endpointSubnetId
    createDnsZones: createDnsZones
    vaultAllowedAddresses: vaultAllowedAddresses
    frontDoor: frontDoor
    zoneRedundant: zoneRedundant
    lockResources: lockResources
    budget: budget
    updateStrategy: updateStrategy
    cloudName: cloudName
  }
}

@description('Name of the resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Public address of the broker.')
output BROKER_BASE_URL string = broker.outputs.baseUrl

@description('Default host name of the app: the target of the CNAME of a custom domain.')
output BROKER_DEFAULT_HOST_NAME string = broker.outputs.defaultHostName

@description('Name of the function app.')
output BROKER_FUNCTION_APP_NAME string = broker.outputs.functionAppName

@description('Name of the vault.')
output BROKER_VAULT_NAME string = broker.outputs.vaultName

@description('Address of the vault.')
output BROKER_VAULT_URL string = broker.outputs.vaultUrl

@description('Name of the certificate in the vault.')
output BROKER_CERTIFICATE_NAME string = broker.outputs.certificateName

@description('URL of the table service that stores the sessions.')
output BROKER_TABLE_SERVICE_URI string = broker.outputs.tableServiceUri

@description('Client id of the managed identity of the broker.')
output BROKER_IDENTITY_CLIENT_ID string = broker.outputs.identityClientId

@description('Object id of the managed identity of the broker.')
output BROKER_IDENTITY_PRINCIPAL_ID string = broker.outputs.identityPrincipalId

@description('Object id of the managed identity of the host, which owns the package and the blobs of the host.')
output BROKER_HOST_IDENTITY_PRINCIPAL_ID string = broker.outputs.hostIdentityPrincipalId
