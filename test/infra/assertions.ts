/**
 * What must hold for the predicted resources of every deployment, one rule each. The linter sees none of this. A rule
 * answers with what breaks it, in words; mutants.test.ts shows for each that it can.
 */
import { hostDeclarations } from '../../shared/settings/declarations.ts'
import { findSecret } from '../../shared/settings/secrets.ts'
import type { PredictedResource, Snapshot } from '../setup/bicep.ts'

export interface Rule {
  readonly name: string
  readonly violations: (snapshot: Snapshot) => readonly string[]
}

type Json = Readonly<Record<string, unknown>>

const allowedPermissions = {
  broker: { certificates: ['get', 'list'], keys: ['get', 'sign', 'wrapKey', 'unwrapKey'], secrets: [], storage: [] },
  officer: { certificates: ['get', 'list', 'create', 'update'], keys: [], secrets: [], storage: [] },
  reader: { certificates: ['get', 'list'], keys: [], secrets: [], storage: [] },
}

const brokerDataActions = [
  'Microsoft.KeyVault/vaults/certificates/read',
  'Microsoft.KeyVault/vaults/keys/read',
  'Microsoft.KeyVault/vaults/keys/sign/action',
  'Microsoft.KeyVault/vaults/keys/wrap/action',
  'Microsoft.KeyVault/vaults/keys/unwrap/action',
]
const readerDataActions = ['Microsoft.KeyVault/vaults/certificates/read']
const officerDataActions = [
  'Microsoft.KeyVault/vaults/certificates/read',
  'Microsoft.KeyVault/vaults/certificates/create/action',
  'Microsoft.KeyVault/vaults/certificates/update/action',
]

/** Who has what where, besides the custom roles of the vault: the role's id, the scope's type, who. */
const roleAssignments = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b storageAccounts identity',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3 storageAccounts identity',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe containers systemTopics',
  '3913510d-42f4-4e42-8a64-420c390055eb components identity',
]

/** Every control-plane version of Key Vault before this one retires on 27 February 2027. */
const oldestVaultVersion = '2026-02-01'
/** Of the others, none older than this, unless there is nothing newer. */
const oldestVersion = '2022-01-01'
const nothingNewer = [
  'Microsoft.Insights/components@2020-02-02',
  'Microsoft.Insights/diagnosticSettings@2021-05-01-preview',
]

const untaggable =
  /^Microsoft\.(Authorization|KeyVault\/vaults\/accessPolicies|Insights\/diagnosticSettings|EventGrid\/systemTopics\/eventSubscriptions|Storage\/storageAccounts\/|Web\/sites\/(config|basicPublishing|hostNameBindings))/

/** Error 51021 on Flex Consumption, in some regions; the compiler says nothing. */
const refusedSiteConfig = [
  'alwaysOn',
  'ftpsState',
  'linuxFxVersion',
  'windowsFxVersion',
  'netFrameworkVersion',
  'use32BitWorkerProcess',
  'functionAppScaleLimit',
  'preWarmedInstanceCount',
  'functionsRuntimeScaleMonitoringEnabled',
  'minimumElasticInstanceCount',
  'healthCheckPath',
]

const forbiddenSettings = [
  'FUNCTIONS_WORKER_RUNTIME',
  'FUNCTIONS_EXTENSION_VERSION',
  'WEBSITE_RUN_FROM_PACKAGE',
  'WEBSITE_CONTENTSHARE',
  'WEBSITE_CONTENTAZUREFILECONNECTIONSTRING',
  'SCM_DO_BUILD_DURING_DEPLOYMENT',
  'ENABLE_ORYX_BUILD',
  'WEBSITE_TIME_ZONE',
  'TZ',
  'WEBSITE_LOAD_CERTIFICATES',
  'AzureWebJobsStorage',
  // What only a laptop has.
  ...hostDeclarations.map(({ name }) => name).filter((name) => name !== 'AzureWebJobsDisableHomepage'),
]

