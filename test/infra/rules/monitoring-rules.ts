/** Rules for alerts, logs, telemetry and the budget. */
import type { PredictedResource } from '../../setup/bicep.ts'
import {
  compare,
  compareOneOf,
  conditionsOf,
  expectMembers,
  list,
  memberOf,
  objects,
  propertiesOf,
  resources,
  scopeOf,
  unknownOf,
  vaultNameOf,
} from './predicted-resources.ts'
import type { Json, Rule } from './predicted-resources.ts'

export const monitoringRules: readonly Rule[] = [
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
                'sign-in-fails, 1, PT5M, PT15M, code Include *, provider Include *',
                'certificate, 1, PT15M, P1D, event Include *, provider Include *',
                'second-credential, 1, PT5M, PT15M, code Include *, provider Include *',
                'operator-acts, 2, PT15M, PT15M, event Include *, act Include *, key Include *',
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
