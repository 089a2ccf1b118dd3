metadata name = 'Storage'
metadata description = 'Two storage accounts, reached by identity only. One holds the tables of the broker, the blobs of the Functions host and the dead letters; the other holds nothing but the deployed package.'

import { tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Names of the tables of the broker.')
param tables string[]

@description('Object id of the identity of the broker.')
@minLength(1)
param brokerPrincipalId string

@description('Object id of the identity of the host.')
@minLength(1)
param hostPrincipalId string

@description('Days for which deleted blobs and containers can be restored.')
@minValue(1)
@maxValue(365)
param softDeleteDays int

@description('True to log reads of the tables too.')
param auditTableReads bool

@description('True if requests come through private endpoints only.')
param isPrivate bool

@description('True for copies in three availability zones.')
param zoneRedundant bool

@description('True to protect the accounts from deletion.')
param lockResources bool

@description('True if the template creates role assignments.')
param assignRoles bool

var storageBlobDataOwner = 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
var storageTableDataContributor = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'

var sku = {
  name: zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
}

var accountProperties = {
  accessTier: 'Hot'
  allowBlobPublicAccess: false
  allowCrossTenantReplication: false
  allowSharedKeyAccess: false
  defaultToOAuthAuthentication: true
  isLocalUserEnabled: false
  minimumTlsVersion: 'TLS1_2'
  supportsHttpsTrafficOnly: true
  publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  sasPolicy: {
    expirationAction: 'Log'
    sasExpirationPeriod: '0.01:00:00'
  }
}

// Without a virtual network an app on Flex Consumption has no fixed address: the Entra token is the protection.
var defaultAction = isPrivate ? 'Deny' : 'Allow'

resource account 'Microsoft.Storage/storageAccounts@2026-09-01' = {
  name: names.storage
  location: location
  tags: resourceTags
  kind: 'StorageV2'
  sku: sku
  properties: union(accountProperties, {
    networkAcls: {
      // Event Grid has no private way to a dead-letter container;
      // its topic comes as a trusted service, by its identity.
      bypass: isPrivate ? 'AzureServices' : 'None'
      defaultAction: defaultAction
    }
  })
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-09-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

resource deadLetters 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-09-01' = {
  parent: blobs
  name: names.deadLetterContainer
  properties: {
    publicAccess: 'None'
  }
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2026-09-01' = {
  parent: account
  name: 'default'
}

resource brokerTables 'Microsoft.Storage/storageAccounts/tableServices/tables@2026-09-01' = [
  for table in tables: {
    parent: tableService
    name: table
  }
]

resource packageAccount 'Microsoft.Storage/storageAccounts@2026-09-01' = {
  name: names.packageStorage
  location: location
  tags: resourceTags
  kind: 'StorageV2'
  sku: sku
  properties: union(accountProperties, {
    networkAcls: {
      bypass: 'None'
      defaultAction: defaultAction
    }
  })
}

resource packageBlobs 'Microsoft.Storage/storageAccounts/blobServices@2026-09-01' = {
  parent: packageAccount
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: softDeleteDays
    }
  }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-09-01' = {
  parent: packageBlobs
  name: names.packageContainer
  properties: {
    publicAccess: 'None'
  }
}

resource brokerTableRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(account.id, names.identity, storageTableDataContributor)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageTableDataContributor)
    principalId: brokerPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// The Functions host needs Owner: it writes the leases of timers and the blob with the function keys.
resource hostBlobRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(account.id, names.hostIdentity, storageBlobDataOwner)
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataOwner)
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
  }
}

// A deployment writes the package with the identity that the app names for it, and the app reads it with the same.
resource hostPackageRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(packageAccount.id, names.hostIdentity, storageBlobDataContributor)
  scope: packageAccount
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    principalId: hostPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: names.workspace
}

// Only the preview version of diagnostic settings is newer than 2016. Storage has one category for each kind of access.
#disable-next-line use-recent-api-versions
resource tableAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: tableService
  properties: {
    workspaceId: workspace.id
    logs: [
      {
        category: 'StorageRead'
        enabled: auditTableReads
      }
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

// As above. Deployments are the only writers of the package, so this log has a line for each of them and no more.
#disable-next-line use-recent-api-versions
resource packageAudit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: packageBlobs
  properties: {
    workspaceId: workspace.id
    logs: [
      {
        category: 'StorageWrite'
        enabled: true
      }
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
  }
}

resource accountLock 'Microsoft.Authorization/locks@2020-05-01' = if (lockResources) {
  name: 'no-deletion'
  scope: account
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds the sessions of the broker. Set lockResources to false and remove this lock before you delete it.'
  }
}

resource packageLock 'Microsoft.Authorization/locks@2020-05-01' = if (lockResources) {
  name: 'no-deletion'
  scope: packageAccount
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds the deployed code of the broker. Set lockResources to false and remove this lock before you delete it.'
  }
}

@description('URL of the blob service of the host, with a slash at its end.')
output blobEndpoint string = account.properties.primaryEndpoints.blob

@description('URL of the queue service of the host, with a slash at its end.')
output queueEndpoint string = account.properties.primaryEndpoints.queue

@description('URL of the table service, with a slash at its end.')
output tableEndpoint string = account.properties.primaryEndpoints.table

@description('URL of the blob service of the package, with a slash at its end.')
output packageEndpoint string = packageAccount.properties.primaryEndpoints.blob
