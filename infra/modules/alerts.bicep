metadata name = 'Alerts'
metadata description = 'Action group, web test and alerts: vault unavailable, broker not ready, sign-ins fail, certificate not renewed, second credential used, acts of an operator, tables read by another identity. The alerts of the vault about the certificate are in events.bicep.'

import { tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Mail addresses that receive the alerts.')
param emails string[]

@description('Existing action groups that receive the alerts too.')
param otherActionGroupIds string[]

@description('Public address of the broker.')
@minLength(1)
param baseUrl string

@description('Object id of the identity of the broker.')
@minLength(1)
param brokerPrincipalId string

@description('Object id of the identity of the host.')
@minLength(1)
param hostPrincipalId string

@description('Pass of the deployment: /health/ready exists in the second pass only.')
param deploymentPass 'first' | 'second'

@description('Regions that send the requests of the web test, by their names in Application Insights.')
@minLength(3)
@maxLength(16)
param webTestLocations string[]

var isSecondPass = deploymentPass == 'second'
var actionGroupIds = concat([actionGroup.id], otherActionGroupIds)
var alertActions = map(actionGroupIds, id => {
  actionGroupId: id
})

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: names.vault
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: names.component
}

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' existing = {
  name: names.workspace
}

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: names.actionGroup
  location: 'global'
  tags: resourceTags
  properties: {
    enabled: true
    groupShortName: 'broker'
    emailReceivers: [
      for (email, index) in emails: {
        name: 'mail-${index}'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource vaultUnavailable 'Microsoft.Insights/metricAlerts@2026-01-01' = {
  name: '${names.vault}-unavailable'
  location: 'global'
  tags: resourceTags
  properties: {
    description: 'Key Vault answers less than 95 % of the requests. Sessions continue; new sign-ins fail as soon as a client assertion must be signed.'
    enabled: true
    severity: 1
    scopes: [vault.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: 'availability'
          criterionType: 'StaticThresholdCriterion'
          metricNamespace: 'Microsoft.KeyVault/vaults'
          metricName: 'Availability'
          timeAggregation: 'Average'
          operator: 'LessThan'
          threshold: 95
        }
      ]
    }
    actions: alertActions
  }
}

resource readyTest 'Microsoft.Insights/webtests@2022-06-15' = if (isSecondPass) {
  name: '${names.functionApp}-ready'
  location: location
  tags: union(resourceTags, {
    // Application Insights finds its web tests by this tag.
    'hidden-link:${component.id}': 'Resource'
  })
  kind: 'standard'
  properties: {
    SyntheticMonitorId: '${names.functionApp}-ready'
    Name: '${names.functionApp}-ready'
    Description: 'Requests /health/ready, which checks settings, key ring, store, provider and certificate.'
    Kind: 'standard'
    Enabled: true
    Frequency: 300
    Timeout: 30
    RetryEnabled: true
    Locations: [
      for place in webTestLocations: {
        Id: place
      }
    ]
    Request: {
      RequestUrl: '${baseUrl}/health/ready'
      HttpVerb: 'GET'
      FollowRedirects: false
      ParseDependentRequests: false
    }
    ValidationRules: {
      ExpectedHttpStatusCode: 200
      SSLCheck: true
      SSLCertRemainingLifetimeCheck: 7
    }
  }
}

resource notReady 'Microsoft.Insights/metricAlerts@2026-01-01' = if (isSecondPass) {
  name: '${names.functionApp}-not-ready'
  location: 'global'
  tags: resourceTags
  properties: {
    description: 'Two regions report at the same time that the broker is not ready. /health/detail names the check that fails.'
    enabled: true
    severity: 0
    scopes: [readyTest.id, component.id]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: readyTest.id
      componentId: component.id
      failedLocationCount: 2
    }
    actions: alertActions
  }
}

// The sums count every step, even under a load at which events are sampled (shared/telemetry/flow-events.ts).
var failedSteps = '''
AppMetrics
| where Name == 'broker.steps'
| extend step = tostring(Properties.step), outcome = tostring(Properties.outcome), responsible = tostring(Properties.responsible), code = tostring(Properties.code), provider = tostring(Properties.provider)
| where outcome == 'failed' and responsible in ('operator', 'provider')
| where step in ('sign_up', 'started', 'returned', 'redeemed', 'session', 'token', 'renewal')
| project TimeGenerated, code, provider, failures = Sum
'''

// extract() instead of parse_json(): a line from outside an invocation has its level before the JSON.
var certificateLines = '''
AppTraces
| where Message has 'certificate'
| extend event = extract('"event":"([a-z ]+)"', 1, Message), provider = extract('"provider":"([a-z0-9-]+)"', 1, Message)
| where event in ('certificate renewal failed', 'certificate roll stuck', 'certificate refused', 'certificate without dates', 'certificate unusable')
| project TimeGenerated, event, provider
'''