/** The names of all app settings, but for the optional object id. */
const knownSettings = [
  'AzureAd__Instance',
  'AzureAd__TenantId',
  'AzureAd__ClientId',
  'AzureAd__ClientCredentials__0__SourceType',
  'AzureAd__ClientCredentials__0__KeyVaultUrl',
  'AzureAd__ClientCredentials__0__KeyVaultCertificateName',
  'Broker__ApplicationObjectId',
  'Broker__BaseUrl',
  'Broker__FrontEnds',
  'Broker__TableServiceUri',
  'Broker__TablePrefix',
  'Broker__WrappingKeyName',
  'Broker__ResponseMode',
  'Broker__SignInSeconds',
  'Broker__SessionIdleSeconds',
  'Broker__SessionAbsoluteSeconds',
  'Broker__SessionCacheSeconds',
  'AZURE_CLIENT_ID',
  'AzureWebJobsStorage__accountName',
  'AzureWebJobsStorage__credential',
  'AzureWebJobsStorage__clientId',
  'AzureWebJobsDisableHomepage',
  'APPLICATIONINSIGHTS_CONNECTION_STRING',
  'APPLICATIONINSIGHTS_AUTHENTICATION_STRING',
]

export const rules: readonly Rule[] = [
  {
    name: 'the identity of the broker may do in the vault what it does, and nothing else',
    violations: (snapshot) =>
      isRbac(snapshot)
        ? compare('roles of the broker', dataActionsOf(snapshot, 'Certificate token broker of'), brokerDataActions)
        : brokerEntries(snapshot).length === 1
          ? brokerEntries(snapshot).flatMap(({ permissions }) => compareAreas(permissions, allowedPermissions.broker))
          : [`the identity has ${brokerEntries(snapshot).length} entries`],
  },
  {
    name: 'nobody else has more in the vault than they were given',
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
          ? ['the identity of the broker is among those who make certificates']
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
    name: 'the deploying person may make the certificate in the first pass only',
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
      return compare('permissions of who deploys', granted, expected)
    },
  },
  {
    name: 'the vault keeps what is deleted, says how permissions are given, and writes an audit log',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.KeyVault/vaults').flatMap((vault) => {
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
          ...(typeof properties['enableRbacAuthorization'] === 'boolean'
            ? []
            : ['enableRbacAuthorization is not said']),
          ...(logs.some(({ categoryGroup, enabled }) => categoryGroup === 'audit' && enabled === true)
            ? []
            : ['no audit log']),
        ]
      }),
  },
  {
    name: 'the wrapping key wraps, unwraps and signs the rows of the key ring, and does nothing else',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.KeyVault/vaults/keys').flatMap((key) => [
        ...compare('keyOps', list(propertiesOf(key)['keyOps']), ['sign', 'wrapKey', 'unwrapKey']),
        ...expectMembers('key', propertiesOf(key), { keySize: 3072 }),
      ]),
  },
  {
    name: 'nothing is a certificate, secret or deployment script of ARM',
    violations: ({ predictedResources }) =>
      predictedResources
        .filter(({ type }) => /vaults\/(secrets|certificates)$|deploymentScripts/i.test(type))
        .map(({ type }) => type),
  },
  {
    name: 'no key is listed: nothing calls list*()',
    violations: (snapshot) =>
      texts(snapshot)
        .filter(({ text }) => /\blist[A-Z]\w*\s*\(/.test(text))
        .map(({ place }) => `${place} lists a key`),
  },
  {
    name: 'no setting and no output is a secret',
    violations: (snapshot) => [
      ...Object.entries(settingsOf(snapshot))
        .filter(([name, value]) => looksSecret(name, value))
        .map(([name]) => `setting ${name}`),
      ...Object.entries(snapshot.outputs)
        .filter(([name, value]) => looksSecret(name, String(value)))
        .map(([name]) => `output ${name}`),
    ],
  },
  {
    name: 'the app settings are these, none of them one that the plan forbids',
    violations: (snapshot) =>
      Object.keys(settingsOf(snapshot)).flatMap((name) =>
        forbiddenSettings.includes(name)
          ? [`${name} is forbidden`]
          : knownSettings.includes(name)
            ? []
            : [`${name} is unknown`],
      ),
  },
  {
    name: 'storage is reached by identity, over TLS, and by nobody without',
    violations: (snapshot) => [
      ...resources(snapshot, 'Microsoft.Storage/storageAccounts').flatMap((account) =>
        expectMembers('storage', propertiesOf(account), {
          allowSharedKeyAccess: false,
          allowBlobPublicAccess: false,
          allowCrossTenantReplication: false,
          defaultToOAuthAuthentication: true,
          isLocalUserEnabled: false,
          minimumTlsVersion: 'TLS1_2',
          supportsHttpsTrafficOnly: true,
        }),
      ),
      ...resources(snapshot, 'Microsoft.Storage/storageAccounts/blobServices/containers').flatMap((container) =>
        expectMembers(container.name, propertiesOf(container), { publicAccess: 'None' }),
      ),
      ...resources(snapshot, 'Microsoft.Storage/storageAccounts/blobServices').flatMap((service) =>
        ['deleteRetentionPolicy', 'containerDeleteRetentionPolicy'].flatMap((policy) =>
          expectMembers(policy, (propertiesOf(service)[policy] ?? {}) as Json, { enabled: true }),
        ),
      ),
    ],
  },
  {
    name: 'telemetry is taken from identities only',
    violations: (snapshot) => [
      ...resources(snapshot, 'Microsoft.Insights/components').flatMap((component) => [
        ...expectMembers('component', propertiesOf(component), {
          DisableLocalAuth: true,
          IngestionMode: 'LogAnalytics',
        }),
        ...('WorkspaceResourceId' in propertiesOf(component) ? [] : ['component without a workspace']),
      ]),
      ...resources(snapshot, 'Microsoft.OperationalInsights/workspaces').flatMap((workspace) =>
        expectMembers('workspace', (propertiesOf(workspace)['features'] ?? {}) as Json, { disableLocalAuth: true }),
      ),
    ],
  },
  {
    name: 'the site speaks TLS 1.2 and HTTP/2 and is published and debugged by nobody with a password',
    violations: (snapshot) => [
      ...resources(snapshot, 'Microsoft.Web/sites').flatMap((site) => [
        ...expectMembers('site', propertiesOf(site), { httpsOnly: true }),
        ...expectMembers('siteConfig', siteConfigOf(site), {
          minTlsVersion: '1.2',
          scmMinTlsVersion: '1.2',
          http20Enabled: true,
          remoteDebuggingEnabled: false,
        }),
        ...((site['identity'] as Json | undefined)?.['type'] === 'UserAssigned'
          ? []
          : ['identity is not user-assigned']),
        ...(site.tags?.['azd-service-name'] === 'broker' ? [] : ['azd finds no service here']),
      ]),
      ...['ftp', 'scm'].flatMap((way) => {
        const policy = resources(snapshot, 'Microsoft.Web/sites/basicPublishingCredentialsPolicies').find(({ name }) =>
          name.endsWith(`/${way}`),
        )
        return expectMembers(`publishing by ${way}`, propertiesOf(policy), { allow: false })
      }),
    ],
  },
  {
    name: 'the site has no property that Flex Consumption refuses',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.Web/sites').flatMap((site) =>
        Object.keys(siteConfigOf(site)).filter((name) => refusedSiteConfig.includes(name)),
      ),
  },
  {
    name: 'the role assignments are exactly these',
    violations: (snapshot) =>
      compare(
        'role assignments',
        resources(snapshot, 'Microsoft.Authorization/roleAssignments')
          .map(describeAssignment)
          .filter((assignment) => !assignment.includes(' vaults ')),
        roleAssignments,
      ),
  },
  {
    name: 'in the vault only custom roles are assigned, and only where it is run by roles',
    violations: (snapshot) => {
      const custom = resources(snapshot, 'Microsoft.Authorization/roleDefinitions').map(({ name }) => name)
      return resources(snapshot, 'Microsoft.Authorization/roleAssignments')
        .map(describeAssignment)
        .filter((assignment) => assignment.includes(' vaults '))
        .filter((assignment) => !isRbac(snapshot) || !custom.some((id) => assignment.startsWith(id)))
    },
  },
  {
    name: 'no API version is about to retire',
    violations: ({ predictedResources }) =>
      predictedResources.flatMap(({ type, apiVersion }) => {
        if (type.startsWith('Microsoft.KeyVault/') && apiVersion < oldestVaultVersion) return [`${type}@${apiVersion}`]
        if (nothingNewer.includes(`${type}@${apiVersion}`)) return []
        return apiVersion < oldestVersion || apiVersion.endsWith('-preview') ? [`${type}@${apiVersion}`] : []
      }),
  },
  {
    name: 'every resource that can have tags has them',
    violations: ({ predictedResources }) =>
      predictedResources
        .filter(({ type }) => !untaggable.test(type))
        .filter(({ tags }) => !tags?.['azd-env-name'] || !tags['application'])
        .map(({ type, name }) => `${type} ${name}`),
  },
  {
    name: 'alerts come straight from the vault, and only what needs the code waits for it',
    violations: (snapshot) => {
      const kinds = resources(snapshot, 'Microsoft.EventGrid/systemTopics/eventSubscriptions').map((subscription) => {
        const { destination, filter } = propertiesOf(subscription) as { destination: Json; filter: Json }
        return `${String(destination['endpointType'])}: ${list(filter['includedEventTypes']).join(' ')}`
      })
      const always = [
        'MonitorAlert: Microsoft.KeyVault.CertificateNearExpiry',
        'MonitorAlert: Microsoft.KeyVault.CertificateExpired',
      ]
      const later =
        'AzureFunction: Microsoft.KeyVault.CertificateNewVersionCreated Microsoft.KeyVault.CertificateNearExpiry Microsoft.KeyVault.CertificateExpired'
      return compareOneOf('event subscriptions', kinds, [always, [...always, later]])
    },
  },
  {
    name: 'every alert is on, ends by itself and tells the action group',
    violations: (snapshot) => {
      const told = (group: unknown) => /\/actionGroups\/ag-broker-\w+$/.test(String(group))
      return [
        ...resources(snapshot, 'Microsoft.Insights/metricAlerts').map((alert) => ({
          alert,
          groups: objects(propertiesOf(alert)['actions']).map(({ actionGroupId }) => actionGroupId),
        })),
        ...resources(snapshot, 'Microsoft.Insights/scheduledQueryRules').map((alert) => ({
          alert,
          groups: list((propertiesOf(alert)['actions'] as Json | undefined)?.['actionGroups']),
        })),
      ].flatMap(({ alert, groups }) => [
        ...expectMembers(alert.name, propertiesOf(alert), { enabled: true, autoMitigate: true }),
        ...(groups.some(told) ? [] : [`${alert.name} tells nobody`]),
        ...(String(propertiesOf(alert)['description']).length > 20 ? [] : [`${alert.name} does not say what it means`]),
      ])
    },
  },
  {
    name: 'the log alerts come with the code, ask the workspace, and say in the mail which code or event it is',
    violations: (snapshot) => {
      const isSecond = resources(snapshot, 'Microsoft.Insights/webtests').length > 0
      const alerts = resources(snapshot, 'Microsoft.Insights/scheduledQueryRules')
      const described = alerts.map((alert) => {
        const { evaluationFrequency, windowSize, severity } = propertiesOf(alert)
        const dimensions = conditionsOf(alert).flatMap((condition) => objects(condition['dimensions']))
        const split = dimensions.map(({ name, operator, values }) => [name, operator, ...list(values)].join(' '))
        const [, kind] = /^func-broker-[a-z0-9]+-([a-z-]+)$/.exec(alert.name) ?? []
        return [kind, severity, evaluationFrequency, windowSize, ...split].join(', ')
      })
      return [
        ...compare(
          'log alerts',
          described,
          isSecond
            ? ['sign-in-fails, 1, PT5M, PT15M, code Include *', 'certificate, 1, PT15M, P1D, event Include *']
            : [],
        ),
        ...alerts.flatMap((alert) => [
          // A table is there once something was reported: validated, the first deployment fails.
          ...expectMembers(alert.name, propertiesOf(alert), { skipQueryValidation: true }),
          ...unknownOf(
            list(propertiesOf(alert)['scopes']).map((scope) => scope.split('/').at(-2) ?? ''),
            ['workspaces'],
            'scope',
          ),
        ]),
      ]
    },
  },
]

