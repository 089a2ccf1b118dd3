/** Settings of a broker in Azure, which a test changes, and the faults that parseSettings reports. */
import { parseSettings, SettingsError } from '../../../shared/settings/settings.ts'
import type { SettingProblem } from '../../../shared/settings/settings.ts'

export const frontEnd = {
  id: 'spa',
  origins: ['https://app.example.com'],
  apis: [{ name: 'orders', scopes: ['api://orders/orders.read'] }],
}

export const environment = {
  Broker__BaseUrl: 'https://signin.example.com',
  Broker__FrontEnds: JSON.stringify([frontEnd]),
  Broker__TableServiceUri: 'https://contososignin.table.core.windows.net',
  AzureAd__Instance: 'https://login.microsoftonline.com/',
  AzureAd__TenantId: 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55',
  AzureAd__ClientId: '0c7d3f52-2a54-4b5e-8c0e-5a1f6d9be310',
  AzureAd__ClientCredentials__0__SourceType: 'KeyVault',
  AzureAd__ClientCredentials__0__KeyVaultUrl: 'https://contoso-signin.vault.azure.net',
  AzureAd__ClientCredentials__0__KeyVaultCertificateName: 'broker',
}

export type Changes = Readonly<Record<string, string | undefined>>

export function settingsWith(changes: Changes = {}) {
  return parseSettings({ ...environment, ...changes })
}

export function errorOf(changes: Changes): SettingsError {
  try {
    settingsWith(changes)
  } catch (error) {
    if (error instanceof SettingsError) return error
    throw error
  }
  throw new Error('These settings were accepted.')
}

export function problemsOf(changes: Changes): readonly SettingProblem[] {
  return errorOf(changes).problems
}

/** Each problem as "name problem". */
export function refusalsOf(changes: Changes): readonly string[] {
  return problemsOf(changes).map(({ setting, problem }) => `${setting} ${problem}`)
}

/** Each warning as "name problem". */
export function warningsOf(changes: Changes): readonly string[] {
  return settingsWith(changes).warnings.map(({ setting, problem }) => `${setting} ${problem}`)
}