var operatorActs = '''
AppTraces
| where Message has 'by an operator'
| extend event = extract('"event":"([a-z ]+)"', 1, Message), act = extract('"(?:selector|action)":"([A-Za-z ]+)"', 1, Message), key = extract('"key":"([0-9a-f]{8})"', 1, Message)
| where event in ('sessions ended by an operator', 'tenant changed by an operator')
| project TimeGenerated, event, act, key
'''

var secondCredentialUses = '''
AppTraces
| where Message has 'second credential used'
| extend event = extract('"event":"([a-z ]+)"', 1, Message), code = extract('"code":"([a-z_]+)"', 1, Message), provider = extract('"provider":"([a-z0-9-]+)"', 1, Message)
| where event == 'second credential used'
| project TimeGenerated, code, provider
'''

// isfuzzy, because a table does not exist before its first row. The broker is the only user of the tables, and a
// deployment writes the package with the identity of the host.
var otherIdentities = format(
  '''
union isfuzzy=true StorageTableLogs, StorageBlobLogs
| where StatusText == 'Success'
| where OperationName !endswith 'ServiceProperties'
| where RequesterObjectId !in ('{0}', '{1}')
| project TimeGenerated, RequesterObjectId
''',
  brokerPrincipalId,
  hostPrincipalId
)

// The rules have no identity: Azure checks the rights of the deploying identity at the deployment, and the rules keep
// running when it is removed.
resource signInFails 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (isSecondPass) {
  name: '${names.functionApp}-sign-in-fails'
  location: location
  tags: resourceTags
  kind: 'LogAlert'
  properties: {
    displayName: '${names.functionApp}: sign-ins fail'
    description: 'More than five sign-ins, tokens or renewals failed in 15 minutes with the same code and identity provider, and the cause is at the operator or the provider. docs/errors.md has the remedy of each code.'
    enabled: true
    severity: 1
    scopes: [workspace.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    // The table does not exist before the first report, and a validated query would stop the first deployment.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: failedSteps
          timeAggregation: 'Total'
          metricMeasureColumn: 'failures'
          // One alert for each code and provider, and the mail names both.
          dimensions: [
            for column in ['code', 'provider']: {
              name: column
              operator: 'Include'
              values: ['*']
            }
          ]
          operator: 'GreaterThan'
          threshold: 5
          failingPeriods: {
            numberOfEvaluationPeriods: 1
            minFailingPeriodsToAlert: 1
          }
        }
      ]
    }
    actions: {
      actionGroups: actionGroupIds
    }
  }
}

@description('An alert as soon as its query finds a line.')
type lineAlert = {
  @description('Last part of the name.')
  name: string

  @description('Sentence for the subject of the mail, after the name of the function app.')
  subject: string
  description: string
  severity: 1 | 2
  evaluationFrequency: string
  windowSize: string
  query: string

  @description('Columns of the query. Each combination of values is an alert of its own, and the mail names the values.')
  dimensions: string[]
}

var lineAlerts lineAlert[] = [
  {
    name: 'certificate'
    subject: 'the certificate needs an operator'
    description: 'The broker could not renew its certificate, or cannot sign with it. docs/certificate.md has the remedy of each event.'
    severity: 1
    evaluationFrequency: 'PT15M'
    // The broker logs each event once a day while it lasts. A shorter window would end the alert between two lines.
    windowSize: 'P1D'
    query: certificateLines
    dimensions: ['event', 'provider']
  }
  {
    name: 'second-credential'
    subject: 'the second credential is in use'
    description: 'The vault fails, or the provider refuses the certificate, and the broker authenticates with its managed identity. The code names the fault: docs/certificate.md.'
    severity: 1
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    query: secondCredentialUses
    dimensions: ['code', 'provider']
  }
  {
    name: 'operator-acts'
    subject: 'an operator ended sessions or changed a tenant'
    description: 'A request with a function key ended sessions, or added, suspended, resumed or removed a tenant. If you do not know why, renew the function keys: docs/operations.md.'
    severity: 2
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    query: operatorActs
    dimensions: ['event', 'act', 'key']
  }
  {
    name: 'other-identity'
    subject: 'another identity used the tables or wrote the package'
    description: 'An identity other than those of the broker and its host read or wrote the tables of the broker, or wrote the deployed package. If you do not know the identity, treat it as an attack: docs/operations.md.'
    severity: 1
    evaluationFrequency: 'PT15M'
    windowSize: 'PT15M'
    query: otherIdentities
    dimensions: ['RequesterObjectId']
  }
]

resource lineFound 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in lineAlerts: if (isSecondPass) {
    name: '${names.functionApp}-${alert.name}'
    location: location
    tags: resourceTags
    kind: 'LogAlert'
    properties: {
      displayName: '${names.functionApp}: ${alert.subject}'
      description: alert.description
      enabled: true
      severity: alert.severity
      scopes: [workspace.id]
      evaluationFrequency: alert.evaluationFrequency
      windowSize: alert.windowSize
      autoMitigate: true
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            dimensions: [
              for column in alert.dimensions: {
                name: column
                operator: 'Include'
                values: ['*']
              }
            ]
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: actionGroupIds
      }
    }
  }
]

@description('Action groups that receive the alerts.')
output actionGroupIds string[] = actionGroupIds
