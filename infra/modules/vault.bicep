metadata name = 'Vault'
metadata description = 'Key Vault with its permissions, its audit log and the key that wraps the key ring. The hook creates the certificate, because ARM has no resource type for it.'

import { firstTags, tags, resourceNames, vaultAccess } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('SKU: standard for software keys, premium for HSM keys.')
param sku 'standard' | 'premium'

@description('Permission model: access policies, or custom roles with the same permissions.')
param authorization 'accessPolicies' | 'rbac'

@description('Days for which a deleted vault can be recovered and its name stays reserved.')
@minValue(7)
@maxValue(90)
param softDeleteDays int

@description('Name of the key that wraps the key ring.')
@minLength(1)
@maxLength(127)
param wrappingKeyName string

@description('Object id of the identity of the broker.')
@minLength(1)
param brokerPrincipalId string

@description('Object ids of developers, who get the permissions of the broker.')
param developerIds string[]

@description('Object id of the deploying identity: it may create the certificate in the first pass and read it later. If empty, it gets nothing.')
param deployerId string

@description('Type of the deploying identity.')
param deployerType 'User' | 'Group' | 'ServicePrincipal'

@description('Object id of the certificate officer. If empty, there is none.')
param officerId string

@description('Access policies of other people and applications. Each deployment replaces the list in the vault.')
param otherAccess vaultAccess[]

@description('Pass of the deployment.')
param deploymentPass 'first' | 'second'

@description('True if the template creates role assignments.')
param assignRoles bool

@description('True if requests come through private endpoints only.')
param isPrivate bool

@description('IPv4 addresses or CIDR ranges that may reach a private vault from outside.')
param allowedAddresses string[]

@description('True to protect the vault from deletion.')
param lockResources bool

// The broker reads the public part of the certificate and its versions, signs, wraps and unwraps. `get` on keys returns
// the version that wrapped. No permission on secrets: the private key of a certificate is readable as a secret.
var brokerPermissions = {
  certificates: ['get', 'list']
  keys: ['get', 'sign', 'wrapKey', 'unwrapKey']
}
var brokerDataActions = [
  'Microsoft.KeyVault/vaults/certificates/read'
  'Microsoft.KeyVault/vaults/keys/read'
  'Microsoft.KeyVault/vaults/keys/sign/action'
  'Microsoft.KeyVault/vaults/keys/wrap/action'
  'Microsoft.KeyVault/vaults/keys/unwrap/action'
]

// `create` is polled with `get`. `update` changes the policy of a certificate.
var officerPermissions = ['get', 'list', 'create', 'update']
var officerDataActions = [
  'Microsoft.KeyVault/vaults/certificates/read'
  'Microsoft.KeyVault/vaults/certificates/create/action'
  'Microsoft.KeyVault/vaults/certificates/update/action'
]
var readerDataActions = ['Microsoft.KeyVault/vaults/certificates/read']

var isRbac = authorization == 'rbac'
var isFirstPass = deploymentPass == 'first'

var holdersOfBrokerPermissions = concat([brokerPrincipalId], developerIds)

// An identity that has both roles gets one entry: the officer has every permission of the deployer.
var deployerEntries = empty(deployerId) || deployerId == officerId
  ? []
  : [{ objectId: deployerId, certificates: isFirstPass ? officerPermissions : ['get', 'list'] }]
var officerEntries = empty(officerId) ? [] : [{ objectId: officerId, certificates: officerPermissions }]

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  name: names.vault
  location: location
  tags: resourceTags
  properties: {
    // The hook recovers a deleted vault before: with createMode recover, Azure ignores every other property.
    createMode: 'default'
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: sku
    }
    // Explicit: from this API version on, the default of a new vault is true.
    enableRbacAuthorization: isRbac
    enableSoftDelete: true
    softDeleteRetentionInDays: softDeleteDays
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    // Azure applies the rules for addresses only while public access is enabled.
    publicNetworkAccess: isPrivate && empty(allowedAddresses) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      // Without a virtual network an app on Flex Consumption has no fixed address: the Entra token is the protection.
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      ipRules: map(isPrivate ? allowedAddresses : [], address => {
        value: address
      })
      virtualNetworkRules: []
    }
    accessPolicies: isRbac
      ? []
      : concat(
          map(holdersOfBrokerPermissions, holder => {
            tenantId: tenant().tenantId
            objectId: holder
            permissions: {
              certificates: brokerPermissions.certificates
              keys: brokerPermissions.keys
              secrets: []
              storage: []
            }
          }),
          map(otherAccess, access => {
            tenantId: tenant().tenantId
            objectId: access.objectId
            permissions: {
              certificates: access.?certificates ?? []
              keys: access.?keys ?? []
              secrets: []
              storage: []
            }
          })
        )
  }
}

