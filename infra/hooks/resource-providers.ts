/** The resource providers of the template: which are missing in the subscription, and their registration. */
import { causeOf, patienceOf } from './cloud.ts'
import type { Configuration } from './configuration.schema.ts'
import { subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import { HookStop } from './stop.ts'

/** Every resource provider of the template, with its types that are in a region. check-region.ts has Microsoft.Web. */
const regionalTypes: Readonly<Record<string, readonly string[]>> = {
  'Microsoft.EventGrid': ['systemTopics'],
  'Microsoft.Insights': ['components', 'scheduledQueryRules', 'webtests'],
  'Microsoft.KeyVault': ['vaults'],
  'Microsoft.ManagedIdentity': ['userAssignedIdentities'],
  'Microsoft.OperationalInsights': ['workspaces'],
  'Microsoft.Storage': ['storageAccounts'],
  'Microsoft.Web': [],
}

/** As Resource Manager lists it. */
interface ListedProvider {
  readonly namespace?: string
  readonly registrationState?: string
  readonly resourceTypes?: readonly { readonly resourceType?: string; readonly locations?: readonly string[] }[]
}

/**
 * Providers that only an option needs; the template names no resource of Microsoft.App, so ARM does not register it.
 */
export function providersOf(configuration: Configuration): readonly string[] {
  const names = Object.keys(regionalTypes)
  return configuration.network === 'private' ? [...names, 'Microsoft.App', 'Microsoft.Network'] : names
}

/** @returns undefined for a person without the right to list them, who may still deploy */
export async function readProviders(context: HookContext): Promise<readonly ListedProvider[] | undefined> {
  const { status, body } = await context.cloud.arm(`${subscriptionPath(context)}/providers?api-version=2021-04-01`)
  return status === 200 ? ((body['value'] ?? []) as readonly ListedProvider[]) : undefined
}

/** @returns the providers that are not registered */
export function findUnregistered(
  listed: readonly ListedProvider[] | undefined,
  names: readonly string[],
): readonly string[] {
  if (!listed) return []
  const registered = listed
    .filter(({ registrationState }) => registrationState === 'Registered')
    .map(({ namespace }) => namespace?.toLowerCase())
  return names.filter((name) => !registered.includes(name.toLowerCase()))
}

/** @returns each type of the template with the regions that offer it; no type whose regions are not listed */
export function regionsOfTypes(
  listed: readonly ListedProvider[] = [],
): readonly { readonly what: string; readonly regions: readonly string[] }[] {
  return Object.entries(regionalTypes).flatMap(([namespace, types]) => {
    const found = listed.find((one) => one.namespace?.toLowerCase() === namespace.toLowerCase())
    return types.flatMap((type) => {
      const { locations: regions = [] } =
        found?.resourceTypes?.find(({ resourceType }) => resourceType?.toLowerCase() === type.toLowerCase()) ?? {}
      return regions.length === 0 ? [] : [{ what: `${namespace}/${type}`, regions }]
    })
  })
}

/** Registers resource providers and waits for each. @throws {HookStop} without the right, or after the time limit */
export async function registerProviders(context: HookContext, names: readonly string[]): Promise<void> {
  const { cloud, clock, report, environment } = context
  for (const name of names) {
    const path = `${subscriptionPath(context)}/providers/${name}`
    const requested = await cloud.arm(`${path}/register?api-version=2021-04-01`, { method: 'POST' })
    if (requested.status >= 300) {
      throw new HookStop(
        `The resource provider ${name} is not registered in the subscription, and its registration was refused (${causeOf(requested)}). Nothing was deployed. A Contributor of the subscription runs: az provider register --namespace ${name} --wait`,
      )
    }
    const until = clock.now() + patienceOf(environment)
    for (let state: unknown; state !== 'Registered';) {
      state = (await cloud.arm(`${path}?api-version=2021-04-01`)).body['registrationState']
      if (state === 'Registered') break
      if (clock.now() > until)
        throw new HookStop(`The registration of ${name} is not finished yet. Run the command again.`)
      report.progress(`Waiting until ${name} is registered`)
      await clock.wait(10_000)
    }
    report.row('Provider', `${name} registered`)
  }
}
