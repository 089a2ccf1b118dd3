import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { copyInfra, skipsWithoutBicep, startBicep } from '../setup/bicep.ts'
import type { Bicep } from '../setup/bicep.ts'
import { rules } from './assertions.ts'

type Copy = Awaited<ReturnType<typeof copyInfra>>

interface Mutant {
  readonly change: string
  /** The rules that must see it, by the beginning of their names. */
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

const ofBroker = 'the identity of the broker may do'
const ofOthers = 'nobody else has more in the vault'
const ofSettings = 'the app settings are these'
const secrets = 'no setting and no output is a secret'
const assignments = 'the role assignments are exactly these'
const ofAlerts = 'every alert is on'
const ofLogAlerts = 'the log alerts come with the code'

const mutants: readonly Mutant[] = [
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
    change: 'secrets for everybody in the list',
    seenBy: [ofBroker, ofOthers],
    file: vault,
    text: /secrets: \[\]/g,
    by: "secrets: ['get']",
    parameters: 'all',
  },
  {
    change: 'the right to delete for who deploys',
    seenBy: [ofOthers, 'the deploying person may make'],
    file: vault,
    text: "var officerPermissions = ['get', 'list', 'create', 'update']",
    by: "var officerPermissions = ['get', 'list', 'create', 'update', 'delete']",
  },
  {
    change: 'the right to create after the first pass',
    seenBy: ['the deploying person may make'],
    file: vault,
    text: "isFirstPass ? officerPermissions : ['get', 'list']",
    by: 'officerPermissions',
    parameters: 'default-second',
  },
  {
    change: 'the same by roles',
    seenBy: ['the deploying person may make'],
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
    seenBy: ['in the vault only custom roles'],
    file: vault,
    text: 'roleDefinitionId: deployerRole.id',
    by: "roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '00482a5a-887f-4fb3-b363-3b7fe8e74483')",
    parameters: 'rbac',
  },
  {
    change: 'no purge protection',
    seenBy: ['the vault keeps what is deleted'],
    file: vault,
    text: '    enablePurgeProtection: true\n',
    by: '',
  },
  {
    change: 'no word on how permissions are given',
    seenBy: ['the vault keeps what is deleted'],
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
    seenBy: ['no API version is about to retire'],
    file: vault,
    text: "'Microsoft.KeyVault/vaults@2026-05-15' = {",
    by: "'Microsoft.KeyVault/vaults@2025-05-01' = {",
  },
  {
    change: 'a certificate as if ARM had a type for it',
    seenBy: ['nothing is a certificate, secret'],
    file: vault,
    text: 'resource wrappingKey ',
    by: "resource certificate 'Microsoft.KeyVault/vaults/certificates@2026-05-15' = {\n  parent: vault\n  name: 'broker'\n  tags: resourceTags\n  properties: {}\n}\n\nresource wrappingKey ",
  },
  {
    change: 'a vault without tags',
    seenBy: ['every resource that can have tags'],
    file: vault,
    text: '  tags: resourceTags\n  properties: {\n    createMode',
    by: '  properties: {\n    createMode',
  },
  {
    change: 'shared keys on',
    seenBy: ['storage is reached by identity'],
    file: storage,
    text: 'allowSharedKeyAccess: false',
    by: 'allowSharedKeyAccess: true',
  },
  {
    change: 'public blobs',
    seenBy: ['storage is reached by identity'],
    file: storage,
    text: 'allowBlobPublicAccess: false',
    by: 'allowBlobPublicAccess: true',
  },
  {
    change: 'a public container',
    seenBy: ['storage is reached by identity'],
    file: storage,
    text: "publicAccess: 'None'",
    by: "publicAccess: 'Blob'",
  },
  {
    change: 'TLS 1.0 at the storage',
    seenBy: ['storage is reached by identity'],
    file: storage,
    text: "'TLS1_2'",
    by: "'TLS1_0'",
  },
  {
    change: 'a role more',
    seenBy: [assignments],
    file: storage,
    text: '[storageBlobDataOwner, storageTableDataContributor]',
    by: "[storageBlobDataOwner, storageTableDataContributor, '974c5e8b-45b9-4653-ba55-5f855dd0fb88']",
  },
  {
    change: 'dead letters by a role on the whole account',
    seenBy: [assignments],
    file: events,
    text: '  scope: account::blobs::deadLetters\n',
    by: '  scope: account\n',
  },
  {
    change: 'listKeys() in a setting',
    seenBy: ['no key is listed', ofSettings, secrets],
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
    seenBy: ['the site speaks TLS'],
    file: site,
    text: 'httpsOnly: true',
    by: 'httpsOnly: false',
  },
  {
    change: 'publishing by password',
    seenBy: ['the site speaks TLS'],
    file: site,
    text: 'allow: false',
    by: 'allow: true',
  },
  {
    change: 'telemetry by key',
    seenBy: ['telemetry is taken'],
    file: monitoring,
    text: 'DisableLocalAuth: true',
    by: 'DisableLocalAuth: false',
  },
  {
    change: 'logs by key',
    seenBy: ['telemetry is taken'],
    file: monitoring,
    text: 'disableLocalAuth: true',
    by: 'disableLocalAuth: false',
  },
  {
    change: 'the expiry alert only after the code is there',
    seenBy: ['alerts come straight from the vault'],
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
    change: 'log alerts that tell nobody',
    seenBy: [ofAlerts],
    file: alerts,
    text: /actionGroups: \[actionGroup\.id\]/g,
    by: 'actionGroups: []',
    parameters: 'default-second',
  },
  {
    change: 'a log alert before there is code',
    seenBy: [ofLogAlerts],
    file: alerts,
    text: "resource signInFails 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (isSecondPass) {",
    by: "resource signInFails 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = {",
  },
  {
    change: 'a log alert that is checked against tables that are not there yet',
    seenBy: [ofLogAlerts],
    file: alerts,
    text: 'skipQueryValidation: true',
    by: 'skipQueryValidation: false',
    parameters: 'default-second',
  },
  {
    change: 'a mail that does not say which code it is',
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
]

describe.skipIf(skipsWithoutBicep)('a changed template', () => {
  let bicep: Bicep
  let copy: Copy

  beforeAll(async () => {
    bicep = startBicep()
    copy = await copyInfra()
  })
  afterAll(async () => {
    bicep.close()
    await copy.remove()
  })

  it.each(mutants)('with $change is caught', async ({ seenBy, file, text, by, parameters = 'default' }) => {
    await copy.replace(file, text, by)

    const snapshot = await bicep.snapshot(copy.parameterFile(parameters)).finally(() => copy.restore())

    const caughtBy = rules.filter(({ violations }) => violations(snapshot).length > 0).map(({ name }) => name)
    const expected = rules.filter(({ name }) => seenBy.some((beginning) => name.startsWith(beginning)))
    expect(expected).toHaveLength(seenBy.length)
    expect(caughtBy).toEqual(expected.map(({ name }) => name))
  })

  it('is caught by each rule at least once', () => {
    const neverBroken = rules.filter(
      ({ name }) => !mutants.some(({ seenBy }) => seenBy.some((one) => name.startsWith(one))),
    )

    expect(neverBroken.map(({ name }) => name)).toEqual([])
  })

  it('that was not changed after all breaks no rule', async () => {
    const snapshot = await bicep.snapshot(copy.parameterFile('default'))

    expect(rules.flatMap(({ violations }) => violations(snapshot))).toEqual([])
  })
})