/** What the broker reads in Azure: the template's settings, with what ARM would fill in. */
export function settingsAsDeployed(snapshot: Snapshot): Record<string, string> {
  const identity = '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa'
  const token = 'k7m2p4q6r8s3t'
  const known: readonly (readonly [RegExp, string])[] = [
    [/^\[environment\(\)\.authentication\.loginEndpoint\]$/, 'https://login.microsoftonline.com/'],
    [/\.vaultUri\]$/, `https://kv-${token}.vault.azure.net/`],
    [/\.primaryEndpoints\.table\]$/, `https://st${token}.table.core.windows.net/`],
    [
      /\.ConnectionString\]$/,
      'InstrumentationKey=9d1c3b5a-7f2e-4c68-a0d4-6b8e1f3a5c7d;IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/',
    ],
    [
      /^\[format\('https:\/\/\{0\}', reference\(.*\)\.defaultHostName\)\]$/,
      `https://func-broker-${token}.azurewebsites.net`,
    ],
    [/^\[format\('ClientId=\{0\};Authorization=AAD', .*\]$/, `ClientId=${identity};Authorization=AAD`],
    [/userAssignedIdentities\/.*\.clientId\]$/, identity],
  ]
  return Object.fromEntries(
    Object.entries(settingsOf(snapshot)).map(([name, value]) => {
      if (!value.startsWith('[') || name === 'Broker__FrontEnds') return [name, value]
      const filled = known.find(([pattern]) => pattern.test(value))?.[1]
      if (filled === undefined) throw new Error(`Nobody knows what ARM makes of ${name}: ${value}`)
      return [name, filled]
    }),
  )
}

