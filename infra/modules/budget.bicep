metadata name = 'Budget'
metadata description = 'Monthly budget of the resource group.'

import { monthlyBudget, resourceNames } from 'types.bicep'

@description('Names of all resources.')
param names resourceNames

@description('Amount and start of the budget.')
param budget monthlyBudget

@description('Action groups that receive the alerts.')
@minLength(1)
param actionGroupIds string[]

@description('Mail addresses that receive the alerts.')
param emails string[]

resource monthly 'Microsoft.Consumption/budgets@2026-06-01' = {
  name: names.budget
  properties: {
    category: 'Cost'
    amount: budget.amount
    timeGrain: 'Monthly'
    timePeriod: {
      startDate: '${budget.startDate}T00:00:00Z'
    }
    notifications: {
      forecast: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 80
        thresholdType: 'Forecasted'
        contactEmails: emails
        contactGroups: actionGroupIds
      }
      reached: {
        enabled: true
        operator: 'GreaterThanOrEqualTo'
        threshold: 100
        thresholdType: 'Actual'
        contactEmails: emails
        contactGroups: actionGroupIds
      }
    }
  }
}
