/** Before each provisioning: checks first, then creates what the template cannot, then stores the parameters. */
import { createRegistration, findRegistration } from './app-registration.ts'
import { checkRegion, readTenantOfSubscription } from './check-region.ts'
import { checkRights } from './check-rights.ts'
import { readConfigurationOf, writeConfiguration } from './configuration.ts'
import type { HookContext } from './context.ts'
import { readDeployed } from './deployed.ts'
import { checkDomain } from './domain.ts'
import { findMovedVariables } from './moved-variables.ts'
import { checkGlobalNames } from './global-names.ts'
import { namesOf } from './names.ts'
import { writeParametersFile } from './outputs.ts'
import { composeParameters, encodeParameters } from './parameters.ts'
import { choosePass } from './passes.ts'
import { confirmRemovals, findOtherBroker, findRemovals } from './removals.ts'
import {
  findUnregistered,
  providersOf,
  readProviders,
  regionsOfTypes,
  registerProviders,
} from './resource-providers.ts'
import { guidPattern } from '../../shared/settings/identifiers.ts'
import { findSecret } from '../../shared/settings/secrets.ts'
import type { SettingProblem } from '../../shared/settings/settings-error.ts'
import { stopFor } from './stop.ts'
import { findBudgetProblem, findTopicProblem, findUnchangeable } from './unchangeable.ts'
import { checkVaultName, recoverVault } from './vault-name.ts'

/** @throws {HookStop} before or between its steps; finished steps stay, and a repetition continues from there */
export async function preprovision(context: HookContext): Promise<void> {
  const { environment, report, cloud } = context
  const file = await readConfigurationOf(context)
  const { configuration } = file
  const problems = [...checkAzd(context), ...findMovedVariables(environment, file), ...file.problems]
  if (problems.length > 0) throw stopFor(problems, file.name)
  report.row('Configuration', file.exists ? file.name : `defaults, because there is no ${file.name}`)

  const names = namesOf(environment, configuration)
  const subscriptionTenantId = await readTenantOfSubscription(context)
  const principal = await cloud.principal()
  const deployed = await readDeployed(context, names)
  const differences = [
    ...(deployed ? findUnchangeable(context, deployed, configuration, names) : []),
    ...(await findTopicProblem(context, names)),
    ...(await findBudgetProblem(context, configuration, names)),
  ]
  if (differences.length > 0) throw stopFor(differences, file.name)
  const listed = await readProviders(context)
  await checkRegion(context, configuration, deployed ? [] : regionsOfTypes(listed))
  await checkRights(context, configuration, names, file.name)
  const unregistered = findUnregistered(listed, providersOf(configuration))
  const isRecovered = await checkVaultName(context, names, file.name, deployed !== undefined)
  if (!deployed) await checkGlobalNames(context, names, file.name)
  const { domain } = configuration
  const domainIsBound = domain !== undefined && (await checkDomain(context, names, domain, file.name))
  const known = await findRegistration(context, configuration, names, { fileName: file.name, subscriptionTenantId })
  const removals = deployed
    ? findRemovals(deployed, configuration, names, known)
    : findOtherBroker(known?.broker, configuration, names)
  confirmRemovals(removals, environment.get('BROKER_CONFIRM_REMOVAL'), file.name)
  if (deployed) report.row('Deployed', removals.length > 0 ? 'removals confirmed' : 'no removals')

  // From here on the hook creates and changes. Everything above only reads.
  await environment.set('AZURE_TENANT_ID', subscriptionTenantId)
  await registerProviders(context, unregistered)
  if (isRecovered) {
    await recoverVault(context, configuration, names, subscriptionTenantId)
    await environment.set('BROKER_RECOVER_VAULT', '')
    report.row('Vault', `${names.vault} recovered`)
  }
  const registration = known ?? (await createRegistration(context, names, file.name))
  const ids = { clientId: registration.clientId, applicationObjectId: registration.objectId }
  if (principal.type === 'User' && ids.applicationObjectId !== undefined) {
    const isWritten = await writeConfiguration(context.projectFolder, file, {
      clientId: ids.clientId,
      applicationObjectId: ids.applicationObjectId,
    })
    if (isWritten) report.todo(`Commit ${file.name}: pipelines and colleagues deploy with it.`)
  }
  const deploymentPass = await choosePass(context, names)
  report.row(
    'Pass',
    deploymentPass === 'first' ? 'first: the code is not deployed yet' : 'second: with the events and the web test',
  )
  const parameters = composeParameters(configuration, {
    resourceToken: names.token,
    tenantId: configuration.tenantId ?? subscriptionTenantId,
    ...ids,
    principalId: principal.id,
    principalType: principal.type,
    deploymentPass,
    domainIsBound,
    cloudName: environment.get('BROKER_CLOUD'),
  })
  await writeParametersFile(context, parameters)
  await environment.set('BROKER_PARAMETERS', encodeParameters(parameters))
}

/** The variables of azd itself. azd provision runs this hook before azd prompts for them. */
function checkAzd({ environment }: HookContext): SettingProblem[] {
  const problems: SettingProblem[] = []
  // A secret in a shell is not used: the sign-in is that of azd or az.
  // One in the .env file was stored for this deployment.
  for (const [name, value] of environment.stored()) {
    const secret = findSecret(name, value) ?? findSecret(`Broker__${name}`, value)
    if (secret && name !== 'BROKER_PARAMETERS') {
      problems.push({
        setting: name,
        problem: secret.problem,
        fix: 'Remove it from the environment of azd (.azure/…/.env), and replace the secret: a deployment needs no secret, and the key of the certificate never leaves Key Vault.',
      })
    }
  }
  const subscription = environment.get('AZURE_SUBSCRIPTION_ID')
  if (subscription !== undefined && !guidPattern.test(subscription)) {
    const fix = 'Write the id, as az account show prints it, not the name.'
    problems.push({ setting: 'AZURE_SUBSCRIPTION_ID', problem: 'is not a GUID', fix })
  }
  const location = environment.get('AZURE_LOCATION')
  if (location !== undefined && !/^[A-Za-z0-9 ]{3,40}$/.test(location)) {
    problems.push({ setting: 'AZURE_LOCATION', problem: 'is not a region', fix: 'Write its name: westeurope.' })
  }
  const examples = { AZURE_ENV_NAME: 'shop-dev', AZURE_SUBSCRIPTION_ID: '<id>', AZURE_LOCATION: 'westeurope' }
  for (const [name, example] of Object.entries(examples)) {
    if (environment.get(name) !== undefined) continue
    const fix = `Run azd up, which prompts for it, or: azd env set ${name} ${example}`
    problems.push({ setting: name, problem: 'is missing', fix })
  }
  return problems
}