export function resources({ predictedResources }: Snapshot, type: string): readonly PredictedResource[] {
  return predictedResources.filter((resource) => resource.type === type)
}

export function propertiesOf(resource: PredictedResource | undefined): Json {
  return (resource?.['properties'] ?? {}) as Json
}

/** What an alert compares: the members of its condition, and the query of a log alert. */
export function conditionsOf(alert: PredictedResource | undefined): readonly Json[] {
  return objects((propertiesOf(alert)['criteria'] as Json | undefined)?.['allOf'])
}

function settingsOf(snapshot: Snapshot): Readonly<Record<string, string>> {
  const [settings] = resources(snapshot, 'Microsoft.Web/sites/config').filter(({ name }) =>
    name.endsWith('/appsettings'),
  )
  return propertiesOf(settings) as Readonly<Record<string, string>>
}

function siteConfigOf(site: PredictedResource): Json {
  return (propertiesOf(site)['siteConfig'] ?? {}) as Json
}

function looksSecret(name: string, value: string): boolean {
  // The connection string names an instrumentation key, which opens nothing: the component takes identities only.
  if (name === 'APPLICATIONINSIGHTS_CONNECTION_STRING') return !/\.ConnectionString\]$/.test(value)
  return (
    findSecret(name, value) !== undefined ||
    findSecret(`Broker__${name}`, value) !== undefined ||
    /\b(sig|AccountKey|SharedAccessKey|password|pwd)\s*=/i.test(value)
  )
}

