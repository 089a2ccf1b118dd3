/** Rules for the vault, and for the permissions of every identity. */
import type { PredictedResource, Snapshot } from '../../setup/bicep.ts'
import {
  compare,
  compareOneOf,
  expectMembers,
  isHostIdentity,
  list,
  objects,
  propertiesOf,
  resources,
  scopeOf,
  unknownOf,
  vaultsOf,
} from './predicted-resources.ts'
import type { Json, Rule } from './predicted-resources.ts'

const allowedPermissions = {
  broker: { certificates: ['get', 'list'], keys: ['get', 'sign', 'wrapKey', 'unwrapKey'], secrets: [], storage: [] },
  officer: { certificates: ['get', 'list', 'create', 'update'], keys: [], secrets: [], storage: [] },
  reader: { certificates: ['get', 'list'], keys: [], secrets: [], storage: [] },
}

export const brokerDataActions = [
  'Microsoft.KeyVault/vaults/certificates/read',
  'Microsoft.KeyVault/vaults/keys/read',
  'Microsoft.KeyVault/vaults/keys/sign/action',
  'Microsoft.KeyVault/vaults/keys/wrap/action',
  'Microsoft.KeyVault/vaults/keys/unwrap/action',
]

const readerDataActions = ['Microsoft.KeyVault/vaults/certificates/read']

export const officerDataActions = [
  'Microsoft.KeyVault/vaults/certificates/read',
  'Microsoft.KeyVault/vaults/certificates/create/action',
  'Microsoft.KeyVault/vaults/certificates/update/action',
]

/** All role assignments outside the vault: the role's id, the type and name of the scope, the assignee. */
const roleAssignments = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b storageAccounts/st host',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe storageAccounts/stpkg host',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3 storageAccounts/st broker',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe containers/dead-letters systemTopics',
  '3913510d-42f4-4e42-8a64-420c390055eb components/appi-broker- broker',
]

