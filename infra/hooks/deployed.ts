/** Reads the deployed state from Azure, and finds what the coming deployment would remove. */
import { createHash } from 'node:crypto'
import { declarations } from '../../shared/settings/declarations.ts'
import { settingsOf } from './configuration-settings.ts'
import type { Configuration } from './configuration.schema.ts'
import { subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

export interface Deployed {
  /** Empty where the person may not list them. */
  readonly settings: Readonly<Record<string, string>>
  readonly canListSettings: boolean
  readonly alwaysReadyInstances: number
  readonly domains: readonly string[]
  readonly vault: { readonly name: string; readonly sku: string; readonly isRbac: boolean } | undefined
  readonly alertEmails: readonly string[]
  /** Key Vault accepts requests from a private network only. */
  readonly isPrivate: boolean
  /** The app accepts requests from a Front Door only. */
  readonly isBehindFrontDoor: boolean
}

/** @returns undefined where there is no function app yet */
export async function readDeployed(context: HookContext, names: Names): Promise<Deployed | undefined> {
  const { cloud } = context
  const group = `${subscriptionPath(context)}/resourceGroups/${names.resourceGroup}/providers`
  const site = `${group}/Microsoft.Web/sites/${names.functionApp}`
  const found = await cloud.arm(`${site}?api-version=2025-03-01`)
  if (found.status !== 200) return undefined

  const [list, bindings, actionGroup] = await Promise.all([
    cloud.arm(`${site}/config/appsettings/list?api-version=2025-03-01`, { method: 'POST' }),
    cloud.arm(`${site}/hostNameBindings?api-version=2025-03-01`),
    cloud.arm(`${group}/Microsoft.Insights/actionGroups/${names.actionGroup}?api-version=2023-01-01`),
  ])
  const settings = (list.status === 200 ? (list.body['properties'] ?? {}) : {}) as Record<string, string>
  const vaultUrl = settings[declarations.vaultUrl.name]
  const vaultName = vaultUrl === undefined ? names.vault : (new URL(vaultUrl).hostname.split('.')[0] ?? '')
  const vault = await cloud.arm(`${group}/Microsoft.KeyVault/vaults/${vaultName}?api-version=2026-02-01`)
  const properties = found.body['properties'] as {
    readonly defaultHostName?: string
    readonly siteConfig?: { readonly ipSecurityRestrictionsDefaultAction?: string | null } | null
    readonly functionAppConfig?: {
      readonly scaleAndConcurrency?: { readonly alwaysReady?: readonly { readonly instanceCount?: number }[] | null }
    }
  }
  const vaultProperties = vault.body['properties'] as
    | {
        readonly sku?: { readonly name?: string }
        readonly enableRbacAuthorization?: boolean
        readonly publicNetworkAccess?: string
        readonly networkAcls?: { readonly defaultAction?: string }
      }
    | undefined
  const { emailReceivers = [] } = (actionGroup.body['properties'] ?? {}) as {
    readonly emailReceivers?: readonly { readonly emailAddress: string }[]
  }
  const bound = (bindings.status === 200 ? (bindings.body['value'] ?? []) : []) as readonly { readonly name: string }[]

  return {
    settings,
    canListSettings: list.status === 200,
    alwaysReadyInstances: Math.max(
      0,
      ...(properties.functionAppConfig?.scaleAndConcurrency?.alwaysReady ?? []).map(
        ({ instanceCount }) => instanceCount ?? 0,
      ),
    ),
    domains: bound
      .map(({ name }) => name.slice(name.indexOf('/') + 1))
      .filter((name) => name !== properties.defaultHostName),
    vault:
      vault.status === 200
        ? {
            name: vaultName,
            sku: vaultProperties?.sku?.name?.toLowerCase() ?? 'standard',
            isRbac: vaultProperties?.enableRbacAuthorization === true,
          }
        : undefined,
    alertEmails: emailReceivers.map(({ emailAddress }) => emailAddress),
    isPrivate:
      vaultProperties?.publicNetworkAccess === 'Disabled' || vaultProperties?.networkAcls?.defaultAction === 'Deny',
    isBehindFrontDoor: properties.siteConfig?.ipSecurityRestrictionsDefaultAction === 'Deny',
  }
}

/**
 * @param objectId of the app registration, as the coming deployment would set it
 * @returns one noun phrase for each thing that the coming deployment would remove
 */
export function findRemovals(
  deployed: Deployed,
  configuration: Configuration,
  names: Names,
  objectId: string | undefined,
): readonly string[] {
  const removals: string[] = []
  if (!deployed.canListSettings) {
    removals.push('unknown settings: you may not list them (Microsoft.Web/sites/config/list/action)')
  }
  removals.push(...removedFrom(frontEndsOf(deployed), configuration.frontEnds ?? []))
  for (const domain of deployed.domains) {
    if (domain !== configuration.domain) removals.push(`the domain ${domain}`)
  }
  const { vault } = deployed
  if (vault && vault.name !== names.vault) removals.push(`the vault ${vault.name} (in its place: ${names.vault})`)
  if (vault?.sku === 'premium' && vault.name === names.vault && configuration.vaultSku !== 'premium') {
    removals.push('the SKU premium of the vault')
  }
  if (vault && vault.name === names.vault) {
    const isRbac = configuration.vaultAuthorization === 'rbac'
    if (vault.isRbac && !isRbac) removals.push('the authorization of the vault by roles (rbac)')
    if (!vault.isRbac && isRbac) removals.push('the authorization of the vault by access policies')
  }
  if (deployed.isPrivate && configuration.network !== 'private') removals.push('the private network')
  if (deployed.isBehindFrontDoor && configuration.frontDoor === undefined) {
    removals.push('the restriction of the app to Front Door')
  }
  const deployedId = deployed.settings[declarations.applicationObjectId.name]
  if (deployedId !== undefined && deployedId.toLowerCase() !== objectId?.toLowerCase()) {
    removals.push(`the object id ${deployedId} of the app registration`)
  }
  for (const email of deployed.alertEmails) {
    if (!(configuration.alertEmails ?? []).includes(email)) removals.push(`the alert receiver ${email}`)
  }
  const ready = configuration.alwaysReadyInstances ?? 0
  if (deployed.alwaysReadyInstances > ready) {
    removals.push(`${deployed.alwaysReadyInstances - ready} of ${deployed.alwaysReadyInstances} always-ready instances`)
  }
  for (const name of Object.keys(deployed.settings)) {
    if (/^Broker__/.test(name) && !templateSettings.has(name) && settingsOf(configuration)[name] === undefined) {
      removals.push(`the setting ${name}`)
    }
  }
  return removals
}

/** Settings that every deployment writes, or that have a check of their own above. */
const templateSettings: ReadonlySet<string> = new Set(
  [
    declarations.baseUrl,
    declarations.frontEnds,
    declarations.applicationObjectId,
    declarations.tableServiceUri,
    declarations.tablePrefix,
    declarations.wrappingKeyName,
  ].map(({ name }) => name),
)

/** The members of a front end whose entries a deployment must not lose without a confirmation. */
interface DeployedFrontEnd {
  readonly id: string
  readonly origins?: readonly unknown[]
  readonly redirectUris?: readonly unknown[] | undefined
  readonly apis?: readonly { readonly name?: unknown }[]
}

function removedFrom(before: readonly DeployedFrontEnd[], after: readonly DeployedFrontEnd[]): string[] {
  return before.flatMap((one) => {
    const same = after.find(({ id }) => id === one.id)
    if (!same) return [`the front end ${one.id}`]
    const lost = (values: readonly unknown[] = [], kept: readonly unknown[] = []) =>
      values.filter((value) => typeof value === 'string' && !kept.includes(value)) as string[]
    const nameOf = ({ name }: { readonly name?: unknown }) => name
    return [
      ...lost(one.origins, same.origins).map((origin) => `the origin ${origin} of the front end ${one.id}`),
      ...lost(one.redirectUris, same.redirectUris).map((uri) => `the redirect URI ${uri} of the front end ${one.id}`),
      ...lost(one.apis?.map(nameOf), same.apis?.map(nameOf)).map((api) => `the API ${api} of the front end ${one.id}`),
    ]
  })
}

function frontEndsOf({ settings }: Deployed): readonly DeployedFrontEnd[] {
  try {
    const frontEnds = JSON.parse(settings[declarations.frontEnds.name] ?? '[]') as unknown
    if (!Array.isArray(frontEnds)) return []
    return frontEnds.filter(
      (one: unknown): one is DeployedFrontEnd => typeof (one as DeployedFrontEnd | null)?.id === 'string',
    )
  } catch {
    return [] // A value that a person wrote by hand and that is no JSON. The coming deployment repairs it.
  }
}

/**
 * Stops a deployment that would remove something, unless the person confirmed exactly these removals.
 *
 * The confirmation is a digest of the list, so that it holds for this change and for no later one.
 *
 * @throws {HookStop}
 */
export function confirmRemovals(removals: readonly string[], confirmed: string | undefined, fileName: string): void {
  if (removals.length === 0) return
  const code = createHash('sha256')
    .update([...removals].sort().join('\n'))
    .digest('hex')
    .slice(0, 8)
  if (confirmed === code) return
  throw new HookStop(
    [
      `This deployment would remove what is deployed. Nothing was changed. ${fileName} lacks:`,
      ...removals.map((removal) => `- ${removal}`),
      `To keep it, add it to ${fileName} (a colleague may have a newer version of the file). To remove it, confirm exactly this list for this deployment: azd env set BROKER_CONFIRM_REMOVAL ${code}`,
    ].join('\n'),
  )
}
