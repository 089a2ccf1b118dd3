metadata name = 'Events'
metadata description = 'Events of the vault about the certificate: alerts directly from Event Grid, and the function that renews the certificate, after its code is deployed.'

import { tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region of the vault.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Name of the certificate.')
@minLength(1)
@maxLength(127)
param certificateName string

@description('Action groups that receive the alerts.')
@minLength(1)
param actionGroupIds string[]

@description('Pass of the deployment: the function exists in the second pass only.')
param deploymentPass 'first' | 'second'

@description('True if the template creates role assignments.')
param assignRoles bool

var storageBlobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

var ofThisCertificate = [
  {
    operatorType: 'StringIn'
    key: 'data.ObjectName'
    values: [certificateName]
  }
]

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: names.vault
}

resource account 'Microsoft.Storage/storageAccounts@2026-09-01' existing = {
  name: names.storage

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource deadLetters 'containers' existing = {
      name: names.deadLetterContainer
    }
  }
}

resource site 'Microsoft.Web/sites@2025-03-01' existing = {
  name: names.functionApp

  resource certificateEvent 'functions' existing = {
    name: 'certificateEvent'
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: names.topic
  location: location
  tags: resourceTags
  identity: {
    type: 'SystemAssigned'
  }
  properties: {
    source: vault.id
    topicType: 'Microsoft.KeyVault.vaults'
  }
}

// The scope is the container, not the account.
resource deadLetterWriter 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(account::blobs::deadLetters.id, names.topic, storageBlobDataContributor)
  scope: account::blobs::deadLetters
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    principalId: topic.identity.principalId
    principalType: 'ServicePrincipal'
  }
}

// Event Grid sends expiry events only for versions that were created after the subscription. So the subscription
// belongs to the first pass, before the certificate.
resource nearExpiry 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'alert-certificate-near-expiry'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev1'
        description: 'The certificate of the broker expires within 30 days: its automatic renewal has failed.'
        actionGroups: actionGroupIds
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.KeyVault.CertificateNearExpiry']
      advancedFilters: ofThisCertificate
    }
  }
}

resource expired 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'alert-certificate-expired'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev0'
        description: 'A version of the certificate of the broker has expired. Without a newer version, sign-ins fail.'
        actionGroups: actionGroupIds
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.KeyVault.CertificateExpired']
      advancedFilters: ofThisCertificate
    }
  }
}

resource certificateEvents 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = if (deploymentPass == 'second') {
  parent: topic
  name: 'certificate-event'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'AzureFunction'
      properties: {
        resourceId: site::certificateEvent.id
        maxEventsPerBatch: 1
        preferredBatchSizeInKilobytes: 64
      }
    }
    filter: {
      includedEventTypes: [
        'Microsoft.KeyVault.CertificateNewVersionCreated'
        'Microsoft.KeyVault.CertificateNearExpiry'
        'Microsoft.KeyVault.CertificateExpired'
      ]
      advancedFilters: ofThisCertificate
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: {
        type: 'SystemAssigned'
      }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: account.id
          blobContainerName: names.deadLetterContainer
        }
      }
    }
  }
  dependsOn: [deadLetterWriter]
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: names.workspace
}

// Only the preview version of diagnostic settings is newer than 2016. A system topic has this one category.
#disable-next-line use-recent-api-versions
resource deliveryLog 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'deliveries'
  scope: topic
  properties: {
    workspaceId: workspace.id
    logs: [
      {
        category: 'DeliveryFailures'
        enabled: true
      }
    ]
  }
}
