metadata name = 'Network'
metadata description = 'Virtual network for the app and the private endpoints, with a NAT gateway as its way to the internet. Not deployed if the team passes subnets of its own.'

import { tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Address range of the virtual network, /25 or larger.')
@minLength(9)
@maxLength(18)
param addressPrefix string

// The app must reach the identity provider. New subnets have no outbound access of their own, and a NAT gateway gives
// the app one fixed address, which providers and proxies can list.
resource outboundAddress 'Microsoft.Network/publicIPAddresses@2026-03-01' = {
  name: names.natGateway
  location: location
  tags: resourceTags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIPAllocationMethod: 'Static'
    publicIPAddressVersion: 'IPv4'
  }
}

resource natGateway 'Microsoft.Network/natGateways@2026-03-01' = {
  name: names.natGateway
  location: location
  tags: resourceTags
  sku: {
    name: 'Standard'
  }
  properties: {
    publicIpAddresses: [
      {
        id: outboundAddress.id
      }
    ]
  }
}

resource endpointRules 'Microsoft.Network/networkSecurityGroups@2026-03-01' = {
  name: '${names.network}-endpoints'
  location: location
  tags: resourceTags
  properties: {
    securityRules: [
      {
        name: 'https-from-the-network'
        properties: {
          description: 'Key Vault and storage speak HTTPS only.'
          access: 'Allow'
          direction: 'Inbound'
          priority: 100
          protocol: 'Tcp'
          sourceAddressPrefix: 'VirtualNetwork'
          sourcePortRange: '*'
          destinationAddressPrefix: 'VirtualNetwork'
          destinationPortRange: '443'
        }
      }
      {
        name: 'nothing-else'
        properties: {
          access: 'Deny'
          direction: 'Inbound'
          priority: 4096
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource appRules 'Microsoft.Network/networkSecurityGroups@2026-03-01' = {
  name: '${names.network}-app'
  location: location
  tags: resourceTags
  properties: {
    securityRules: []
  }
}

resource network 'Microsoft.Network/virtualNetworks@2026-03-01' = {
  name: names.network
  location: location
  tags: resourceTags
  properties: {
    addressSpace: {
      addressPrefixes: [addressPrefix]
    }
    // Subnets stand here and not as children: a second deployment would remove children that this list does not have.
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          defaultOutboundAccess: false
          natGateway: {
            id: natGateway.id
          }
          networkSecurityGroup: {
            id: appRules.id
          }
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 1)
          defaultOutboundAccess: false
          networkSecurityGroup: {
            id: endpointRules.id
          }
          privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled'
        }
      }
    ]
  }

  resource appSubnet 'subnets' existing = {
    name: 'app'
  }

  resource endpointSubnet 'subnets' existing = {
    name: 'endpoints'
  }
}

@description('Subnet of the app.')
output appSubnetId string = network::appSubnet.id

@description('Subnet of the private endpoints.')
output endpointSubnetId string = network::endpointSubnet.id

@description('Outbound address of the app.')
output outboundAddress string = outboundAddress.properties.ipAddress
