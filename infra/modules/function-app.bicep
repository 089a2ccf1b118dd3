metadata name = 'Function app'
metadata description = 'The broker on Flex Consumption: plan, app, app settings and access restrictions. Publishing with passwords is off.'

import { appSettings, frontDoorOrigin, tags, resourceNames } from 'types.bicep'

@description('URLs of the storage services of the host, each with a slash at its end.')
type hostStorageEndpoints = {
  @description('Blob service.')
  blob: string

  @description('Queue service.')
  queue: string

  @description('Table service.')
  table: string
}

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Major version of Node.')
param nodeVersion '22' | '24'

@description('Memory of an instance in MB.')
param instanceMemoryMB 512 | 2048 | 4096

@description('Upper limit of on-demand instances of each group of functions.')
@minValue(40)
@maxValue(1000)
param maximumInstances int

@description('HTTP instances that are always running and are billed while idle.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int

@description('Client id of the identity of the broker.')
@minLength(1)
param identityClientId string

@description('Client id of the identity of the host.')
@minLength(1)
param hostIdentityClientId string

@description('URL of the blob service of the package, with a slash at its end.')
@minLength(1)
param packageEndpoint string

@description('URLs of the storage of the host.')
param hostStorage hostStorageEndpoints

@description('True in the public Azure cloud.')
param isPublicCloud bool

@description('Connection string of Application Insights.')
@minLength(1)
param applicationInsightsConnectionString string

@description('Public domain of the app. If empty, the default host name.')
@maxLength(253)
param domain string

@description('Public address of the broker where another server forwards to it, with its path. If empty, the domain.')
@maxLength(200)
param baseUrl string

@description('Front Door in front of the app.')
param frontDoor frontDoorOrigin?

@description('Subnet of the app. If empty, the app has no virtual network.')
param subnetId string

@description('True to spread the app over availability zones.')
param zoneRedundant bool

@description('How an update replaces running instances.')
param updateStrategy 'Recreate' | 'RollingUpdate'

@description('Settings of the broker by name. No secrets.')
param brokerSettings appSettings

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: names.identity
}

resource hostIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: names.hostIdentity
}

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: names.plan
  location: location
  tags: resourceTags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

// X-Azure-FDID is the id of one Front Door; the service tag alone would admit every Front Door of every customer. Event
// Grid delivers the events of the vault to the app, and the system key of the function authenticates it.
var frontDoorOnly = [
  {
    name: 'front-door'
    priority: 100
    action: 'Allow'
    tag: 'ServiceTag'
    ipAddress: 'AzureFrontDoor.Backend'
    headers: {
      'x-azure-fdid': [frontDoor.?id ?? '']
    }
  }
  {
    name: 'event-grid'
    priority: 200
    action: 'Allow'
    tag: 'ServiceTag'
    ipAddress: 'AzureEventGrid'
  }
]

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: names.functionApp
  location: location
  tags: union(resourceTags, {
    // azd deploys the service of this name to the resource with this tag.
    'azd-service-name': 'broker'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
      '${hostIdentity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    clientAffinityEnabled: false
    // Not in the types yet. A custom domain needs it, and Azure accepts it only when the app is created.
    #disable-next-line BCP037
    siteScopedCertificatesEnabled: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    // With a virtual network, all outbound traffic goes through it:
    // package and host storage have private endpoints only.
    outboundVnetRouting: empty(subnetId) ? null : { allTraffic: true }
    // Flex Consumption refuses alwaysOn, ftpsState, linuxFxVersion and similar properties.
    siteConfig: {
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
      ipSecurityRestrictionsDefaultAction: frontDoor == null ? 'Allow' : 'Deny'
      ipSecurityRestrictions: frontDoor == null ? [] : frontDoorOnly
      // Deployments use the SCM address, with an Entra token.
      scmIpSecurityRestrictionsUseMain: false
      scmIpSecurityRestrictionsDefaultAction: 'Allow'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${packageEndpoint}${names.packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: hostIdentity.id
          }
        }
      }
      runtime: {
        name: 'node'
        version: nodeVersion
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReadyInstances == 0
          ? []
          : [
              {
                name: 'http'
                instanceCount: alwaysReadyInstances
              }
            ]
      }
      // Not in the types yet. Null for the default, because not every region has the property.
      #disable-next-line BCP037
      siteUpdateStrategy: updateStrategy == 'Recreate' ? null : { type: updateStrategy }
    }
  }
}

// Publishing with passwords is off: azd deploys with an Entra token.
resource ftpPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource scmPublishing 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: site
  name: 'scm'
  properties: {
    allow: false
  }
}

var publicDomain = frontDoor.?domain ?? domain
var baseUrlOfApp = empty(baseUrl)
  ? 'https://${empty(publicDomain) ? site.properties.defaultHostName : publicDomain}'
  : baseUrl

// The host reaches its storage by identity. A plain AzureWebJobsStorage, even an empty one, would replace this. With an
// account name the host uses the domain of the public cloud;
// with service URLs, starts in the public cloud failed at times.
var hostStorageSettings = isPublicCloud
  ? { AzureWebJobsStorage__accountName: names.storage }
  : {
      AzureWebJobsStorage__blobServiceUri: hostStorage.blob
      AzureWebJobsStorage__queueServiceUri: hostStorage.queue
      AzureWebJobsStorage__tableServiceUri: hostStorage.table
    }

// Each deployment replaces the whole list, so it removes settings that were set by hand. None of them is a secret.
resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(brokerSettings, hostStorageSettings, {
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: hostIdentityClientId
    AzureWebJobsDisableHomepage: 'true'
    APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    AZURE_CLIENT_ID: identityClientId
    Broker__BaseUrl: baseUrlOfApp
  })
}

@description('Public address of the broker.')
output baseUrl string = baseUrlOfApp

@description('Default host name of the app.')
output defaultHostName string = site.properties.defaultHostName
