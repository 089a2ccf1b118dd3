/**
 * Around `azd down`: reports what remains and how to recover it, and removes the app registration,
 * which is no Azure resource.
 */
import { isByHand, isCreatedHere, removeRegistration } from './app-registration.ts'
import { readConfigurationOf } from './configuration.ts'
import { groupPath } from './context.ts'
import type { HookContext } from './context.ts'
import { namesOf } from './names.ts'
import { readPages } from './pages.ts'
import { readParameters } from './parameters.ts'
import { HookStop } from './stop.ts'
import { vaultNameTaken } from './vault-name.ts'

async function find(context: HookContext) {
  const file = await readConfigurationOf(context)
  return { file, names: namesOf(context.environment, file.configuration) }
}

/** @throws {HookStop} where the resource group has resources of others */
export async function predown(context: HookContext): Promise<void> {
  const { environment, report } = context
  const { names } = await find(context)
  await checkOtherResources(context, environment.get('AZURE_RESOURCE_GROUP') ?? names.resourceGroup)
  report.row('Vault', `${names.vault} can be recovered until its retention ends; until then its name stays reserved`)
  report.row('Certificate', 'is recovered with the vault')
  report.row('Sessions', 'end for all users: their rows and the key that wraps them are deleted')
}

interface ListedResource {
  readonly name: string
  readonly type: string
  readonly tags?: Readonly<Record<string, string>> | null
}

/** Azure creates these beside a component of Application Insights and a private endpoint, without the tags. */
function isOfAzure({ name, type }: ListedResource): boolean {
  return (
    /^microsoft\.(alertsmanagement\/smartDetectorAlertRules|network\/networkInterfaces)$/i.test(type) ||
    name === 'Application Insights Smart Detection'
  )
}

/** azd deletes each resource group in which it has deployed a resource, whole, also one that was there before. */
async function checkOtherResources({ cloud, environment }: HookContext, group: string): Promise<void> {
  const environmentName = environment.get('AZURE_ENV_NAME') ?? ''
  const path = `${groupPath({ environment }, { resourceGroup: group })}/resources?api-version=2021-04-01`
  const listed = await readPages<ListedResource>(cloud.arm, path)
  if (!listed) {
    throw new HookStop(
      `azd down deletes the whole resource group ${group}, and its resources cannot be listed. Nothing was deleted. Run it as a person who may read them, or: az group delete --name ${group}`,
    )
  }
  const others = listed.filter((one) => one.tags?.['azd-env-name'] !== environmentName && !isOfAzure(one))
  if (others.length === 0) return
  throw new HookStop(
    [
      `azd down deletes the whole resource group ${group}, and it has resources that do not belong to the environment ${environmentName}. Nothing was deleted. They are:`,
      ...others.slice(0, 10).map(({ name, type }) => `- ${name} (${type})`),
      ...(others.length > 10 ? [`- and ${others.length - 10} more`] : []),
      `To delete those of this environment, delete what this lists: az resource list --tag azd-env-name=${environmentName} --output table`,
      `To delete everything: az group delete --name ${group}`,
    ].join('\n'),
  )
}

export async function postdown(context: HookContext): Promise<void> {
  const { environment, report, cloud } = context
  const { file, names } = await find(context)
  await environment.set('BROKER_CODE_DEPLOYED', '')
  for (const line of vaultNameTaken(names.vault, file.name, false).split('\n')) report.todo(line)

  const clientId = readParameters(environment).clientId ?? file.configuration.clientId
  if (clientId === undefined || isByHand(file.configuration, environment.get('AZURE_TENANT_ID') ?? '')) return
  if (!(await isCreatedHere(cloud, clientId, names))) {
    report.row('App registration', `${clientId} stays: the hooks did not create it`)
    return
  }
  if (!(await isRemovalWanted(context, clientId))) {
    report.row('App registration', `${clientId} stays`)
    report.todo(`To delete the app registration too: az ad app delete --id ${clientId}`)
    return
  }
  if (await removeRegistration(cloud, names)) {
    report.row('App registration', `${clientId} deleted; Entra ID keeps it and its unique name for 30 days`)
    report.todo(`Remove "clientId" and "applicationObjectId" from ${file.name}: they name the deleted registration.`)
  } else {
    report.row('App registration', `${clientId} stays: you may not delete it`)
    report.todo(`az ad app delete --id ${clientId}`)
  }
}

/** By the variable, or by a question. Without an answer the registration stays. */
async function isRemovalWanted({ environment, ask }: HookContext, clientId: string): Promise<boolean> {
  const chosen = environment.get('BROKER_REMOVE_APP_REGISTRATION')
  if (chosen !== undefined) return chosen === 'true'
  const answer = await ask?.(`Delete the app registration ${clientId} too? (y/N) `)
  return /^y(es)?$/i.test(answer?.trim() ?? '')
}
