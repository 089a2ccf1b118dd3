/** Checks before anything is created: region, Node version, resource providers, rights, the name of the vault. */
import type { Configuration } from './configuration.schema.ts'
import type { Cloud } from './cloud.ts'
import { patienceOf } from './cloud.ts'
import { subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

/**
 * Reads the tenant of the subscription. azd does not store it.
 *
 * @throws {HookStop} where the subscription is not visible to this person
 */
export async function readTenantOfSubscription(context: HookContext): Promise<string> {
  const { status, body } = await context.cloud.arm(`${subscriptionPath(context)}?api-version=2022-12-01`)
  if (status === 200 && typeof body['tenantId'] === 'string') return body['tenantId']
  throw new HookStop(
    `The subscription ${context.environment.get('AZURE_SUBSCRIPTION_ID') ?? ''} is not visible to you (${status}). Nothing was deployed. Sign in to its tenant (azd auth login --tenant-id <tenant id>), or select another subscription (azd env set AZURE_SUBSCRIPTION_ID <id>).`,
  )
}

/** @throws {HookStop} where Flex Consumption or the Node version is not offered in the region */
export async function checkRegion(context: HookContext, configuration: Configuration): Promise<void> {
  const location = regionName(context.environment.get('AZURE_LOCATION') ?? '')
  const regions = await context.cloud.arm(
    `${subscriptionPath(context)}/providers/Microsoft.Web/geoRegions?sku=FlexConsumption&api-version=2024-04-01`,
  )
  const offered = (regions.body['value'] ?? []) as readonly { readonly name?: string }[]
  // An empty or refused list is no proof: the deployment then reports the region itself.
  if (regions.status === 200 && offered.length > 0) {
    const names = offered.map(({ name }) => regionName(name ?? ''))
    if (!names.includes(location)) {
      throw new HookStop(
        `Flex Consumption is not offered in ${location} (AZURE_LOCATION). Nothing was deployed. Create an environment in one of: ${names.sort().join(', ')}.`,
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

function regionName(name: string): string {
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

/** Every resource provider of the template. */
const providers = [
  'Microsoft.EventGrid',
  'Microsoft.Insights',
  'Microsoft.KeyVault',
  'Microsoft.ManagedIdentity',
  'Microsoft.OperationalInsights',
  'Microsoft.Storage',
  'Microsoft.Web',
]

/** Providers that only an option needs; the template names no resource of Microsoft.App, so ARM does not register it. */
export function providersOf(configuration: Configuration): readonly string[] {
  return configuration.network === 'private' ? [...providers, 'Microsoft.App', 'Microsoft.Network'] : providers
}

/** @returns the providers that are not registered */
export async function findUnregistered(context: HookContext, names: readonly string[]): Promise<readonly string[]> {
  const { status, body } = await context.cloud.arm(`${subscriptionPath(context)}/providers?api-version=2021-04-01`)
  if (status !== 200) return [] // A person without the right to list providers may still deploy.
  const listed = (body['value'] ?? []) as readonly { namespace?: string; registrationState?: string }[]
  const registered = listed
    .filter(({ registrationState }) => registrationState === 'Registered')
    .map(({ namespace }) => namespace?.toLowerCase())
  return names.filter((name) => !registered.includes(name.toLowerCase()))
}

/** Registers resource providers and waits for each. @throws {HookStop} without the right, or after the time limit */
export async function registerProviders(context: HookContext, names: readonly string[]): Promise<void> {
  const { cloud, clock, report, environment } = context
  for (const name of names) {
    const path = `${subscriptionPath(context)}/providers/${name}`
    const requested = await cloud.arm(`${path}/register?api-version=2021-04-01`, { method: 'POST' })
    if (requested.status >= 300) {
      throw new HookStop(
        `The resource provider ${name} is not registered in the subscription, and you may not register it (${requested.status}). Nothing was deployed. A Contributor of the subscription runs: az provider register --namespace ${name} --wait`,
      )
    }
    const until = clock.now() + patienceOf(Object.fromEntries(environment.entries()))
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

/** @throws {HookStop} when the person may not assign the roles that the template assigns */
export async function checkRights(
  context: HookContext,
  configuration: Configuration,
  names: Names,
  fileName: string,
): Promise<void> {
  const locks = configuration.lockResources === true
  if (configuration.assignRoles === false && !locks) return
  const may = await readPermissions(context.cloud, [
    // Rights on the group suffice where the group is there already.
    `${subscriptionPath(context)}/resourceGroups/${names.resourceGroup}`,
    subscriptionPath(context),
  ])
  if (may === undefined) return
  if (locks && !may('Microsoft.Authorization/locks/write')) {
    throw new HookStop(
      [
        'You may not write locks (Microsoft.Authorization/locks/write), and "lockResources": true needs them. Nothing was deployed.',
        '- An Owner or User Access Administrator of the subscription has the right.',
        `- Without it: remove "lockResources" from ${fileName}, and let an Owner lock the vault and the storage accounts.`,
      ].join('\n'),
    )
  }
  if (configuration.assignRoles === false) return
  if (!may('Microsoft.Authorization/roleAssignments/write')) {
    throw new HookStop(
      [
        'You may not assign roles (Microsoft.Authorization/roleAssignments/write), and the deployment assigns five roles. Nothing was deployed.',
        `- An Owner grants the right: az role assignment create --role "Role Based Access Control Administrator" --assignee <your object id> --scope <id of the subscription or of the resource group>`,
        `- Without it: write "assignRoles": false into ${fileName}. The deployment then prints the five commands for an Owner.`,
      ].join('\n'),
    )
  }
  if (configuration.vaultAuthorization === 'rbac' && !may('Microsoft.Authorization/roleDefinitions/write')) {
    throw new HookStop(
      [
        'You may not write custom roles (Microsoft.Authorization/roleDefinitions/write), and "vaultAuthorization": "rbac" needs two. Nothing was deployed.',
        '- An Owner or User Access Administrator of the subscription has the right.',
        `- Without it: write "vaultAuthorization": "accessPolicies" into ${fileName}.`,
      ].join('\n'),
    )
  }
}

/** The permissions at the first scope that answers. */
async function readPermissions(cloud: Cloud, scopes: readonly string[]) {
  for (const scope of scopes) {
    const { status, body } = await cloud.arm(
      `${scope}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`,
    )
    if (status !== 200) continue
    const granted = (body['value'] ?? []) as readonly {
      actions?: readonly string[]
      notActions?: readonly string[]
    }[]
    return (action: string) =>
      granted.some(
        ({ actions = [], notActions = [] }) =>
          actions.some((pattern) => matches(pattern, action)) &&
          !notActions.some((pattern) => matches(pattern, action)),
      )
  }
  return undefined
}

function matches(pattern: string, action: string): boolean {
  const escaped = pattern.replace(/[.*+?^${}()|[\]\\]/g, (letter) => (letter === '*' ? '.*' : `\\${letter}`))
  return new RegExp(`^${escaped}$`, 'i').test(action)
}

/** @returns whether a deleted vault holds the name and is to be recovered. @throws {HookStop} when the name is in use */
export async function checkVaultName(
  context: HookContext,
  configuration: Configuration,
  names: Names,
  fileName: string,
): Promise<boolean> {
  const { cloud, environment } = context
  const subscription = subscriptionPath(context)
  const group = `${subscription}/resourceGroups/${names.resourceGroup}`
  const own = await cloud.arm(`${group}/providers/Microsoft.KeyVault/vaults/${names.vault}?api-version=2026-02-01`)
  if (own.status === 200) return false

  const deleted = await cloud.arm(`${deletedVaultPath(context, names)}?api-version=2026-02-01`)
  if (deleted.status === 200) {
    if (environment.get('BROKER_RECOVER_VAULT') === 'true') return true
    throw new HookStop(['Nothing was deployed.', vaultNameTaken(names.vault, fileName)].join(' '))
  }

  const { body } = await cloud.arm(
    `${subscription}/providers/Microsoft.KeyVault/checkNameAvailability?api-version=2026-02-01`,
    { method: 'POST', body: { name: names.vault, type: 'Microsoft.KeyVault/vaults' } },
  )
  if (body['nameAvailable'] === false) {
    throw new HookStop(
      `Another vault has the name ${names.vault}; names are unique in the cloud. Nothing was deployed. Write another "vaultName" into ${fileName}.`,
    )
  }
  return false
}

function deletedVaultPath(context: HookContext, { vault }: Names): string {
  const location = regionName(context.environment.get('AZURE_LOCATION') ?? '')
  return `${subscriptionPath(context)}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${vault}`
}

/** The remedies when a deleted vault holds the name; also printed after `azd down`. */
export function vaultNameTaken(vault: string, fileName: string): string {
  return [
    `A deleted vault holds the name ${vault} until its retention ends.`,
    '- To recover it with its certificate and keys: azd env set BROKER_RECOVER_VAULT true, then azd up',
    `- To create a new one: write another "vaultName" into ${fileName}`,
  ].join('\n')
}

/**
 * Recovers the deleted vault before the template runs: in a template, `createMode: recover` ignores every other
 * property of the vault.
 *
 * @throws {HookStop}
 */
export async function recoverVault(context: HookContext, names: Names, tenantId: string): Promise<void> {
  const { cloud, clock, report, environment } = context
  const group = `${subscriptionPath(context)}/resourceGroups/${names.resourceGroup}`
  const location = regionName(environment.get('AZURE_LOCATION') ?? '')
  const tags = { 'azd-env-name': environment.get('AZURE_ENV_NAME') ?? '' }
  const made = await cloud.arm(`${group}?api-version=2021-04-01`, { method: 'PUT', body: { location, tags } })
  if (made.status >= 300) throw new HookStop(`The resource group could not be created (${made.status}).`)
  const path = `${group}/providers/Microsoft.KeyVault/vaults/${names.vault}?api-version=2026-02-01`
  const requested = await cloud.arm(path, {
    method: 'PUT',
    body: {
      location,
      properties: { createMode: 'recover', tenantId, sku: { family: 'A', name: 'standard' }, accessPolicies: [] },
    },
  })
  if (requested.status >= 300) {
    throw new HookStop(
      `The vault ${names.vault} could not be recovered (${requested.status}). The right is Microsoft.KeyVault/vaults/write and Microsoft.KeyVault/locations/deletedVaults/read (Key Vault Contributor).`,
    )
  }
  const until = clock.now() + patienceOf(Object.fromEntries(environment.entries()))
  for (;;) {
    const { status, body } = await cloud.arm(path)
    const state = (body['properties'] as { provisioningState?: string } | undefined)?.provisioningState ?? 'Succeeded'
    if (status === 200 && state === 'Succeeded') break
    if (clock.now() > until)
      throw new HookStop(`The recovery of the vault ${names.vault} is not finished yet. Run azd up again.`)
    report.progress(`Waiting until the vault ${names.vault} is recovered`)
    await clock.wait(10_000)
  }
}
