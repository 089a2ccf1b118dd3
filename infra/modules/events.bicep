metadata name = 'Events'
metadata description = 'What the vault says of its certificates: alerts straight from it, and the function that rolls, once it is there.'

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

@description('Action group that is told.')
@minLength(1)
param actionGroupId string

@description('Which of the two passes this is: the function is there in the second one only.')
param deploymentPass 'first' | 'second'

@description('Whether role assignments are made here; false where somebody else makes them.')
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

// On the one container, not on the account.
resource deadLetterWriter 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(account::blobs::deadLetters.id, names.topic, storageBlobDataContributor)
  scope: account::blobs::deadLetters
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', storageBlobDataContributor)
    principalId: topic.identity.principalId
    principalType: 'ServicePrincipal'
  }
}

// Expiry events come only for versions made after the subscription: hence in the first pass, before the certificate.
resource nearExpiry 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'alert-certificate-near-expiry'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'MonitorAlert'
      properties: {
        severity: 'Sev1'
        description: 'The certificate of the broker ends within 30 days: its automatic renewal has failed.'
        actionGroups: [actionGroupId]
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
        description: 'A version of the certificate of the broker has ended. Without a newer one nobody can sign in.'
        actionGroups: [actionGroupId]
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
