/**
 * Changed templates, each with the rules that must report it. templates.test.ts compiles them in groups: changes that
 * break different rules share a compilation.
 */

export interface Mutant {
  readonly change: string
  /** The beginnings of the names of the rules that this change breaks. */
  readonly seenBy: readonly string[]
  readonly file: string
  readonly text: string | RegExp
  readonly by: string
  readonly parameters?: string
}

const vault = 'infra/modules/vault.bicep'
const storage = 'infra/modules/storage.bicep'
const site = 'infra/modules/function-app.bicep'
const monitoring = 'infra/modules/monitoring.bicep'
const events = 'infra/modules/events.bicep'
const alerts = 'infra/modules/alerts.bicep'

const network = 'infra/modules/network.bicep'
const endpoints = 'infra/modules/private-endpoints.bicep'

const ofBroker = 'the identity of the broker has its five'
const ofOthers = 'every other identity has only'
const ofSettings = 'every app setting is documented'
const secrets = 'no setting and no output is a secret'
const assignments = 'the role assignments are exactly'
const ofLogs = 'access to tables and package'
const ofNetwork = 'a private network closes'
const ofSubnets = 'a network of the template'
const ofProduction = 'zone redundancy covers'
const ofAlerts = 'every alert is enabled'
const ofLogAlerts = 'the log alerts exist in the second'

