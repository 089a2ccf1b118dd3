metadata name = 'Function app'
metadata description = 'The broker on Flex Consumption: plan, app, its settings, and publishing by password switched off.'

import { tags, resourceNames } from 'types.bicep'

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

@description('The most instances of the app.')
@minValue(40)
@maxValue(1000)
param maximumInstances int

@description('Instances that are always ready for HTTP; each is billed while idle.')
@minValue(0)
@maxValue(100)
param alwaysReadyInstances int

@description('Client id of the identity of the broker.')
@minLength(1)
param identityClientId string

@description('Address of the blob service that holds the package, with a slash at its end.')
@minLength(1)
param blobEndpoint string

@description('Address of the component that takes telemetry.')
@minLength(1)
param applicationInsightsConnectionString string

@description('Domain of its own; empty for the default host name.')
@maxLength(253)
param domain string

@description('What the broker reads, by name. No secrets.')
param brokerSettings tags

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: names.identity
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
    zoneRedundant: false
  }
}

resource site 'Microsoft.Web/sites@2025-03-01' = {
  name: names.functionApp
  location: location
  tags: union(resourceTags, {
    // azd deploys the service of this name here.
    'azd-service-name': 'broker'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: 'Enabled'
    clientAffinityEnabled: false
    // Not in the types yet; a domain of one's own needs it, and it can't be added to an app that exists.
    #disable-next-line BCP037
    siteScopedCertificatesEnabled: true
    // Flex Consumption refuses alwaysOn, ftpsState, linuxFxVersion and their like: leave them out.
    siteConfig: {
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}${names.packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
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
    }
  }
}

// No publishing by password: azd deploys with an Entra token.
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

var ownBaseUrl = 'https://${empty(domain) ? site.properties.defaultHostName : domain}'

// The whole list: each deployment replaces it, and what was set by hand is gone. None of them is a secret.
resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: site
  name: 'appsettings'
  properties: union(brokerSettings, {
    // By identity. A bare AzureWebJobsStorage, even an empty one, would be used in its place.
    AzureWebJobsStorage__accountName: names.storage
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    AzureWebJobsDisableHomepage: 'true'
    APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsightsConnectionString
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    AZURE_CLIENT_ID: identityClientId
    Broker__BaseUrl: ownBaseUrl
  })
}

@description('Where browsers reach the broker.')
output baseUrl string = ownBaseUrl

@description('Host name that Azure gives the app.')
output defaultHostName string = site.properties.defaultHostName
