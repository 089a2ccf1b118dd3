/**
 * The rights that a deployment needs at Resource Manager, compared with those of the person before anything is created.
 */
import type { Cloud } from './cloud.ts'
import type { Configuration } from './configuration.schema.ts'
import { groupPath, subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

interface NeededRight {
  readonly action: string
  readonly isNeeded: boolean
  /** Continues "You may not". */
  readonly verb: string
  /** A sentence about the need. */
  readonly reason: string
  /** Ways to go on. */
  readonly remedies: readonly string[]
}

function rightsFor(configuration: Configuration, fileName: string): readonly NeededRight[] {
  const { assignRoles = true, lockResources = false, vaultAuthorization } = configuration
  return [
    {
      action: 'Microsoft.Resources/deployments/write',
      isNeeded: true,
      verb: 'deploy',
      reason: 'and the role Contributor, which allows it, is missing or not active yet',
      remedies: [
        'An Owner grants it: az role assignment create --role Contributor --assignee <your object id> --scope <id of the subscription or of the resource group>',
        'If you have an eligible role (Privileged Identity Management), activate it first.',
      ],
    },
    {
      action: 'Microsoft.Authorization/locks/write',
      isNeeded: lockResources,
      verb: 'write locks',
      reason: 'and "lockResources": true needs them',
      remedies: [
        'An Owner or User Access Administrator of the subscription has the right.',
        `Without it: remove "lockResources" from ${fileName}, and let an Owner lock the vault and the storage accounts.`,
      ],
    },
    {
      action: 'Microsoft.Authorization/roleAssignments/write',
      isNeeded: assignRoles,
      verb: 'assign roles',
      reason: 'and the deployment assigns five roles',
      remedies: [
        'An Owner grants the right: az role assignment create --role "Role Based Access Control Administrator" --assignee <your object id> --scope <id of the subscription or of the resource group>',
        `Without it: write "assignRoles": false into ${fileName}. The deployment then prints the five commands for an Owner.`,
      ],
    },
    {
      action: 'Microsoft.Authorization/roleDefinitions/write',
      isNeeded: assignRoles && vaultAuthorization === 'rbac',
      verb: 'write custom roles',
      reason: 'and "vaultAuthorization": "rbac" needs two',
      remedies: [
        'An Owner or User Access Administrator of the subscription has the right.',
        `Without it: write "vaultAuthorization": "accessPolicies" into ${fileName}.`,
      ],
    },
  ]
}

/** @throws {HookStop} for the first right that the person lacks. Permissions that cannot be read are no reason */
export async function checkRights(
  context: HookContext,
  configuration: Configuration,
  names: Names,
  fileName: string,
): Promise<void> {
  const may = await readPermissions(context.cloud, [
    // Rights on the group suffice where the group is there already.
    groupPath(context, names),
    subscriptionPath(context),
  ])
  const lacking = rightsFor(configuration, fileName).find(({ action, isNeeded }) => isNeeded && may?.(action) === false)
  if (!lacking) return
  const { action, verb, reason, remedies } = lacking
  throw new HookStop(
    [`You may not ${verb} (${action}), ${reason}. Nothing was deployed.`, ...remedies.map((one) => `- ${one}`)].join(
      '\n',
    ),
  )
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
