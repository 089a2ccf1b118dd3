/** The app settings that a deployment ends up with. */
import type { Snapshot } from '../../setup/bicep.ts'
import { settingsOf, token } from './predicted-resources.ts'

const loginExpression = /^\[replace\(environment\(\)\.authentication\.loginEndpoint, '([^']+)', '([^']+)'\)\]$/

/**
 * The app settings of the template, with the values that ARM would compute.
 *
 * @param loginEndpoint of the cloud, as its Resource Manager names it
 */
export function settingsAsDeployed(
  snapshot: Snapshot,
  loginEndpoint = 'https://login.microsoftonline.com/',
): Record<string, string> {
  const identity = '7b1f3c7e-9d39-4a3c-b0f4-2f6f2ad0c1aa'
  const known: readonly (readonly [RegExp, string])[] = [
    [/\.vaultUri\]$/, `https://kv-${token}.vault.azure.net/`],
    [/\.primaryEndpoints\.(table|queue|blob)\]$/, `https://st${token}.table.core.windows.net/`],
    [
      /\.ConnectionString\]$/,
      'InstrumentationKey=9d1c3b5a-7f2e-4c68-a0d4-6b8e1f3a5c7d;IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/',
    ],
    [
      /^\[format\('https:\/\/\{0\}', reference\(.*\)\.defaultHostName\)\]$/,
      `https://func-broker-${token}.azurewebsites.net`,
    ],
    [/^\[format\('ClientId=\{0\};Authorization=AAD', .*\]$/, `ClientId=${identity};Authorization=AAD`],
    [/userAssignedIdentities\/.*\.clientId\]$/, identity],
  ]
  return Object.fromEntries(
    Object.entries(settingsOf(snapshot)).map(([name, value]) => {
      if (!value.startsWith('[') || name === 'Broker__FrontEnds') return [name, value]
      const [, old, host] = loginExpression.exec(value) ?? []
      if (old !== undefined && host !== undefined) return [name, loginEndpoint.replace(old, host)]
      const filled = known.find(([pattern]) => pattern.test(value))?.[1]
      if (filled === undefined) throw new Error(`No known value for the expression of ${name}: ${value}`)
      return [name, filled]
    }),
  )
}
