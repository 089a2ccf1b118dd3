/** The name of the vault: it may be in use, or held by a deleted vault, which this recovers on request. */
import { regionName } from './check-region.ts'
import { causeOf, patienceOf } from './cloud.ts'
import type { Configuration } from './configuration.schema.ts'
import { groupPath, subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import { checkAvailable } from './global-names.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

/**
 * @param isDeployed whether the app of this environment is there
 * @returns whether a deleted vault holds the name and is to be recovered.
 * @throws {HookStop} when the name is in use
 */
export async function checkVaultName(
  context: HookContext,
  names: Names,
  fileName: string,
  isDeployed: boolean,
): Promise<boolean> {
  const { cloud, environment } = context
  const deleted = await cloud.arm(`${deletedVaultPath(context, names)}?api-version=2026-02-01`)
  if (deleted.status === 200) {
    const { vaultId } = (deleted.body['properties'] ?? {}) as { readonly vaultId?: string }
    const group = /\/resourceGroups\/([^/]+)\//i.exec(vaultId ?? '')?.[1] ?? names.resourceGroup
    if (group.toLowerCase() !== names.resourceGroup.toLowerCase()) {
      throw new HookStop(
        `Nothing was deployed. A deleted vault holds the name ${names.vault} until its retention ends. It was in the resource group ${group}, and Azure recovers it there only: write "resourceGroupName": "${group}" into ${fileName}, or another "vaultName".`,
      )
    }
    if (environment.get('BROKER_RECOVER_VAULT') === 'true') return true
    throw new HookStop(['Nothing was deployed.', vaultNameTaken(names.vault, fileName, isDeployed)].join(' '))
  }

  await checkAvailable(
    context,
    names,
    {
      kind: 'the vault',
      name: names.vault,
      provider: 'Microsoft.KeyVault',
      type: 'vaults',
      apiVersion: '2026-02-01',
      member: 'vaultName',
    },
    fileName,
  )
  return false
}

function deletedVaultPath(context: HookContext, { vault }: Names): string {
  const location = regionName(context.environment.get('AZURE_LOCATION') ?? '')
  return `${subscriptionPath(context)}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${vault}`
}

/**
 * The remedies when a deleted vault holds the name; also printed after `azd down`. A recovered vault is without its
 * role assignments and event subscriptions. Beside an app that is deployed, azd would skip the unchanged template.
 */
export function vaultNameTaken(vault: string, fileName: string, isDeployed: boolean): string {
  const next = isDeployed ? 'azd provision --no-state' : 'azd up'
  return [
    `A deleted vault holds the name ${vault} until its retention ends.`,
    `- To recover it with its certificate and keys: azd env set BROKER_RECOVER_VAULT true, then ${next}`,
    `- To create a new one: write another "vaultName" into ${fileName}`,
  ].join('\n')
}

/**
 * Recovers the deleted vault before the template runs: in a template, `createMode: recover` ignores every other
 * property of the vault.
 *
 * @throws {HookStop}
 */
export async function recoverVault(
  context: HookContext,
  configuration: Configuration,
  names: Names,
  tenantId: string,
): Promise<void> {
  const { cloud, clock, report, environment } = context
  const group = groupPath(context, names)
  const location = regionName(environment.get('AZURE_LOCATION') ?? '')
  const tags = { ...configuration.tags, 'azd-env-name': environment.get('AZURE_ENV_NAME') ?? '' }
  // A team's own group has its own location and tags, which a PUT would replace.
  const present = await cloud.arm(`${group}?api-version=2021-04-01`)
  if (present.status === 404) {
    const made = await cloud.arm(`${group}?api-version=2021-04-01`, { method: 'PUT', body: { location, tags } })
    if (made.status >= 300) {
      throw new HookStop(
        `The resource group ${names.resourceGroup} could not be created (${causeOf(made)}). If a policy refused it, write the tags that it requires into the configuration, or create the group as it demands. Then run azd up again.`,
      )
    }
  }
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
      `The vault ${names.vault} could not be recovered (${causeOf(requested)}). The right is Microsoft.KeyVault/vaults/write and Microsoft.KeyVault/locations/deletedVaults/read (Key Vault Contributor).`,
    )
  }
  const until = clock.now() + patienceOf(environment)
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