// A child named `add` adds to the list above without replacing it, and the next deployment without it removes the
// entries. So the deploying identity has `create` in the first pass only. It may also have an entry of its own above.
resource officerAccess 'Microsoft.KeyVault/vaults/accessPolicies@2026-05-15' = if (!isRbac && !empty(concat(
  deployerEntries,
  officerEntries
))) {
  parent: vault
  name: 'add'
  properties: {
    accessPolicies: map(concat(deployerEntries, officerEntries), entry => {
      tenantId: tenant().tenantId
      objectId: entry.objectId
      permissions: {
        certificates: entry.certificates
        keys: []
        secrets: []
        storage: []
      }
    })
  }
}

// With assignRoles false the person may lack the right for roles too: infra/hooks/role-commands.ts prints them.
resource brokerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (isRbac && assignRoles) {
  name: guid(resourceGroup().id, names.vault, 'broker')
  properties: {
    roleName: 'Certificate token broker of ${names.vault}'
    description: 'Reads certificates and keys, signs, wraps and unwraps in ${names.vault}. No access to secrets.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: brokerDataActions
        notDataActions: []
      }
    ]
  }
}

resource officerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (isRbac && assignRoles && !empty(officerId)) {
  name: guid(resourceGroup().id, names.vault, 'officer')
  properties: {
    roleName: 'Certificate officer of ${names.vault}'
    description: 'Creates certificates and changes their policies in ${names.vault}.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: officerDataActions
        notDataActions: []
      }
    ]
  }
}

// One role, which loses permissions in the second pass: ARM does not remove an assignment that a template leaves out.
resource deployerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (isRbac && assignRoles && !empty(deployerId)) {
  name: guid(resourceGroup().id, names.vault, 'deployer')
  properties: {
    roleName: 'Certificate token broker deployment of ${names.vault}'
    description: 'Creates the certificate of ${names.vault} in the first pass and reads it later.'
    type: 'CustomRole'
    assignableScopes: [resourceGroup().id]
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: isFirstPass ? officerDataActions : readerDataActions
        notDataActions: []
      }
    ]
  }
}

resource brokerAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (holder, index) in (isRbac && assignRoles ? concat([names.identity], developerIds) : []): {
    name: guid(resourceGroup().id, names.vault, 'broker', holder)
    scope: vault
    properties: {
      roleDefinitionId: brokerRole.id
      principalId: holdersOfBrokerPermissions[index]
      // A developer may be a group.
      principalType: index == 0 ? 'ServicePrincipal' : null
    }
  }
]

resource officerAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isRbac && assignRoles && !empty(officerId)) {
  name: guid(resourceGroup().id, names.vault, 'officer', officerId)
  scope: vault
  properties: {
    roleDefinitionId: officerRole.id
    principalId: officerId
  }
}

resource deployerAssignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (isRbac && assignRoles && !empty(deployerId)) {
  name: guid(resourceGroup().id, names.vault, 'deployer', deployerId)
  scope: vault
  properties: {
    roleDefinitionId: deployerRole.id
    principalId: deployerId
    principalType: deployerType
  }
}

resource wrappingKey 'Microsoft.KeyVault/vaults/keys@2026-05-15' = {
  parent: vault
  name: wrappingKeyName
  tags: firstTags(resourceTags)
  properties: {
    kty: sku == 'premium' ? 'RSA-HSM' : 'RSA'
    keySize: 3072
    // The key signs the rows of the key ring too: wrapping needs the public half only, so it does not authenticate a
    // row. The vault refuses `wrapKey` on the key of the certificate, although the permissions hold for the whole
    // vault.
    keyOps: ['sign', 'wrapKey', 'unwrapKey']
    attributes: {
      enabled: true
      exportable: false
    }
  }
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: names.workspace
}

// Only the preview version has category groups, and `audit` stays right when Azure changes the categories.
#disable-next-line use-recent-api-versions
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'audit'
  scope: vault
  properties: {
    workspaceId: workspace.id
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (lockResources) {
  name: 'no-deletion'
  scope: vault
  properties: {
    level: 'CanNotDelete'
    notes: 'Holds the certificate and the wrapping key of the broker. Set lockResources to false and remove this lock before you delete it.'
  }
}

@description('URL of the vault.')
output vaultUri string = vault.properties.vaultUri
