/** The tenant of the subscription, and the region: both by ARM's own lists, before anything is created. */
import { causeOf } from './cloud.ts'
import type { Configuration } from './configuration.schema.ts'
import { subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import { HookStop } from './stop.ts'

/**
 * Reads the tenant of the subscription. azd does not store it.
 *
 * @throws {HookStop} where the subscription is disabled, or not visible to this person
 */
export async function readTenantOfSubscription(context: HookContext): Promise<string> {
  const answer = await context.cloud.arm(`${subscriptionPath(context)}?api-version=2022-12-01`)
  const { tenantId, state } = answer.body as { readonly tenantId?: unknown; readonly state?: unknown }
  const id = context.environment.get('AZURE_SUBSCRIPTION_ID') ?? ''
  if (state === 'Disabled') {
    throw new HookStop(
      `The subscription ${id} is disabled, so Azure refuses every change. Nothing was deployed. Its billing administrator enables it again, or select another subscription (azd env set AZURE_SUBSCRIPTION_ID <id>).`,
    )
  }
  if (answer.status === 200 && typeof tenantId === 'string') return tenantId
  throw new HookStop(
    `The subscription ${id} is not visible to you (${causeOf(answer)}). Nothing was deployed. Sign in to its tenant (azd auth login --tenant-id <tenant id>), or select another subscription (azd env set AZURE_SUBSCRIPTION_ID <id>).`,
  )
}

interface Region {
  readonly name?: string
  /** Its capabilities, separated by semicolons. */
  readonly properties?: { readonly orgDomain?: string }
}

/** A service or a resource type, with the regions that offer it. */
interface Offer {
  readonly what: string
  readonly regions: readonly string[]
}

/**
 * @param types of the template; none for a broker that is deployed
 * @throws {HookStop} where Flex Consumption, its zone redundancy, the Node version or a type is not offered there
 */
export async function checkRegion(
  context: HookContext,
  configuration: Configuration,
  types: readonly Offer[],
): Promise<void> {
  const location = regionName(context.environment.get('AZURE_LOCATION') ?? '')
  const regions = await context.cloud.arm(
    `${subscriptionPath(context)}/providers/Microsoft.Web/geoRegions?sku=FlexConsumption&api-version=2024-04-01`,
  )
  const offered = (regions.body['value'] ?? []) as readonly Region[]
  const flex = { what: 'Flex Consumption', regions: regions.status === 200 ? offered.map(({ name = '' }) => name) : [] }
  checkOffers([flex, ...types], location)
  const withZones = offered.filter(({ properties }) => properties?.orgDomain?.includes('FCZONEREDUNDANCY'))
  if (configuration.zoneRedundant === true && withZones.length > 0) {
    const names = withZones.map(({ name }) => regionName(name ?? ''))
    if (!names.includes(location)) {
      throw new HookStop(
        `Flex Consumption is not zone-redundant in ${location} (AZURE_LOCATION). Nothing was deployed. Remove "zoneRedundant", or create an environment in one of: ${names.sort().join(', ')}.`,
      )
    }
  }
  const wanted = configuration.nodeVersion ?? '22'
  const stacks = await context.cloud.arm(
    `/providers/Microsoft.Web/locations/${location}/functionAppStacks?api-version=2020-10-01&removeHiddenStacks=true&removeDeprecatedStacks=true&stack=node&sku=FC1`,
  )
  const versions = stacks.status === 200 ? flexVersionsOf(stacks.body) : []
  if (versions.length > 0 && !versions.includes(wanted)) {
    throw new HookStop(
      `Node ${wanted} (nodeVersion) is not offered on Flex Consumption in ${location}. Nothing was deployed. Offered: ${versions.join(', ')}.`,
    )
  }
}

/** An empty list is no proof: the deployment then reports the region itself. */
function checkOffers(offers: readonly Offer[], location: string): void {
  const known = offers
    .filter(({ regions }) => regions.length > 0)
    .map(({ what, regions }) => ({ what, regions: regions.map(regionName) }))
  const lacking = known.find(({ regions }) => !regions.includes(location))
  if (!lacking) return
  const usable = known
    .map(({ regions }) => regions)
    .reduce((some, others) => some.filter((one) => others.includes(one)))
  throw new HookStop(
    `${lacking.what} is not offered in ${location} (AZURE_LOCATION). Nothing was deployed. Create an environment in one of: ${[...usable].sort().join(', ')}.`,
  )
}

/** As ARM writes it: azd stores `westeurope`, and people also write "West Europe". */
export function regionName(name: string): string {
  return name.toLowerCase().replaceAll(' ', '')
}

interface Stacks {
  readonly value?: readonly {
    readonly properties?: {
      readonly majorVersions?: readonly {
        readonly minorVersions?: readonly {
          readonly stackSettings?: {
            readonly linuxRuntimeSettings?: {
              readonly runtimeVersion?: string
              readonly Sku?: readonly { readonly skuCode?: string }[]
            }
          }
        }[]
      }[]
    }
  }[]
}

function flexVersionsOf(body: Stacks): readonly string[] {
  const settings = (body.value ?? [])
    .flatMap(({ properties }) => properties?.majorVersions ?? [])
    .flatMap(({ minorVersions }) => minorVersions ?? [])
    .map(({ stackSettings }) => stackSettings?.linuxRuntimeSettings)
  return settings
    .filter((one) => one?.Sku?.some(({ skuCode }) => skuCode === 'FC1'))
    .flatMap((one) => /\d+/.exec(one?.runtimeVersion ?? '')?.[0] ?? [])
}
