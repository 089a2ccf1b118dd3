/** The roles that the template leaves out with "assignRoles": false, as commands for an administrator. */
import type { Configuration } from './configuration.schema.ts'
import { groupPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { readParameters } from './parameters.ts'
import { writeCommandFile } from './project-file.ts'

/** Operations of the custom roles in a vault with roles, as modules/vault.bicep has them. */
const vaultOperations = {
  broker: ['certificates/read', 'keys/read', 'keys/sign/action', 'keys/wrap/action', 'keys/unwrap/action'],
  officer: ['certificates/read', 'certificates/create/action', 'certificates/update/action'],
} as const

interface Assignment {
  readonly role: string
  readonly assignee: string
  /** Undefined for a person or a group, whose type az finds out. */
  readonly type?: 'ServicePrincipal'
  readonly scope: string
}

/** Prints one command for each role assignment, and before them the custom roles of a vault with roles. */
export async function printRoles(context: HookContext, configuration: Configuration, names: Names): Promise<void> {
  const { environment, report } = context
  const providers = `${groupPath(context, names)}/providers`
  const identity = environment.get('BROKER_IDENTITY_PRINCIPAL_ID') ?? '<principal id of the identity of the broker>'
  const host = environment.get('BROKER_HOST_IDENTITY_PRINCIPAL_ID') ?? '<principal id of the identity of the host>'
  const storage = `${providers}/Microsoft.Storage/storageAccounts/${names.storage}`
  const packageStorage = `${providers}/Microsoft.Storage/storageAccounts/${names.packageStorage}`
  const component = `${providers}/Microsoft.Insights/components/appi-broker-${names.token}`
  const assign = ({ role, assignee, type, scope }: Assignment) => {
    const principalType = type === undefined ? '' : ` --assignee-principal-type ${type}`
    report.todo(
      `az role assignment create --role "${role}" --assignee-object-id ${assignee}${principalType} --scope ${scope}`,
    )
  }

  if (configuration.vaultAuthorization === 'rbac') {
    for (const assignment of await prepareVaultRoles(context, configuration, names, identity)) assign(assignment)
  }
  const type = 'ServicePrincipal'
  assign({ role: 'Storage Blob Data Owner', assignee: host, type, scope: storage })
  assign({ role: 'Storage Blob Data Contributor', assignee: host, type, scope: packageStorage })
  assign({ role: 'Storage Table Data Contributor', assignee: identity, type, scope: storage })
  assign({ role: 'Monitoring Metrics Publisher', assignee: identity, type, scope: component })
  report.todo(
    `az eventgrid system-topic show --name ${names.topic} --resource-group ${names.resourceGroup} --query identity.principalId --output tsv`,
  )
  assign({
    role: 'Storage Blob Data Contributor',
    assignee: '<principal id that the last command printed>',
    type,
    scope: `${storage}/blobServices/default/containers/dead-letters`,
  })
}

/** Writes the definitions of the custom roles, and prints the commands that create them. */
async function prepareVaultRoles(
  context: HookContext,
  { certificateOfficerId, developerIds = [] }: Configuration,
  names: Names,
  identity: string,
): Promise<readonly Assignment[]> {
  const { principalId, deploymentPass, principalType } = readParameters(context.environment)
  const define = async (kind: keyof typeof vaultOperations, title: string) => {
    // Another name than that of the template's own role: the names of custom roles are unique in a tenant.
    const role = `${title} of ${names.vault}, assigned by hand`
    const file = await writeCommandFile(context, `vault-role-${kind}.json`, {
      Name: role,
      Description: `${title} of ${names.vault}. No access to secrets.`,
      DataActions: vaultOperations[kind].map((operation) => `Microsoft.KeyVault/vaults/${operation}`),
      AssignableScopes: [groupPath(context, names)],
    })
    context.report.todo(`az role definition create --role-definition "@${file}"`)
    return role
  }
  const scope = `${groupPath(context, names)}/providers/Microsoft.KeyVault/vaults/${names.vault}`
  const broker = await define('broker', 'Certificate token broker')
  const officer = await define('officer', 'Certificate officer')
  const person = principalType === 'ServicePrincipal' ? { type: principalType } : {}
  const officers = new Set([certificateOfficerId, deploymentPass === 'second' ? undefined : principalId])
  return [
    { role: broker, assignee: identity, type: 'ServicePrincipal', scope },
    ...developerIds.map((assignee) => ({ role: broker, assignee, scope })),
    ...[...officers].flatMap((assignee) =>
      assignee === undefined ? [] : [{ role: officer, assignee, ...(assignee === principalId ? person : {}), scope }],
    ),
  ]
}