function isRbac(snapshot: Snapshot): boolean {
  return resources(snapshot, 'Microsoft.KeyVault/vaults').every(
    (vault) => propertiesOf(vault)['enableRbacAuthorization'] === true,
  )
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
  return /userAssignedIdentities\/.*principalId/.test(String(principal))
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
  const scope = assignment.id.split('/providers/Microsoft.Authorization/')[0] ?? ''
  const who = isIdentity(principalId)
    ? 'identity'
    : /systemTopics/.test(String(principalId))
      ? 'systemTopics'
      : 'person'
  return `${String(roleDefinitionId).split('/').at(-1) ?? ''} ${scope.split('/').at(-2) ?? ''} ${who}`
}

function objects<T = Json>(value: unknown): T[] {
  return Array.isArray(value) ? (value as T[]) : []
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? (value as string[]) : []
}

function texts(snapshot: Snapshot): { place: string; text: string }[] {
  const found: { place: string; text: string }[] = []
  const walk = (value: unknown, place: string) => {
    if (typeof value === 'string') found.push({ place, text: value })
    else if (typeof value === 'object' && value !== null)
      for (const [member, inner] of Object.entries(value)) walk(inner, `${place}.${member}`)
  }
  for (const resource of snapshot.predictedResources) walk(resource, resource.type)
  walk(snapshot.outputs, 'outputs')
  return found
}

function compareAreas(granted: Json, allowed: Readonly<Record<string, readonly string[]>>): string[] {
  return Object.entries(allowed).flatMap(([area, permissions]) => compare(area, list(granted[area]), permissions))
}

function compare(what: string, found: readonly string[], expected: readonly string[]): string[] {
  const [here, there] = [[...found].sort(), [...expected].sort()]
  return JSON.stringify(here) === JSON.stringify(there)
    ? []
    : [`${what}: ${here.join(', ') || 'nothing'} instead of ${there.join(', ') || 'nothing'}`]
}

function compareOneOf(what: string, found: readonly string[], several: readonly (readonly string[])[]): string[] {
  const faults = several.map((expected) => compare(what, found, expected))
  return faults.some((fault) => fault.length === 0) ? [] : (faults[0] ?? [])
}

function unknownOf(found: readonly string[], allowed: readonly string[], area: string): string[] {
  return found.filter((permission) => !allowed.includes(permission)).map((permission) => `${area} ${permission}`)
}

function expectMembers(what: string, found: Json, expected: Json): string[] {
  return Object.entries(expected)
    .filter(([member, value]) => found[member] !== value)
    .map(([member, value]) => `${what}: ${member} is ${JSON.stringify(found[member])} and not ${JSON.stringify(value)}`)
}
