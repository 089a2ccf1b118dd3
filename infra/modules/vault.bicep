metadata name = 'Vault'
metadata description = 'Key Vault, who may do what in it, its audit log, and the key that wraps the key ring. The certificate is made by the hook: ARM has no type for it.'

import { tags, resourceNames, vaultAccess } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Software keys (standard) or HSM keys (premium).')
param sku 'standard' | 'premium'

@description('How permissions are given: by access policies, or by roles with the same reach.')
param authorization 'accessPolicies' | 'rbac'

@description('Brings back a deleted vault of this name.')
param recover bool

@description('Days that a deleted vault and what was in it can be brought back; its name stays taken for as long.')
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

@description('Object ids of developers, who get what the broker has.')
param developerIds string[]

@description('Object id of who deploys; may make the certificate in the first pass, and read it later. Empty for nobody.')
param deployerId string

@description('What the deploying identity is.')
param deployerType 'User' | 'Group' | 'ServicePrincipal'

@description('Object id of who may make and change certificates for good. Empty for nobody.')
param officerId string

@description('Entries of other people and programs: the list in the vault is replaced at each deployment.')
param otherAccess vaultAccess[]

@description('Which of the two passes this is.')
param deploymentPass 'first' | 'second'

@description('Whether role assignments are made here; false where somebody else makes them.')
param assignRoles bool

@description('Name of the Log Analytics workspace that takes the audit log.')
@minLength(4)
@maxLength(63)
param workspaceName string

// What the broker does in the vault, and nothing else: read the public part and its versions, sign, wrap, unwrap.
// `get` on keys tells which version wrapped; no secrets, for the private key of a certificate is read as a secret.
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

// `create` is polled with `get`; `update` changes the policy of a certificate.
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

// Whoever is both gets one entry: the officer has all that a deployer has.
var deployerEntries = empty(deployerId) || deployerId == officerId
  ? []
  : [{ objectId: deployerId, certificates: isFirstPass ? officerPermissions : ['get', 'list'] }]
var officerEntries = empty(officerId) ? [] : [{ objectId: officerId, certificates: officerPermissions }]

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  name: names.vault
  location: location
  tags: resourceTags
  properties: {
    createMode: recover ? 'recover' : 'default'
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: sku
    }
    // By name: from this API version on, a new vault that says nothing is made with roles.
    enableRbacAuthorization: isRbac
    enableSoftDelete: true
    softDeleteRetentionInDays: softDeleteDays
    enablePurgeProtection: true
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'None'
      // A Flex Consumption app without a network of its own has no fixed address; the way in is the Entra token.
      defaultAction: 'Allow'
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

// A child named `add` adds to the list above without replacing it, and is gone with the next deployment that leaves it
// out. So the deploying person has `create` in the first pass only, and may also have an entry of their own above.
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

resource brokerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (isRbac) {
  name: guid(resourceGroup().id, names.vault, 'broker')
  properties: {
    roleName: 'Certificate token broker of ${names.vault}'
    description: 'Reads certificates and keys, signs, wraps and unwraps in ${names.vault}; no secrets.'
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

resource officerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (isRbac && !empty(officerId)) {
  name: guid(resourceGroup().id, names.vault, 'officer')
  properties: {
    roleName: 'Certificate officer of ${names.vault}'
    description: 'Makes certificates and changes their policies in ${names.vault}.'
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

// One role whose reach shrinks in the second pass: an assignment that a template leaves out would stay for ever.
resource deployerRole 'Microsoft.Authorization/roleDefinitions@2022-04-01' = if (isRbac && !empty(deployerId)) {
  name: guid(resourceGroup().id, names.vault, 'deployer')
  properties: {
    roleName: 'Certificate token broker deployment of ${names.vault}'
    description: 'Makes the certificate of ${names.vault} until there is one; reads it from then on.'
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
  tags: resourceTags
  properties: {
    kty: sku == 'premium' ? 'RSA-HSM' : 'RSA'
    keySize: 3072
    // It signs the rows of the key ring as well: wrapping needs the public half only, so it proves nothing about a row.
    // `wrapKey` on the certificate's key is refused, although the permissions below count for the whole vault.
    keyOps: ['sign', 'wrapKey', 'unwrapKey']
    attributes: {
      enabled: true
      exportable: false
    }
  }
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: workspaceName
}

// The preview is the only version that knows category groups, and `audit` is what stays right when categories change.
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

@description('Address of the vault.')
output vaultUri string = vault.properties.vaultUri
