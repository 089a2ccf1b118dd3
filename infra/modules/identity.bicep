metadata name = 'Identities'
metadata description = 'Two user-assigned identities. The broker has one for vault, tables and telemetry; the Functions host has the other for its blobs and the package. So a token of the broker writes neither the code of the broker nor the keys of the host.'

import { tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.identity
  location: location
  tags: resourceTags
}

resource hostIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: names.hostIdentity
  location: location
  tags: resourceTags
}

@description('Client id of the identity of the broker: AZURE_CLIENT_ID.')
output clientId string = identity.properties.clientId

@description('Object id of the service principal of the broker.')
output principalId string = identity.properties.principalId

@description('Client id of the identity of the host.')
output hostClientId string = hostIdentity.properties.clientId

@description('Object id of the service principal of the host.')
output hostPrincipalId string = hostIdentity.properties.principalId
