metadata name = 'Alerts'
metadata description = 'Who is told, and of what: the vault is unavailable, the broker is not ready, people cannot sign in, the certificate needs somebody. What the vault itself says of the certificate stands in events.bicep.'

import { tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Who gets the alerts by mail.')
param emails string[]

@description('Where browsers reach the broker.')
@minLength(1)
param baseUrl string

@description('Which of the two passes this is: before the second one nothing answers at /health/ready.')
param deploymentPass 'first' | 'second'

@description('Regions that the web test asks from, by their names in Application Insights.')
@minLength(3)
@maxLength(16)
param webTestLocations string[]

var isSecondPass = deploymentPass == 'second'

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
    description: 'Key Vault does not answer as it should. Sessions go on; new sign-ins need a signature within minutes.'
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
    actions: [
      {
        actionGroupId: actionGroup.id
      }
    ]
  }
}

resource readyTest 'Microsoft.Insights/webtests@2022-06-15' = if (isSecondPass) {
  name: '${names.functionApp}-ready'
  location: location
  tags: union(resourceTags, {
    // How Application Insights knows that the test is its own.
    'hidden-link:${component.id}': 'Resource'
  })
  kind: 'standard'
  properties: {
    SyntheticMonitorId: '${names.functionApp}-ready'
    Name: '${names.functionApp}-ready'
    Description: 'Asks /health/ready: settings, key ring, store, provider and certificate.'
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
    description: 'The broker is not ready, seen from two places at once. /health/detail names the check that fails.'
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
    actions: [
      {
        actionGroupId: actionGroup.id
      }
    ]
  }
}

// The sums count every step, also under a load at which events are sampled (shared/telemetry/flow-events.ts).
var failedSteps = '''
AppMetrics
| where Name == 'broker.steps'
| extend step = tostring(Properties.step), outcome = tostring(Properties.outcome), responsible = tostring(Properties.responsible), code = tostring(Properties.code)
| where outcome == 'failed' and responsible in ('operator', 'provider')
| where step in ('started', 'returned', 'redeemed', 'session', 'token', 'renewal')
| project TimeGenerated, code, failures = Sum
'''

// By extract() and not parse_json(): a line that no invocation wrote has its level before the JSON.
var certificateLines = '''
AppTraces
| where Message has 'certificate'
| extend event = extract('"event":"([a-z ]+)"', 1, Message)
| where event in ('certificate renewal failed', 'certificate roll stuck', 'certificate refused', 'certificate without dates', 'certificate unusable')
| project TimeGenerated, event
'''

// No identity of their own: the rules ask with the rights that who deploys has at that moment, and go on when they leave.
resource signInFails 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (isSecondPass) {
  name: '${names.functionApp}-sign-in-fails'
  location: location
  tags: resourceTags
  kind: 'LogAlert'
  properties: {
    displayName: '${names.functionApp}: people cannot sign in'
    description: 'More than five sign-ins, tokens or renewals failed in 15 minutes by the same code, and no person and no front end can mend it. docs/errors.md says of each code what to do.'
    enabled: true
    severity: 1
    scopes: [workspace.id]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    autoMitigate: true
    // The table is there once something was reported; a first deployment comes before that.
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: failedSteps
          timeAggregation: 'Total'
          metricMeasureColumn: 'failures'
          // An alert for each code, which stands in the mail.
          dimensions: [
            {
              name: 'code'
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
      actionGroups: [actionGroup.id]
    }
  }
}

resource certificateNeedsSomebody 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = if (isSecondPass) {
  name: '${names.functionApp}-certificate'
  location: location
  tags: resourceTags
  kind: 'LogAlert'
  properties: {
    displayName: '${names.functionApp}: the certificate needs somebody'
    description: 'The certificate does not roll by itself, or nothing can sign. docs/certificate.md says of each event what to do.'
    enabled: true
    severity: 1
    scopes: [workspace.id]
    evaluationFrequency: 'PT15M'
    // Each is told once a day while it lasts: with less, the alert would end between two lines.
    windowSize: 'P1D'
    autoMitigate: true
    skipQueryValidation: true
    criteria: {
      allOf: [
        {
          query: certificateLines
          timeAggregation: 'Count'
          dimensions: [
            {
              name: 'event'
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
      actionGroups: [actionGroup.id]
    }
  }
}

@description('Action group that the alerts go to.')
output actionGroupId string = actionGroup.id
