/**
 * Names that the hooks need before the template has created a resource.
 * broker.bicep derives the same from the same token.
 */
import { createHash } from 'node:crypto'
import type { AzdEnvironment } from './azd.ts'
import type { Configuration } from './configuration.schema.ts'

export interface Names {
  readonly token: string
  readonly resourceGroup: string
  readonly vault: string
  readonly functionApp: string
  readonly storage: string
  readonly packageStorage: string
  readonly topic: string
  readonly actionGroup: string
  /** The unique name of the app registration at Microsoft Graph. */
  readonly registration: string
}

/** The same for every person and pipeline: they depend on subscription, environment and committed file only. */
export function namesOf(environment: AzdEnvironment, configuration: Configuration): Names {
  const name = environment.get('AZURE_ENV_NAME') ?? ''
  const subscription = environment.get('AZURE_SUBSCRIPTION_ID') ?? ''
  const token = configuration.resourceToken ?? tokenOf(`${subscription.toLowerCase()}/${name}`)
  return {
    token,
    resourceGroup: configuration.resourceGroupName ?? `rg-${name}`,
    vault: configuration.vaultName ?? `kv-${token}`,
    functionApp: `func-broker-${token}`,
    storage: `st${token}`,
    packageStorage: `stpkg${token}`,
    topic: `evgt-broker-${token}`,
    actionGroup: `ag-broker-${token}`,
    registration: `certificate-token-broker-${token}`,
  }
}

/** Thirteen letters and digits, as uniqueString returns them. */
function tokenOf(seed: string): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567'
  return [...createHash('sha256').update(seed).digest().subarray(0, 13)]
    .map((byte) => letters.charAt(byte % 32))
    .join('')
}

function parts(environmentName: string): readonly string[] {
  return environmentName.toLowerCase().split(/[-_.]/)
}

/** The same rule as isProduction in modules/types.bicep. */
export function isProduction(environmentName: string): boolean {
  return parts(environmentName).some((part) => /^prod(?!uct(?!ion))|prod$|^(prd|live)$/.test(part))
}

/** True for the name of an environment in which developers run the broker on their own machines. */
export function isDevelopment(environmentName: string): boolean {
  return parts(environmentName).some((part) => /^(dev|develop|development|local|sandbox)\d*$/.test(part))
}
