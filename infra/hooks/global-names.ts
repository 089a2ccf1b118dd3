/** Names of resources that are unique in the whole cloud: Azure refuses a taken one in the middle of a deployment. */
import { groupPath, subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

interface GlobalName {
  readonly kind: string
  readonly name: string
  readonly provider: string
  readonly type: string
  readonly apiVersion: string
  /** The member of the file that changes the name. */
  readonly member: string
}

/** Of the resources whose names come from the token. vault-name.ts checks that of the vault. */
function globalNamesOf(names: Names): readonly GlobalName[] {
  const storage = { provider: 'Microsoft.Storage', type: 'storageAccounts', apiVersion: '2024-01-01' }
  const member = 'resourceToken'
  return [
    { kind: 'the storage account', name: names.storage, ...storage, member },
    { kind: 'the storage account of the package', name: names.packageStorage, ...storage, member },
    {
      kind: 'the function app',
      name: names.functionApp,
      provider: 'Microsoft.Web',
      type: 'sites',
      apiVersion: '2025-03-01',
      member,
    },
  ]
}

/** @throws {HookStop} where another resource group or subscription has one of the names */
export async function checkGlobalNames(context: HookContext, names: Names, fileName: string): Promise<void> {
  for (const one of globalNamesOf(names)) await checkAvailable(context, names, one, fileName)
}

/** A resource of this resource group is there since an earlier deployment, and keeps its name. */
export async function checkAvailable(
  context: HookContext,
  names: Names,
  { kind, name, provider, type, apiVersion, member }: GlobalName,
  fileName: string,
): Promise<void> {
  const own = `${groupPath(context, names)}/providers/${provider}/${type}/${name}`
  if ((await context.cloud.arm(`${own}?api-version=${apiVersion}`)).status === 200) return
  const { body } = await context.cloud.arm(
    `${subscriptionPath(context)}/providers/${provider}/checkNameAvailability?api-version=${apiVersion}`,
    { method: 'POST', body: { name, type: `${provider}/${type}` } },
  )
  // A person without a right in the subscription gets no answer; the deployment then reports the name.
  if (body['nameAvailable'] !== false) return
  const { message = '' } = body as { readonly message?: string }
  throw new HookStop(
    `The name ${name} of ${kind} is taken: names are unique in the cloud, and another resource group or subscription has it. Nothing was deployed. Write another "${member}" into ${fileName}. ${message}`.trimEnd(),
  )
}
