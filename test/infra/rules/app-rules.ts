/** Rules for the app, its settings, its package and its storage, and for versions and tags of every resource. */
import { allDeclarations, hostDeclarations } from '../../../shared/settings/declarations.ts'
import { findSecret } from '../../../shared/settings/secrets.ts'
import type { PredictedResource, Snapshot } from '../../setup/bicep.ts'
import {
  compare,
  compareOneOf,
  expectMembers,
  isHostIdentity,
  memberOf,
  propertiesOf,
  resources,
  scopeOf,
  settingsOf,
  siteConfigOf,
  vaultNameOf,
} from './predicted-resources.ts'
import type { Json, Rule } from './predicted-resources.ts'

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

export const appRules: readonly Rule[] = [
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
]

function looksSecret(name: string, value: string): boolean {
  // The instrumentation key in the connection string is no secret: the component accepts identities only.
  if (name === 'APPLICATIONINSIGHTS_CONNECTION_STRING') return !/\.ConnectionString\]$/.test(value)
  return (
    findSecret(name, value) !== undefined ||
    findSecret(`Broker__${name}`, value) !== undefined ||
    /\b(sig|AccountKey|SharedAccessKey|password|pwd)\s*=/i.test(value)
  )
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
