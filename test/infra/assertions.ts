/**
 * Rules for the predicted resources of every deployment. The linter checks none of this. A rule returns its violations as
 * sentences; mutants.ts has at least one changed template for each rule.
 */
import { allDeclarations, hostDeclarations } from '../../shared/settings/declarations.ts'
import { findSecret } from '../../shared/settings/secrets.ts'
import type { PredictedResource, Snapshot } from '../setup/bicep.ts'

/** The snapshots that are committed: public network, the same in the second pass, private network behind Front Door. */
export const reviewedSnapshots = ['default', 'default-second', 'private']

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

/** All role assignments outside the vault: the role's id, the type and name of the scope, the assignee. */
const roleAssignments = [
  'b7e6dc6d-f1e8-4753-8033-0f276bb0955b storageAccounts/st host',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe storageAccounts/stpkg host',
  '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3 storageAccounts/st broker',
  'ba92f5b4-2d11-453d-a403-e96b0029c9fe containers/dead-letters systemTopics',
  '3913510d-42f4-4e42-8a64-420c390055eb components/appi-broker- broker',
]

/** Every control-plane version of Key Vault before this one retires on 27 February 2027. */
const oldestVaultVersion = '2026-02-01'
/** The oldest API version of every other type, except where there is no newer one. */
const oldestVersion = '2022-01-01'
const newestOfTheirType = [
  'Microsoft.Authorization/locks@2020-05-01',
  'Microsoft.Insights/components@2020-02-02',
  'Microsoft.Insights/diagnosticSettings@2021-05-01-preview',
]

const untaggable =
  /^Microsoft\.(Authorization|Consumption|KeyVault\/vaults\/accessPolicies|Insights\/diagnosticSettings|EventGrid\/systemTopics\/eventSubscriptions|Network\/privateEndpoints\/|Storage\/storageAccounts\/|Web\/sites\/(config|basicPublishing|hostNameBindings))/

const token = 'k7m2p4q6r8s3t'

/** Some regions refuse these with error 51021 on Flex Consumption. The compiler accepts them. */
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
  // Settings of a laptop.
  ...hostDeclarations.map(({ name }) => name).filter((name) => name !== 'AzureWebJobsDisableHomepage'),
]

/** Every documented setting of the broker, and the settings of the host. */
const knownSettings = [
  ...allDeclarations.map(({ name }) => name),
  'AzureWebJobsStorage__accountName',
  'AzureWebJobsStorage__blobServiceUri',
  'AzureWebJobsStorage__queueServiceUri',
  'AzureWebJobsStorage__tableServiceUri',
  'AzureWebJobsStorage__credential',
  'AzureWebJobsStorage__clientId',
  'AzureWebJobsDisableHomepage',
]

