/** Names that the hooks must know before the template has made them; broker.bicep makes the same of the same token. */
import { createHash } from 'node:crypto'
import type { AzdEnvironment } from './azd.ts'

export interface Names {
  readonly token: string
  readonly resourceGroup: string
  readonly vault: string
  readonly functionApp: string
  /** Of the app registration: what finds it again. */
  readonly registration: string
}

/** Chosen once for an environment and kept there. */
export function namesOf(environment: AzdEnvironment): Names {
  const name = environment.get('AZURE_ENV_NAME') ?? ''
  const subscription = environment.get('AZURE_SUBSCRIPTION_ID') ?? ''
  const token = environment.get('BROKER_RESOURCE_TOKEN') ?? tokenOf(`${subscription.toLowerCase()}/${name}`)
  return {
    token,
    resourceGroup:
      environment.get('AZURE_RESOURCE_GROUP') ?? environment.get('BROKER_RESOURCE_GROUP_NAME') ?? `rg-${name}`,
    vault: environment.get('BROKER_VAULT_NAME') ?? `kv-${token}`,
    functionApp: `func-broker-${token}`,
    registration: `certificate-token-broker-${token}`,
  }
}

/** Thirteen letters and digits, as uniqueString has them. */
function tokenOf(seed: string): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567'
  return [...createHash('sha256').update(seed).digest().subarray(0, 13)]
    .map((byte) => letters.charAt(byte % 32))
    .join('')
}

function parts(environmentName: string): readonly string[] {
  return environmentName.toLowerCase().split(/[-_.]/)
}

/** As isProduction in modules/types.bicep says it. */
export function isProduction(environmentName: string): boolean {
  return parts(environmentName).some((part) => /^prod(?!uct(?!ion))|prod$|^(prd|live)$/.test(part))
}

/** Whether the name says that developers run the broker on their own machines against this registration. */
export function isDevelopment(environmentName: string): boolean {
  return parts(environmentName).some((part) => /^(dev|develop|development|local|sandbox)\d*$/.test(part))
}
