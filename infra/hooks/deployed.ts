/** Reads the deployed state from Azure, which the coming deployment is compared with. */
import { declarations } from '../../shared/settings/declarations.ts'
import { causeOf } from './cloud.ts'
import { groupPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

export interface Deployed {
  /** Empty where the person may not list them. */
  readonly settings: Readonly<Record<string, string>>
  readonly canListSettings: boolean
  /** As ARM has it: West Europe, or westeurope. */
  readonly location: string | undefined
  readonly defaultHostName: string | undefined
  readonly alwaysReadyInstances: number
  readonly domains: readonly string[]
  readonly vault: DeployedVault | undefined
  readonly alertEmails: readonly string[]
  /** Resource ids of the action groups that receive the alerts, beside the template's own. */
  readonly alertActionGroupIds: readonly string[]
  /** Key Vault accepts requests from a private network only. */
  readonly isPrivate: boolean
  /** The app accepts requests from a Front Door only. */
  readonly isBehindFrontDoor: boolean
  /** undefined where the storage account cannot be read. */
  readonly isZoneRedundant: boolean | undefined
}

interface DeployedVault {
  readonly name: string
  readonly sku: string
  readonly isRbac: boolean
  readonly softDeleteDays: number | undefined
  /**
   * Object ids with an access policy that the template gives to developers and to `otherVaultAccess` alone; empty where
   * the identity of the broker, which has one too, cannot be read.
   */
  readonly otherHolders: readonly string[]
}

interface SiteProperties {
  readonly defaultHostName?: string
  readonly siteConfig?: { readonly ipSecurityRestrictionsDefaultAction?: string | null } | null
  readonly functionAppConfig?: {
    readonly scaleAndConcurrency?: { readonly alwaysReady?: readonly { readonly instanceCount?: number }[] | null }
  }
}

interface VaultProperties {
  readonly sku?: { readonly name?: string }
  readonly enableRbacAuthorization?: boolean
  readonly softDeleteRetentionInDays?: number
  readonly publicNetworkAccess?: string
  readonly networkAcls?: { readonly defaultAction?: string }
  readonly accessPolicies?: readonly AccessPolicy[]
}

interface AccessPolicy {
  readonly objectId: string
  readonly permissions?: Readonly<Record<string, readonly string[] | null>>
}

/** @returns undefined where there is no function app yet. @throws {HookStop} where Azure does not answer */
export async function readDeployed(context: HookContext, names: Names): Promise<Deployed | undefined> {
  const { cloud } = context
  const group = `${groupPath(context, names)}/providers`
  const site = `${group}/Microsoft.Web/sites/${names.functionApp}`
  /** The body of a resource; undefined where it is missing or hidden. */
  const read = async (path: string, call?: { readonly method: 'POST' }) => {
    const answer = await cloud.arm(path, call)
    // A fault must not pass for a resource that is missing: removals would stay unseen.
    if (answer.status >= 500) {
      throw new HookStop(
        `The deployed broker cannot be read (${causeOf(answer)}). Nothing was deployed. Run the command again.`,
      )
    }
    return answer.status === 200 ? answer.body : undefined
  }
  const found = await read(`${site}?api-version=2025-03-01`)
  if (!found) return undefined
  const siteProperties = (found['properties'] ?? {}) as SiteProperties

  const [list, bindings, actionGroup, storage] = await Promise.all([
    read(`${site}/config/appsettings/list?api-version=2025-03-01`, { method: 'POST' }),
    read(`${site}/hostNameBindings?api-version=2025-03-01`),
    read(`${group}/Microsoft.Insights/actionGroups/${names.actionGroup}?api-version=2023-01-01`),
    read(`${group}/Microsoft.Storage/storageAccounts/${names.storage}?api-version=2024-01-01`),
  ])
  const settings = (list?.['properties'] ?? {}) as Record<string, string>
  // A person may have written the setting by hand; what is no URL names no vault.
  const vaultName = URL.parse(settings[declarations.vaultUrl.name] ?? '')?.hostname.split('.')[0] ?? names.vault
  const [vault, alert, identity] = await Promise.all([
    read(`${group}/Microsoft.KeyVault/vaults/${vaultName}?api-version=2026-02-01`),
    read(`${group}/Microsoft.Insights/metricAlerts/${vaultName}-unavailable?api-version=2018-03-01`),
    read(`${group}/Microsoft.ManagedIdentity/userAssignedIdentities/id-broker-${names.token}?api-version=2024-11-30`),
  ])
  const vaultProperties = vault?.['properties'] as VaultProperties | undefined

  return {
    settings,
    canListSettings: list !== undefined,
    location: found['location'] as string | undefined,
    defaultHostName: siteProperties.defaultHostName,
    alwaysReadyInstances: alwaysReadyOf(siteProperties),
    domains: domainsOf(bindings).filter((name) => name !== siteProperties.defaultHostName),
    vault: vaultProperties && {
      name: vaultName,
      sku: vaultProperties.sku?.name?.toLowerCase() ?? 'standard',
      isRbac: vaultProperties.enableRbacAuthorization === true,
      softDeleteDays: vaultProperties.softDeleteRetentionInDays,
      otherHolders: otherHoldersOf(vaultProperties, identity),
    },
    alertEmails: emailsOf(actionGroup),
    alertActionGroupIds: actionGroupsOf(alert).filter((id) => !id.toLowerCase().endsWith(`/${names.actionGroup}`)),
    isPrivate:
      vaultProperties?.publicNetworkAccess === 'Disabled' || vaultProperties?.networkAcls?.defaultAction === 'Deny',
    isBehindFrontDoor: siteProperties.siteConfig?.ipSecurityRestrictionsDefaultAction === 'Deny',
    isZoneRedundant: storage && (storage['sku'] as { readonly name?: string } | undefined)?.name === 'Standard_ZRS',
  }
}

function alwaysReadyOf({ functionAppConfig }: SiteProperties): number {
  const groups = functionAppConfig?.scaleAndConcurrency?.alwaysReady ?? []
  return Math.max(0, ...groups.map(({ instanceCount }) => instanceCount ?? 0))
}

type Body = Readonly<Record<string, unknown>> | undefined

/** What the deploying identity and the certificate officer have, an earlier deployer among them. */
const ofDeployers: ReadonlySet<string> = new Set(['get', 'list', 'create', 'update'])

function otherHoldersOf({ accessPolicies = [] }: VaultProperties, identity: Body): readonly string[] {
  const { principalId } = (identity?.['properties'] ?? {}) as { readonly principalId?: string }
  if (principalId === undefined) return []
  const isOfDeployer = ({ permissions = {} }: AccessPolicy) =>
    Object.entries(permissions).every(([area, granted]) =>
      (granted ?? []).every((one) => area === 'certificates' && ofDeployers.has(one.toLowerCase())),
    )
  return accessPolicies
    .filter((one) => one.objectId.toLowerCase() !== principalId.toLowerCase() && !isOfDeployer(one))
    .map(({ objectId }) => objectId.toLowerCase())
}

/** ARM names a binding `<site>/<domain>`. */
function domainsOf(bindings: Body): readonly string[] {
  const bound = (bindings?.['value'] ?? []) as readonly { readonly name: string }[]
  return bound.map(({ name }) => name.slice(name.indexOf('/') + 1))
}

function emailsOf(actionGroup: Body): readonly string[] {
  const { emailReceivers = [] } = (actionGroup?.['properties'] ?? {}) as {
    readonly emailReceivers?: readonly { readonly emailAddress: string }[]
  }
  return emailReceivers.map(({ emailAddress }) => emailAddress)
}

function actionGroupsOf(alert: Body): readonly string[] {
  const { actions = [] } = (alert?.['properties'] ?? {}) as {
    readonly actions?: readonly { readonly actionGroupId?: string }[]
  }
  return actions.flatMap(({ actionGroupId }) => actionGroupId ?? [])
}
