// Custom roles in the vault, and a custom domain that is not bound yet. Subnets of a team, whose policy registers
// private endpoints in DNS, in another cloud.
using '../../../infra/main.bicep'

param location = 'westeurope'
param tenantId = 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55'
param clientId = '0c7d3f52-2a54-4b5e-8c0e-5a1f6d9be310'
param applicationObjectId = '5d2f8c1e-7a3b-4e6d-9f10-2b4c6d8e0a12'
param principalId = '8a4c2e60-1b3d-4f5a-8c7e-9d0b1a2c3e4f'
param resourceToken = 'k7m2p4q6r8s3t'
param environmentName = 'shop-test'
param vaultAuthorization = 'rbac'
param domain = 'signin.example.com'
param network = 'private'
param appSubnetId = '/subscriptions/aaaaaaaa-1111-4111-8111-111111111111/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/spoke/subnets/broker-app'
param endpointSubnetId = '/subscriptions/aaaaaaaa-1111-4111-8111-111111111111/resourceGroups/network/providers/Microsoft.Network/virtualNetworks/spoke/subnets/endpoints'
param createDnsZones = false
param cloudName = 'AzureUSGovernment'