export const vaultRules: readonly Rule[] = [
  {
    name: 'the identity of the broker has its five operations in the vault and nothing else',
    violations: (snapshot) =>
      isRbac(snapshot)
        ? compare('roles of the broker', dataActionsOf(snapshot, 'Certificate token broker of'), brokerDataActions)
        : brokerEntries(snapshot).length === 1
          ? brokerEntries(snapshot).flatMap(({ permissions }) => compareAreas(permissions, allowedPermissions.broker))
          : [`the identity has ${brokerEntries(snapshot).length} entries`],
  },
  {
    name: 'every other identity has only its own permissions in the vault',
    violations: (snapshot) => [
      ...entries(snapshot, 'Microsoft.KeyVault/vaults')
        .filter(({ objectId }) => !isIdentity(objectId))
        .flatMap(({ permissions }) => [
          ...compare('secrets', list(permissions.secrets), []),
          ...unknownOf(list(permissions.certificates), allowedPermissions.broker.certificates, 'certificates'),
          ...unknownOf(list(permissions.keys), allowedPermissions.broker.keys, 'keys'),
        ]),
      ...entries(snapshot, 'Microsoft.KeyVault/vaults/accessPolicies').flatMap(({ objectId, permissions }) =>
        isIdentity(objectId)
          ? ['the identity of the broker may create certificates']
          : compareAreas(
              permissions,
              list(permissions.certificates).includes('create')
                ? allowedPermissions.officer
                : allowedPermissions.reader,
            ),
      ),
      ...compareOneOf(
        'role of the deployment',
        dataActionsOf(snapshot, 'Certificate token broker deployment of'),
        isRbac(snapshot) ? [officerDataActions, readerDataActions] : [[]],
      ),
      ...compareOneOf('role of the officer', dataActionsOf(snapshot, 'Certificate officer of'), [
        officerDataActions,
        [],
      ]),
    ],
  },
  {
    name: 'the deploying identity may create the certificate in the first pass only',
    violations: (snapshot) => {
      const isSecond = resources(snapshot, 'Microsoft.Insights/webtests').length > 0
      const granted = isRbac(snapshot)
        ? dataActionsOf(snapshot, 'Certificate token broker deployment of')
        : entries(snapshot, 'Microsoft.KeyVault/vaults/accessPolicies')
            .filter(({ objectId }) => objectId === '8a4c2e60-1b3d-4f5a-8c7e-9d0b1a2c3e4f')
            .flatMap(({ permissions }) => list(permissions.certificates))
      const expected = isRbac(snapshot)
        ? isSecond
          ? readerDataActions
          : officerDataActions
        : (isSecond ? allowedPermissions.reader : allowedPermissions.officer).certificates
      return compare('permissions of the deploying identity', granted, expected)
    },
  },
  {
    name: 'the vault keeps deleted keys, names its permission model and writes an audit log',
    violations: (snapshot) =>
      vaultsOf(snapshot).flatMap((vault) => {
        const properties = propertiesOf(vault)
        const audit = resources(snapshot, 'Microsoft.Insights/diagnosticSettings').find(({ id }) =>
          id.startsWith(`${vault.id}/`),
        )
        const logs = objects(propertiesOf(audit)['logs'])
        return [
          ...expectMembers('vault', properties, {
            enableSoftDelete: true,
            enablePurgeProtection: true,
            enabledForDeployment: false,
            enabledForDiskEncryption: false,
            enabledForTemplateDeployment: false,
          }),
          ...(typeof properties['enableRbacAuthorization'] === 'boolean' ? [] : ['enableRbacAuthorization is missing']),
          ...(logs.some(({ categoryGroup, enabled }) => categoryGroup === 'audit' && enabled === true)
            ? []
            : ['no audit log']),
        ]
      }),
  },
  {
    name: 'the wrapping key wraps, unwraps and signs the rows of the key ring only',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.KeyVault/vaults/keys').flatMap((key) => [
        ...compare('keyOps', list(propertiesOf(key)['keyOps']), ['sign', 'wrapKey', 'unwrapKey']),
        ...expectMembers('key', propertiesOf(key), { keySize: 3072 }),
      ]),
  },
  {
    name: 'no resource is a certificate, secret or deployment script',
    violations: ({ predictedResources }) =>
      predictedResources
        .filter(({ type }) => /vaults\/(secrets|certificates)$|deploymentScripts/i.test(type))
        .map(({ type }) => type),
  },
  {
    name: 'the role assignments are exactly those of the list',
    violations: (snapshot) =>
      compare(
        'role assignments',
        resources(snapshot, 'Microsoft.Authorization/roleAssignments')
          .map(describeAssignment)
          .filter((assignment) => !assignment.includes(' vaults/')),
        roleAssignments,
      ),
  },
  {
    name: 'the vault has assignments of custom roles only, and only in the model rbac',
    violations: (snapshot) => {
      const custom = resources(snapshot, 'Microsoft.Authorization/roleDefinitions').map(({ name }) => name)
      return resources(snapshot, 'Microsoft.Authorization/roleAssignments')
        .map(describeAssignment)
        .filter((assignment) => assignment.includes(' vaults/'))
        .filter((assignment) => !isRbac(snapshot) || !custom.some((id) => assignment.startsWith(id)))
    },
  },
]

function isRbac(snapshot: Snapshot): boolean {
  return vaultsOf(snapshot).every((vault) => propertiesOf(vault)['enableRbacAuthorization'] === true)
}

interface Entry {
  readonly objectId: string
  readonly permissions: Json
}

function entries(snapshot: Snapshot, type: string): readonly Entry[] {
  return resources(snapshot, type).flatMap((resource) => objects<Entry>(propertiesOf(resource)['accessPolicies']))
}

function brokerEntries(snapshot: Snapshot): readonly Entry[] {
  return entries(snapshot, 'Microsoft.KeyVault/vaults').filter(({ objectId }) => isIdentity(objectId))
}

function isIdentity(principal: unknown): boolean {
  return /userAssignedIdentities\/id-broker-[a-z0-9]{13}'.*principalId/.test(String(principal))
}

function dataActionsOf(snapshot: Snapshot, roleName: string): string[] {
  return resources(snapshot, 'Microsoft.Authorization/roleDefinitions')
    .map(propertiesOf)
    .filter((role) => String(role['roleName']).startsWith(roleName))
    .flatMap((role) => objects(role['permissions']))
    .flatMap(({ actions, dataActions }) => [...list(actions), ...list(dataActions)])
}

function describeAssignment(assignment: PredictedResource): string {
  const { roleDefinitionId, principalId } = propertiesOf(assignment)
  const assignee = isIdentity(principalId)
    ? 'broker'
    : isHostIdentity(principalId)
      ? 'host'
      : /systemTopics/.test(String(principalId))
        ? 'systemTopics'
        : 'person'
  return `${String(roleDefinitionId).split('/').at(-1) ?? ''} ${scopeOf(assignment.id)} ${assignee}`
}

function compareAreas(granted: Json, allowed: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(allowed).flatMap(([area, permissions]) => compare(area, list(granted[area]), permissions))
}