export const rules: readonly Rule[] = [
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
    name: 'no expression calls list*(), which returns keys',
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
    name: 'every app setting is documented, and the plan accepts it',
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
    name: 'storage accepts identities over TLS only',
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
    name: 'telemetry is accepted from identities only',
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
    name: 'the site has TLS 1.2 and HTTP/2, and no publishing with a password and no debugger',
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
        ...(site.tags?.['azd-service-name'] === 'broker' ? [] : ['azd does not find the service']),
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
  {
    name: 'no API version retires soon',
    violations: ({ predictedResources }) =>
      predictedResources.flatMap(({ type, apiVersion }) => {
        if (type.startsWith('Microsoft.KeyVault/') && apiVersion < oldestVaultVersion) return [`${type}@${apiVersion}`]
        if (newestOfTheirType.includes(`${type}@${apiVersion}`)) return []
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
    name: 'the alerts of the vault exist before the code, and the subscription of the function after it',
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
    name: 'every alert is enabled, resolves itself and notifies every action group',
    violations: (snapshot) => {
      const isOwn = (group: unknown) => /\/actionGroups\/ag-broker-\w+$/.test(String(group))
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
        ...(groups.some(isOwn) ? [] : [`${alert.name} notifies no action group`]),
        ...(String(propertiesOf(alert)['description']).length > 20 ? [] : [`${alert.name} has no description`]),
      ])
    },
  },
  {
    name: 'the log alerts exist in the second pass, query the workspace, and name the code or event in the mail',
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
            ? [
                'sign-in-fails, 1, PT5M, PT15M, code Include *',
                'certificate, 1, PT15M, P1D, event Include *',
                'second-credential, 1, PT5M, PT15M, code Include *',
                'operator-ends-sessions, 2, PT15M, PT15M, selector Include *',
                'other-identity, 1, PT15M, PT15M, RequesterObjectId Include *',
              ]
            : [],
        ),
        ...alerts.flatMap((alert) => [
          // The table does not exist before the first report: with validation, the first deployment fails.
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
  {
    name: 'the package has an account and an identity apart from the data of the broker',
    violations: (snapshot) => {
      const [site] = resources(snapshot, 'Microsoft.Web/sites')
      const storage = memberOf(propertiesOf(site), 'functionAppConfig', 'deployment', 'storage')
      const identity = String(memberOf(storage, 'authentication')['userAssignedIdentityResourceId'])
      const settings = settingsOf(snapshot)
      const attached = Object.keys(memberOf(site ?? {}, 'identity', 'userAssignedIdentities'))
      return [
        ...(/storageAccounts\/stpkg\w+', '[^']*'\)\.primaryEndpoints\.blob, 'package'\)\]$/.test(
          String(storage['value']),
        )
          ? []
          : ['the package is not in its own account']),
        ...(isHostIdentity(identity) ? [] : ['the package is read with another identity than that of the host']),
        ...(isHostIdentity(settings['AzureWebJobsStorage__clientId'])
          ? []
          : ['the host uses another identity than its own']),
        ...['AZURE_CLIENT_ID', 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING']
          .filter((name) => !/userAssignedIdentities\/id-broker-[a-z0-9]{13}'/.test(String(settings[name])))
          .map((name) => `${name} is not the identity of the broker`),
        ...compare(
          'identities of the app',
          attached.map((id) => (isHostIdentity(id) ? 'host' : 'broker')),
          ['broker', 'host'],
        ),
      ]
    },
  },
  {
    name: 'access to tables and package, and failed deliveries of Event Grid, are logged',
    violations: (snapshot) =>
      compare(
        'logs',
        resources(snapshot, 'Microsoft.Insights/diagnosticSettings').flatMap(({ id, ...setting }) =>
          objects(propertiesOf(setting as PredictedResource)['logs'])
            // Reads of the tables are a choice (auditTableReads).
            .filter(({ enabled, category }) => enabled === true && category !== 'StorageRead')
            .map(
              ({ category, categoryGroup }) =>
                `${scopeOf(id).replace(/\/default$/, '')}: ${String(category ?? categoryGroup)}`,
            ),
        ),
        [
          'vaults: audit',
          'tableServices: StorageWrite',
          'tableServices: StorageDelete',
          'blobServices: StorageWrite',
          'blobServices: StorageDelete',
          'systemTopics: DeliveryFailures',
        ].map((log) =>
          log.replace('vaults', `vaults/${vaultNameOf(snapshot)}`).replace('systemTopics', 'systemTopics/evgt-broker-'),
        ),
      ),
  },
  {
    name: 'a private network closes vault and storage, and a public one leaves no part of it behind',
    violations: (snapshot) => {
      const [site] = resources(snapshot, 'Microsoft.Web/sites')
      const { virtualNetworkSubnetId, outboundVnetRouting } = propertiesOf(site)
      const isPrivate = typeof virtualNetworkSubnetId === 'string'
      const [vault] = vaultsOf(snapshot)
      const addresses = objects(memberOf(propertiesOf(vault), 'networkAcls')['ipRules'])
      const endpoints = resources(snapshot, 'Microsoft.Network/privateEndpoints').flatMap((endpoint) =>
        objects(propertiesOf(endpoint)['privateLinkServiceConnections']).map((connection) => {
          const { privateLinkServiceId, groupIds } = connection['properties'] as Json
          return `${String(privateLinkServiceId).split('/').slice(-2).join('/').replace(token, '')} ${list(groupIds).join(' ')}`
        }),
      )
      return [
        ...expectMembers('vault', propertiesOf(vault), {
          publicNetworkAccess: isPrivate && addresses.length === 0 ? 'Disabled' : 'Enabled',
        }),
        ...expectMembers('vault', memberOf(propertiesOf(vault), 'networkAcls'), {
          defaultAction: isPrivate ? 'Deny' : 'Allow',
          bypass: 'None',
        }),
        ...resources(snapshot, 'Microsoft.Storage/storageAccounts').flatMap((account) => [
          ...expectMembers(account.name, propertiesOf(account), {
            publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled',
          }),
          ...expectMembers(account.name, memberOf(propertiesOf(account), 'networkAcls'), {
            defaultAction: isPrivate ? 'Deny' : 'Allow',
            bypass: isPrivate && !account.name.startsWith('stpkg') ? 'AzureServices' : 'None',
          }),
        ]),
        ...(isPrivate === (memberOf({ outboundVnetRouting }, 'outboundVnetRouting')['allTraffic'] === true)
          ? []
          : ['outbound traffic of the app bypasses the network']),
        ...compare(
          'private endpoints',
          endpoints,
          isPrivate
            ? [
                `vaults/${vaultNameOf(snapshot)} vault`,
                'storageAccounts/st blob',
                'storageAccounts/st table',
                'storageAccounts/stpkg blob',
              ]
            : [],
        ),
      ]
    },
  },
  {
    name: 'a network of the template has the subnets that Flex Consumption needs, and DNS for every endpoint',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.Network/virtualNetworks').flatMap((network) => {
        const subnets = objects(propertiesOf(network)['subnets'])
        const app = subnets.find(({ name }) => name === 'app')
        const zones = resources(snapshot, 'Microsoft.Network/privateDnsZones').map(({ name }) => name)
        const inGroups = resources(snapshot, 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups').flatMap(
          (group) => objects(propertiesOf(group)['privateDnsZoneConfigs']).map(({ name }) => String(name)),
        )
        return [
          ...compare(
            'delegations of the subnet of the app',
            objects(memberOf(app ?? {}, 'properties')['delegations']).map((delegation) =>
              String(memberOf(delegation, 'properties')['serviceName']),
            ),
            ['Microsoft.App/environments'],
          ),
          ...subnets.flatMap((subnet) => {
            const size = Number(String(memberOf(subnet, 'properties')['addressPrefix']).split('/')[1])
            return [
              ...(size <= 27 ? [] : [`subnet ${String(subnet['name'])} is smaller than /27`]),
              ...(String(subnet['name']).includes('_') ? [`subnet ${String(subnet['name'])} has an underscore`] : []),
              ...('networkSecurityGroup' in memberOf(subnet, 'properties') ? [] : ['subnet without a security group']),
            ]
          }),
          ...('natGateway' in memberOf(app ?? {}, 'properties') ? [] : ['the app has no way to the internet']),
          ...(zones.length === 0 ? [] : compare('endpoints in DNS', inGroups, ['vault', 'blob', 'table', 'blob'])),
          ...compare(
            'linked zones',
            resources(snapshot, 'Microsoft.Network/privateDnsZones/virtualNetworkLinks').map(({ name }) =>
              name.replace(/^\[format\('\{0\}\/\{1\}', (.*), '[^']+'\)\]$/, '[$1]'),
            ),
            zones,
          ),
        ]
      }),
  },
  {
    name: 'behind Front Door only its requests and those of Event Grid reach the app',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.Web/sites').flatMap((site) => {
        const { ipSecurityRestrictionsDefaultAction: action, ipSecurityRestrictions } = siteConfigOf(site)
        const restrictions = objects(ipSecurityRestrictions).map(
          ({ action: rule, tag, ipAddress, headers }) =>
            `${String(rule)} ${String(tag)} ${String(ipAddress)} ${list((headers as Json | undefined)?.['x-azure-fdid']).join(' ')}`,
        )
        const isDefaultHost = settingsOf(snapshot)['Broker__BaseUrl']?.includes('defaultHostName')
        if (action === 'Allow') return compare('restrictions', restrictions, [])
        return [
          ...expectMembers('site', siteConfigOf(site), { ipSecurityRestrictionsDefaultAction: 'Deny' }),
          ...(isDefaultHost ? ['the base URL is not the domain of Front Door'] : []),
          ...compare('restrictions', restrictions, [
            'Allow ServiceTag AzureFrontDoor.Backend 7c9e2b1a-4d5f-4e6a-8b0c-1d2e3f405162',
            'Allow ServiceTag AzureEventGrid ',
          ]),
        ]
      }),
  },
  {
    name: 'zone redundancy covers plan and storage, and locks cover vault and storage',
    violations: (snapshot) => {
      const [plan] = resources(snapshot, 'Microsoft.Web/serverfarms')
      const isZoned = propertiesOf(plan)['zoneRedundant'] === true
      const locked = resources(snapshot, 'Microsoft.Authorization/locks').map(
        ({ id, ...lock }) => `${scopeOf(id)} ${String(propertiesOf(lock as PredictedResource)['level'])}`,
      )
      return [
        ...resources(snapshot, 'Microsoft.Storage/storageAccounts').flatMap((account) =>
          expectMembers(account.name, account['sku'] as Json, { name: isZoned ? 'Standard_ZRS' : 'Standard_LRS' }),
        ),
        ...compareOneOf('locks', locked, [
          [],
          [
            `vaults/${vaultNameOf(snapshot)} CanNotDelete`,
            'storageAccounts/st CanNotDelete',
            'storageAccounts/stpkg CanNotDelete',
          ],
        ]),
      ]
    },
  },
  {
    name: 'a budget notifies the action group before and when it is spent',
    violations: (snapshot) =>
      resources(snapshot, 'Microsoft.Consumption/budgets').flatMap((budget) => {
        const notifications = Object.values(memberOf(propertiesOf(budget), 'notifications')) as Json[]
        return [
          ...compare(
            'notifications',
            notifications.map(({ enabled, thresholdType, threshold }) =>
              [enabled, thresholdType, threshold].map(String).join(' '),
            ),
            ['true Forecasted 80', 'true Actual 100'],
          ),
          ...notifications
            .filter(
              ({ contactGroups }) => !list(contactGroups).some((group) => group.includes('/actionGroups/ag-broker-')),
            )
            .map(() => 'a notification without the action group'),
        ]
      }),
  },
]

