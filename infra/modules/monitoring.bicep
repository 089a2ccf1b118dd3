metadata name = 'Monitoring'
metadata description = 'Log Analytics and Application Insights. Both take data by Entra identity only: their keys open nothing.'

import { tags, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Azure region.')
@minLength(1)
param location string

@description('Tags of every resource.')
param resourceTags tags

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Object id of the identity that sends telemetry.')
@minLength(1)
param publisherPrincipalId string

@description('Whether role assignments are made here; false where somebody else makes them.')
param assignRoles bool

// Monitoring Metrics Publisher: sends telemetry, reads none.
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
    // The addresses of people are nobody's business; masking is the default, written out.
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

@description('Where telemetry goes. No secret: the component takes nothing without an Entra token.')
output connectionString string = component.properties.ConnectionString
