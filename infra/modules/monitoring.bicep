metadata name = 'Monitoring'
metadata description = 'Log Analytics and Application Insights. Both accept data with an Entra token only; their keys are disabled.'

import { tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Retention of the logs in days.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Object id of the identity that sends telemetry.')
@minLength(1)
param publisherPrincipalId string

@description('True if the template creates role assignments.')
param assignRoles bool

// Monitoring Metrics Publisher: may send telemetry and may not read it.
var monitoringMetricsPublisher = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2026-03-01' = {
  name: names.workspace
  location: location
  tags: resourceTags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    features: {
      disableLocalAuth: true
      enableLogAccessUsingOnlyResourcePermissions: true
    }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: names.component
  location: location
  tags: resourceTags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    IngestionMode: 'LogAnalytics'
    DisableLocalAuth: true
    // Application Insights drops the IP addresses of people. This is the default.
    DisableIpMasking: false
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (assignRoles) {
  name: guid(component.id, names.identity, monitoringMetricsPublisher)
  scope: component
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', monitoringMetricsPublisher)
    principalId: publisherPrincipalId
    principalType: 'ServicePrincipal'
  }
}

@description('Connection string. No secret: the component accepts nothing without an Entra token.')
output connectionString string = component.properties.ConnectionString