/** The app settings of the template, with the values that ARM would compute. */
export function settingsAsDeployed(snapshot: Snapshot): Record<string, string> {
  const identity = '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa'
  const known: readonly (readonly [RegExp, string])[] = [
    [/^\[environment\(\)\.authentication\.loginEndpoint\]$/, 'https://login.microsoftonline.com/'],
    [/\.vaultUri\]$/, `https://kv-${token}.vault.azure.net/`],
    [/\.primaryEndpoints\.(table|queue|blob)\]$/, `https://st${token}.table.core.windows.net/`],
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
      if (filled === undefined) throw new Error(`No known value for the expression of ${name}: ${value}`)
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

/** The conditions of an alert, with the query of a log alert. */
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
  // The instrumentation key in the connection string is no secret: the component accepts identities only.
  if (name === 'APPLICATIONINSIGHTS_CONNECTION_STRING') return !/\.ConnectionString\]$/.test(value)
  return (
    findSecret(name, value) !== undefined ||
    findSecret(`Broker__${name}`, value) !== undefined ||
    /\b(sig|AccountKey|SharedAccessKey|password|pwd)\s*=/i.test(value)
  )
}

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

function isHostIdentity(expression: unknown): boolean {
  return /userAssignedIdentities\/id-broker-host-[a-z0-9]{13}/.test(String(expression))
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

/** Type and name of the resource that an extension resource (a role assignment, a lock, a diagnostic setting) belongs to. */
function scopeOf(id: string): string {
  const [scope = ''] = id.split(
    /\/providers\/Microsoft\.(?:Authorization|Insights)\/(?:roleAssignments|locks|diagnosticSettings)/,
  )
  return scope.split('/').slice(-2).join('/').replace(token, '')
}

function vaultsOf(snapshot: Snapshot): readonly PredictedResource[] {
  return resources(snapshot, 'Microsoft.KeyVault/vaults')
}

function vaultNameOf(snapshot: Snapshot): string {
  return (resources(snapshot, 'Microsoft.KeyVault/vaults')[0]?.name ?? '').replace(token, '')
}

/** An inner object, or an empty one. */
function memberOf(value: Json, ...path: readonly string[]): Json {
  return path.reduce<Json>((inner, member) => (inner[member] ?? {}) as Json, value)
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
