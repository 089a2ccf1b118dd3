metadata name = 'Identity'
metadata description = 'The identity of the broker: one, user-assigned, so that it exists before the vault that it may use.'

import { tags } from 'types.bicep'

@description('Name of the identity.')
@minLength(3)
@maxLength(128)
param name string

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: resourceTags
}

@description('Client id: AZURE_CLIENT_ID of the broker.')
output clientId string = identity.properties.clientId

@description('Object id of its service principal: who gets the permissions.')
output principalId string = identity.properties.principalId
