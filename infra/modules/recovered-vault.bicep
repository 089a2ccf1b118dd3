metadata name = 'Recovered vault'
metadata description = 'Recovers a deleted vault. Azure ignores every other property of such a request, so vault.bicep configures the vault afterwards.'

import { tags } from 'types.bicep'

@description('Name of the deleted vault.')
@minLength(3)
@maxLength(24)
param name string

@description('Azure region of the deleted vault.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('SKU of the vault.')
param sku 'standard' | 'premium'

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  name: name
  location: location
  tags: resourceTags
  properties: {
    createMode: 'recover'
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: sku
    }
  }
}