export const mutants: readonly Mutant[] = [
  {
    change: 'a permission more',
    seenBy: [ofBroker],
    file: vault,
    text: "keys: ['get', 'sign', 'wrapKey', 'unwrapKey']",
    by: "keys: ['get', 'sign', 'wrapKey', 'unwrapKey', 'decrypt']",
  },
  {
    change: 'a misspelt permission',
    seenBy: [ofBroker],
    file: vault,
    text: "keys: ['get', 'sign', 'wrapKey', 'unwrapKey']",
    by: "keys: ['get', 'sing', 'wrapKey', 'unwrapKey']",
  },
  {
    change: 'the right to create for the broker',
    seenBy: [ofBroker],
    file: vault,
    text: "certificates: ['get', 'list']\n  keys",
    by: "certificates: ['get', 'list', 'create']\n  keys",
  },
  {
    change: 'secrets for every identity in the list',
    seenBy: [ofBroker, ofOthers],
    file: vault,
    text: /secrets: \[\]/g,
    by: "secrets: ['get']",
    parameters: 'private',
  },
  {
    change: 'the right to delete for the deploying identity',
    seenBy: [ofOthers, 'the deploying identity may create'],
    file: vault,
    text: "var officerPermissions = ['get', 'list', 'create', 'update']",
    by: "var officerPermissions = ['get', 'list', 'create', 'update', 'delete']",
  },
  {
    change: 'the right to create after the first pass',
    seenBy: ['the deploying identity may create'],
    file: vault,
    text: "isFirstPass ? officerPermissions : ['get', 'list']",
    by: 'officerPermissions',
    parameters: 'default-second',
  },
  {
    change: 'the same by roles',
    seenBy: ['the deploying identity may create'],
    file: vault,
    text: 'isFirstPass ? officerDataActions : readerDataActions',
    by: 'isFirstPass || !empty(readerDataActions) ? officerDataActions : readerDataActions',
    parameters: 'rbac-second',
  },
  {
    change: 'a data action more',
    seenBy: [ofBroker],
    file: vault,
    text: "'Microsoft.KeyVault/vaults/keys/unwrap/action'",
    by: "'Microsoft.KeyVault/vaults/keys/unwrap/action'\n  'Microsoft.KeyVault/vaults/secrets/getSecret/action'",
    parameters: 'rbac',
  },
  {
    change: 'a built-in role in the vault',
    seenBy: ['the vault has assignments of custom'],
    file: vault,
    text: 'roleDefinitionId: deployerRole.id',
    by: "roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '00482a5a-887f-4fb3-b363-3b7fe8e74483')",
    parameters: 'rbac',
  },
  {
    change: 'no purge protection',
    seenBy: ['the vault keeps deleted keys'],
    file: vault,
    text: '    enablePurgeProtection: true\n',
    by: '',
  },
  {
    change: 'no permission model',
    seenBy: ['the vault keeps deleted keys'],
    file: vault,
    text: '    enableRbacAuthorization: isRbac\n',
    by: '',
  },
  {
    change: 'a wrapping key that decrypts',
    seenBy: ['the wrapping key wraps'],
    file: vault,
    text: "keyOps: ['sign', 'wrapKey', 'unwrapKey']",
    by: "keyOps: ['sign', 'wrapKey', 'unwrapKey', 'decrypt']",
  },
  {
    change: 'a wrapping key that does not sign',
    seenBy: ['the wrapping key wraps'],
    file: vault,
    text: "keyOps: ['sign', 'wrapKey', 'unwrapKey']",
    by: "keyOps: ['wrapKey', 'unwrapKey']",
  },
  {
    change: 'a vault API version that retires',
    seenBy: ['no API version retires'],
    file: vault,
    text: "'Microsoft.KeyVault/vaults@2026-05-15' = {",
    by: "'Microsoft.KeyVault/vaults@2025-05-01' = {",
  },
  {
    change: 'a certificate as an ARM resource',
    seenBy: ['no resource is a certificate, secret'],
    file: vault,
    text: 'resource wrappingKey ',
    by: "resource certificate 'Microsoft.KeyVault/vaults/certificates@2026-05-15' = {\n  parent: vault\n  name: 'broker'\n  tags: resourceTags\n  properties: {}\n}\n\nresource wrappingKey ",
  },
  {
    change: 'a vault without tags',
    seenBy: ['every resource that can have tags'],
    file: vault,
    text: /(name: names\.vault\n {2}location: location\n) {2}tags: resourceTags\n/,
    by: '$1',
  },
  {
    change: 'shared keys on',
    seenBy: ['storage accepts identities'],
    file: storage,
    text: 'allowSharedKeyAccess: false',
    by: 'allowSharedKeyAccess: true',
  },
  {
    change: 'public blobs',
    seenBy: ['storage accepts identities'],
    file: storage,
    text: 'allowBlobPublicAccess: false',
    by: 'allowBlobPublicAccess: true',
  },
  {
    change: 'a public container',
    seenBy: ['storage accepts identities'],
    file: storage,
    text: "publicAccess: 'None'",
    by: "publicAccess: 'Blob'",
  },
  {
    change: 'TLS 1.0 at the storage',
    seenBy: ['storage accepts identities'],
    file: storage,
    text: "'TLS1_2'",
    by: "'TLS1_0'",
  },
  {
    change: 'the tables for the identity of the host',
    seenBy: [assignments],
    file: storage,
    text: '  principalId: brokerPrincipalId',
    by: '  principalId: hostPrincipalId',
  },
  {
    change: 'dead letters with a role on the whole account',
    seenBy: [assignments],
    file: events,
    text: '  scope: account::blobs::deadLetters\n',
    by: '  scope: account\n',
  },
  {
    change: 'listKeys() in a setting',
    seenBy: ['no expression calls list', ofSettings, secrets],
    file: site,
    text: "AzureWebJobsDisableHomepage: 'true'",
    by: "AzureWebJobsDisableHomepage: 'true'\n    AzureWebJobsStorage: 'DefaultEndpointsProtocol=https;AccountName=${names.storage};AccountKey=${listKeys(resourceId('Microsoft.Storage/storageAccounts', names.storage), '2026-09-01').keys[0].value}'",
  },
  {
    change: 'a secret in a setting',
    seenBy: [secrets, ofSettings],
    file: site,
    text: "AzureWebJobsDisableHomepage: 'true'",
    by: "AzureWebJobsDisableHomepage: 'true'\n    AzureAd__ClientSecret: 'a secret'",
  },
  {
    change: 'a setting that the plan forbids',
    seenBy: [ofSettings],
    file: site,
    text: "AzureWebJobsDisableHomepage: 'true'",
    by: "AzureWebJobsDisableHomepage: 'true'\n    FUNCTIONS_WORKER_RUNTIME: 'node'",
  },
  {
    change: 'ftpsState',
    seenBy: ['the site has no property that Flex'],
    file: site,
    text: 'http20Enabled: true',
    by: "http20Enabled: true\n      ftpsState: 'Disabled'",
  },
  {
    change: 'HTTP without TLS at the site',
    seenBy: ['the site has TLS'],
    file: site,
    text: 'httpsOnly: true',
    by: 'httpsOnly: false',
  },
  {
    change: 'publishing by password',
    seenBy: ['the site has TLS'],
    file: site,
    text: 'allow: false',
    by: 'allow: true',
  },
  {
    change: 'telemetry by key',
    seenBy: ['telemetry is accepted'],
    file: monitoring,
    text: 'DisableLocalAuth: true',
    by: 'DisableLocalAuth: false',
  },
  {
    change: 'logs by key',
    seenBy: ['telemetry is accepted'],
    file: monitoring,
    text: 'disableLocalAuth: true',
    by: 'disableLocalAuth: false',
  },
  {
    change: 'the expiry alert in the second pass only',
    seenBy: ['the alerts of the vault exist'],
    file: events,
    text: "resource expired 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {",
    by: "resource expired 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = if (deploymentPass == 'second') {",
  },
  {
    change: 'an alert that is off',
    seenBy: [ofAlerts],
    file: alerts,
    text: 'enabled: true\n    severity: 1',
    by: 'enabled: false\n    severity: 1',
  },
  {
    change: 'log alerts without an action group',
    seenBy: [ofAlerts],
    file: alerts,
    text: /actionGroups: actionGroupIds/g,
    by: 'actionGroups: []',
    parameters: 'default-second',
  },
  {
    change: 'a log alert in the first pass',
    seenBy: [ofLogAlerts],
    file: alerts,
    text: "resource signInFails 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (isSecondPass) {",
    by: "resource signInFails 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {",
  },
  {
    change: 'a log alert that Azure validates before its table exists',
    seenBy: [ofLogAlerts],
    file: alerts,
    text: 'skipQueryValidation: true',
    by: 'skipQueryValidation: false',
    parameters: 'default-second',
  },
  {
    change: 'a mail without the code',
    seenBy: [ofLogAlerts],
    file: alerts,
    text: "values: ['*']",
    by: "values: ['internal']",
    parameters: 'default-second',
  },
  {
    change: 'a certificate alert that ends before its line is written again',
    seenBy: [ofLogAlerts],
    file: alerts,
    text: "windowSize: 'P1D'",
    by: "windowSize: 'PT6H'",
    parameters: 'default-second',
  },
  {
    change: 'the package written by the identity of the broker',
    seenBy: ['the package has an account and an identity'],
    file: site,
    text: 'userAssignedIdentityResourceId: hostIdentity.id',
    by: 'userAssignedIdentityResourceId: identity.id',
  },
  {
    change: 'the package in the account of the sessions',
    seenBy: ['the package has an account and an identity'],
    file: storage,
    text: 'output packageEndpoint string = packageAccount.',
    by: 'output packageEndpoint string = account.',
  },
  {
    change: 'a host with the identity of the broker',
    seenBy: ['the package has an account and an identity'],
    file: site,
    text: 'AzureWebJobsStorage__clientId: hostIdentityClientId',
    by: 'AzureWebJobsStorage__clientId: identityClientId',
  },
  {
    change: 'a role of the broker on the package',
    seenBy: [assignments],
    file: storage,
    text: /(name: guid\(packageAccount[\s\S]+?principalId: )hostPrincipalId/,
    by: '$1brokerPrincipalId',
  },
  {
    change: 'no log of writes to the tables',
    seenBy: [ofLogs],
    file: storage,
    text: "category: 'StorageWrite'\n        enabled: true",
    by: "category: 'StorageWrite'\n        enabled: false",
  },
  {
    change: 'no log of failed deliveries',
    seenBy: [ofLogs],
    file: events,
    text: "category: 'DeliveryFailures'\n        enabled: true",
    by: "category: 'DeliveryFailures'\n        enabled: false",
  },
  {
    change: 'storage open beside its private endpoints',
    seenBy: [ofNetwork],
    file: storage,
    text: "publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'",
    by: "publicNetworkAccess: 'Enabled'",
    parameters: 'private',
  },
  {
    change: 'a vault open to every address',
    seenBy: [ofNetwork],
    file: vault,
    text: "defaultAction: isPrivate ? 'Deny' : 'Allow'",
    by: "defaultAction: 'Allow'",
    parameters: 'rbac',
  },
  {
    change: 'tables without a private endpoint',
    seenBy: [ofNetwork],
    file: endpoints,
    text: /^.*group: 'table'.*\n/m,
    by: '',
    parameters: 'rbac-second',
  },
  {
    change: 'an app outside the network',
    seenBy: [ofNetwork],
    file: site,
    text: 'outboundVnetRouting: empty(subnetId) ? null : { allTraffic: true }',
    by: 'outboundVnetRouting: null',
    parameters: 'private',
  },
  {
    change: 'a subnet without its delegation',
    seenBy: [ofSubnets],
    file: network,
    text: "serviceName: 'Microsoft.App/environments'",
    by: "serviceName: 'Microsoft.Web/serverFarms'",
    parameters: 'private',
  },
  {
    change: 'a subnet that is too small',
    seenBy: [ofSubnets],
    file: network,
    text: 'cidrSubnet(addressPrefix, 26, 0)',
    by: 'cidrSubnet(addressPrefix, 28, 0)',
    parameters: 'private',
  },
  {
    change: 'no DNS zone for tables',
    seenBy: [ofSubnets],
    file: endpoints,
    text: 'in (createDnsZones ? connections : [])',
    by: 'in (createDnsZones ? take(connections, 2) : [])',
    parameters: 'private',
  },
  {
    change: 'every Front Door admitted',
    seenBy: ['behind Front Door only'],
    file: site,
    text: "'x-azure-fdid': [frontDoor.?id ?? '']",
    by: "'x-forwarded-host': [frontDoor.?domain ?? '']",
    parameters: 'private',
  },
  {
    change: 'requests admitted beside Front Door',
    seenBy: ['behind Front Door only'],
    file: site,
    text: 'frontDoor == null ? [] : frontDoorOnly',
    by: "concat(frontDoor == null ? [] : frontDoorOnly, [{ name: 'office', priority: 300, action: 'Allow', ipAddress: '203.0.113.0/24' }])",
    parameters: 'private',
  },
  {
    change: 'storage in one zone under an app in three',
    seenBy: [ofProduction],
    file: storage,
    text: "zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'",
    by: "'Standard_LRS'",
    parameters: 'private',
  },
  {
    change: 'a package account without its lock',
    seenBy: [ofProduction],
    file: storage,
    text: "resource packageLock 'Microsoft.Authorization/locks@2020-05-01' = if (lockResources) {",
    by: "resource packageLock 'Microsoft.Authorization/locks@2020-05-01' = if (false) {",
    parameters: 'private',
  },
  {
    change: 'a budget that warns too late',
    seenBy: ['a budget notifies'],
    file: 'infra/modules/budget.bicep',
    text: 'threshold: 80',
    by: 'threshold: 100',
    parameters: 'private',
  },
]
