/** What the subscription must have and let this person do; asked before anything is deployed. */
import type { AzdEnvironment } from './azd.ts'
import type { Cloud } from './cloud.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

/** @throws {HookStop} */
export async function checkSubscription(cloud: Cloud, environment: AzdEnvironment): Promise<void> {
  const subscription = `/subscriptions/${environment.get('AZURE_SUBSCRIPTION_ID') ?? ''}`
  await checkProvider(cloud, subscription)
  await checkRights(cloud, environment, subscription)
}

async function checkProvider(cloud: Cloud, subscription: string): Promise<void> {
  const { status, body } = await cloud.arm(`${subscription}/providers/Microsoft.App?api-version=2021-04-01`)
  if (status === 403) return // Who may not look may still deploy; Azure says it then.
  if (status === 200 && body['registrationState'] === 'Registered') return
  throw new HookStop(
    'Microsoft.App is not registered in the subscription, and Flex Consumption needs it. Nothing was deployed. Run: az provider register --namespace Microsoft.App --wait',
  )
}

async function checkRights(cloud: Cloud, environment: AzdEnvironment, subscription: string): Promise<void> {
  if (environment.get('BROKER_ASSIGN_ROLES') === 'false') return
  const { status, body } = await cloud.arm(
    `${subscription}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01`,
  )
  if (status !== 200) return
  const granted = (body['value'] ?? []) as readonly { actions?: readonly string[]; notActions?: readonly string[] }[]
  const may = (action: string) =>
    granted.some(
      ({ actions = [], notActions = [] }) =>
        actions.some((pattern) => matches(pattern, action)) && !notActions.some((pattern) => matches(pattern, action)),
    )
  if (!may('Microsoft.Authorization/roleAssignments/write')) {
    throw new HookStop(
      [
        'You may not make role assignments in the subscription (Microsoft.Authorization/roleAssignments/write), and the deployment assigns five roles. Nothing was deployed.',
        '- An Owner of the subscription gives you the right: az role assignment create --role "Role Based Access Control Administrator" --assignee <you> --scope <the subscription or the resource group>',
        '- Without it: azd env set BROKER_ASSIGN_ROLES false; the deployment then prints the five commands for an administrator.',
      ].join('\n'),
    )
  }
  if (
    environment.get('BROKER_VAULT_AUTHORIZATION') === 'rbac' &&
    !may('Microsoft.Authorization/roleDefinitions/write')
  ) {
    throw new HookStop(
      [
        'You may not write custom roles (Microsoft.Authorization/roleDefinitions/write), which BROKER_VAULT_AUTHORIZATION=rbac needs. Nothing was deployed.',
        '- An Owner or User Access Administrator of the subscription has the right.',
        '- Without it: azd env set BROKER_VAULT_AUTHORIZATION accessPolicies',
      ].join('\n'),
    )
  }
}

function matches(pattern: string, action: string): boolean {
  const escaped = pattern.replace(/[.*+?^${}()|[\]\\]/g, (letter) => (letter === '*' ? '.*' : `\\${letter}`))
  return new RegExp(`^${escaped}$`, 'i').test(action)
}

/** @returns whether a deleted vault is brought back. @throws {HookStop} where the name can't be had */
export async function checkVaultName(cloud: Cloud, environment: AzdEnvironment, names: Names): Promise<boolean> {
  const subscription = `/subscriptions/${environment.get('AZURE_SUBSCRIPTION_ID') ?? ''}`
  const group = `${subscription}/resourceGroups/${names.resourceGroup}`
  const own = await cloud.arm(`${group}/providers/Microsoft.KeyVault/vaults/${names.vault}?api-version=2026-02-01`)
  if (own.status === 200) return false

  const location = (environment.get('AZURE_LOCATION') ?? '').toLowerCase().replaceAll(' ', '')
  const deleted = await cloud.arm(
    `${subscription}/providers/Microsoft.KeyVault/locations/${location}/deletedVaults/${names.vault}?api-version=2026-02-01`,
  )
  if (deleted.status === 200) {
    if (environment.get('BROKER_RECOVER_VAULT') === 'true') return true
    throw new HookStop(vaultNameTaken(names.vault))
  }

  const { body } = await cloud.arm(
    `${subscription}/providers/Microsoft.KeyVault/checkNameAvailability?api-version=2026-02-01`,
    {
      method: 'POST',
      body: { name: names.vault, type: 'Microsoft.KeyVault/vaults' },
    },
  )
  if (body['nameAvailable'] === false) {
    throw new HookStop(
      `Somebody has a vault named ${names.vault} (BROKER_VAULT_NAME); names are unique in the world. Nothing was deployed. Run: azd env set BROKER_VAULT_NAME <another name>`,
    )
  }
  return false
}

/** What to do about the name of a deleted vault; also what `azd down` says. */
export function vaultNameTaken(vault: string): string {
  return [
    `A deleted vault holds the name ${vault}: it can't be purged before its retention ends.`,
    '- To bring it back with its certificate and keys: azd env set BROKER_RECOVER_VAULT true',
    '- To make a new one: azd env set BROKER_VAULT_NAME <another name>',
  ].join('\n')
}
