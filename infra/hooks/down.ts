/**
 * Around `azd down`: reports what remains and how to recover it, and removes the app registration,
 * which is no Azure resource.
 */
import { isByHand, isCreatedHere, removeRegistration } from './app-registration.ts'
import { readConfigurationOf } from './configuration.ts'
import type { HookContext } from './context.ts'
import { namesOf } from './names.ts'
import { readParameters } from './parameters.ts'
import { vaultNameTaken } from './vault-name.ts'

async function find(context: HookContext) {
  const file = await readConfigurationOf(context)
  return { file, names: namesOf(context.environment, file.configuration) }
}

export async function predown(context: HookContext): Promise<void> {
  const { report } = context
  const { names } = await find(context)
  report.row('Vault', `${names.vault} can be recovered until its retention ends; until then its name stays reserved`)
  report.row('Certificate', 'is recovered with the vault')
  report.row('Sessions', 'end for all users: their rows and the key that wraps them are deleted')
}

export async function postdown(context: HookContext): Promise<void> {
  const { environment, report, cloud } = context
  const { file, names } = await find(context)
  await environment.set('BROKER_CODE_DEPLOYED', '')
  for (const line of vaultNameTaken(names.vault, file.name).split('\n')) report.todo(line)

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
