/** Before each provisioning: checks everything that can be checked, finds or makes the app registration, chooses the pass. */
import { findOrMakeRegistration } from './app-registration.ts'
import type { AzdEnvironment } from './azd.ts'
import { checkSubscription, checkVaultName } from './check-subscription.ts'
import { checkVariables } from './check-variables.ts'
import type { Cloud } from './cloud.ts'
import { checkDomain } from './domain.ts'
import { namesOf } from './names.ts'
import type { Names } from './names.ts'
import type { Report } from './report.ts'
import { stopFor } from './stop.ts'

/** @throws {HookStop} before anything was made */
export async function preprovision(environment: AzdEnvironment, connect: () => Cloud, report: Report): Promise<void> {
  const problems = checkVariables(environment)
  if (problems.length > 0) throw stopFor(problems)
  report.row('Variables', 'checked')

  const cloud = connect()
  const names = namesOf(environment)
  await checkSubscription(cloud, environment)
  report.row('Subscription', 'has and lets what the deployment needs')
  const isRecovered = await checkVaultName(cloud, environment, names)
  report.row('Vault', isRecovered ? `${names.vault}: the deleted one is brought back` : names.vault)
  const domain = environment.get('BROKER_DOMAIN')
  const isBound = domain !== undefined && (await checkDomain(cloud, environment, names, domain))
  if (domain !== undefined)
    report.row('Domain', isBound ? `${domain}, bound already` : `${domain}, its records are there`)

  // From here on something is made or changed; everything above only looked.
  await environment.set('BROKER_RESOURCE_TOKEN', names.token)
  await environment.set('BROKER_RECOVER_VAULT', String(isRecovered))
  await environment.set('BROKER_DOMAIN_IS_BOUND', String(isBound))
  await findOrMakeRegistration(cloud, environment, names, report)
  const pass = (await hasFunction(cloud, environment, names)) ? 'second' : 'first'
  await environment.set('BROKER_DEPLOYMENT_PASS', pass)
  report.row(
    'Pass',
    pass === 'first' ? 'first: the code is not deployed yet' : 'second: with the events and the web test',
  )
}

/** Event Grid's subscription needs its function to be there, so what is there decides, and not how often azd ran. */
async function hasFunction(cloud: Cloud, environment: AzdEnvironment, names: Names): Promise<boolean> {
  const group = `/subscriptions/${environment.get('AZURE_SUBSCRIPTION_ID') ?? ''}/resourceGroups/${names.resourceGroup}`
  const path = `${group}/providers/Microsoft.Web/sites/${names.functionApp}/functions/certificateEvent`
  const { status } = await cloud.arm(`${path}?api-version=2025-03-01`)
  return status === 200
}
