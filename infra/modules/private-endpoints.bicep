metadata name = 'Private endpoints'
metadata description = 'Private endpoints of vault, blobs and tables in one subnet, with the private DNS zones that point their public names at them.'

import { firstTags, tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Subnet of the private endpoints.')
@minLength(1)
param subnetId string

@description('Virtual network of the subnet, to which the DNS zones are linked.')
@minLength(1)
param networkId string

@description('True if the template creates the DNS zones.')
param createDnsZones bool

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: names.vault
}

resource account 'Microsoft.Storage/storageAccounts@2026-09-01' existing = {
  name: names.storage
}

resource packageAccount 'Microsoft.Storage/storageAccounts@2026-09-01' existing = {
  name: names.packageStorage
}

// In every cloud the zone of Key Vault is named vaultcore where the public name has vault.
var zoneNames = [
  'privatelink${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}'
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.table.${environment().suffixes.storage}'
]

var connections = [
  { name: 'pe-${names.vault}', group: 'vault', zone: 0, service: { privateLinkServiceId: vault.id } }
  { name: 'pe-${names.storage}-blob', group: 'blob', zone: 1, service: { privateLinkServiceId: account.id } }
  { name: 'pe-${names.storage}-table', group: 'table', zone: 2, service: { privateLinkServiceId: account.id } }
  {
    name: 'pe-${names.packageStorage}-blob'
    group: 'blob'
    zone: 1
    service: { privateLinkServiceId: packageAccount.id }
  }
]

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in (createDnsZones ? zoneNames : []): {
    name: zone
    location: 'global'
    tags: firstTags(resourceTags)
  }
]

resource zoneLinks 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, index) in (createDnsZones ? zoneNames : []): {
    parent: zones[index]
    name: names.network
    location: 'global'
    tags: firstTags(resourceTags)
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: networkId
      }
    }
  }
]

resource endpoints 'Microsoft.Network/privateEndpoints@2026-03-01' = [
  for connection in connections: {
    name: connection.name
    location: location
    tags: resourceTags
    properties: {
      subnet: {
        id: subnetId
      }
      customNetworkInterfaceName: '${connection.name}-nic'
      privateLinkServiceConnections: [
        {
          name: connection.group
          properties: union(connection.service, {
            groupIds: [connection.group]
          })
        }
      ]
    }
  }
]

resource zoneGroups 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2026-03-01' = [
  for (connection, index) in (createDnsZones ? connections : []): {
    parent: endpoints[index]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: connection.group
          properties: {
            privateDnsZoneId: zones[connection.zone].id
          }
        }
      ]
    }
  }
]
