/** The resource providers of the template: which are missing in the subscription, and their registration. */
import { causeOf, patienceOf } from './cloud.ts'
import type { Configuration } from './configuration.schema.ts'
import { subscriptionPath } from './context.ts'
import type { HookContext } from './context.ts'
import { HookStop } from './stop.ts'

/** Every resource provider of the template. */
const providers = [
  'Microsoft.EventGrid',
  'Microsoft.Insights',
  'Microsoft.KeyVault',
  'Microsoft.ManagedIdentity',
  'Microsoft.OperationalInsights',
  'Microsoft.Storage',
  'Microsoft.Web',
]

/**
 * Providers that only an option needs; the template names no resource of Microsoft.App, so ARM does not register it.
 */
export function providersOf(configuration: Configuration): readonly string[] {
  return configuration.network === 'private' ? [...providers, 'Microsoft.App', 'Microsoft.Network'] : providers
}

/** @returns the providers that are not registered */
export async function findUnregistered(context: HookContext, names: readonly string[]): Promise<readonly string[]> {
  const { status, body } = await context.cloud.arm(`${subscriptionPath(context)}/providers?api-version=2021-04-01`)
  if (status !== 200) return [] // A person without the right to list providers may still deploy.
  const listed = (body['value'] ?? []) as readonly { namespace?: string; registrationState?: string }[]
  const registered = listed
    .filter(({ registrationState }) => registrationState === 'Registered')
    .map(({ namespace }) => namespace?.toLowerCase())
  return names.filter((name) => !registered.includes(name.toLowerCase()))
}

/** Registers resource providers and waits for each. @throws {HookStop} without the right, or after the time limit */
export async function registerProviders(context: HookContext, names: readonly string[]): Promise<void> {
  const { cloud, clock, report, environment } = context
  for (const name of names) {
    const path = `${subscriptionPath(context)}/providers/${name}`
    const requested = await cloud.arm(`${path}/register?api-version=2021-04-01`, { method: 'POST' })
    if (requested.status >= 300) {
      throw new HookStop(
        `The resource provider ${name} is not registered in the subscription, and its registration was refused (${causeOf(requested)}). Nothing was deployed. A Contributor of the subscription runs: az provider register --namespace ${name} --wait`,
      )
    }
    const until = clock.now() + patienceOf(Object.fromEntries(environment.entries()))
    for (let state: unknown; state !== 'Registered';) {
      state = (await cloud.arm(`${path}?api-version=2021-04-01`)).body['registrationState']
      if (state === 'Registered') break
      if (clock.now() > until)
        throw new HookStop(`The registration of ${name} is not finished yet. Run the command again.`)
      report.progress(`Waiting until ${name} is registered`)
      await clock.wait(10_000)
    }
    report.row('Provider', `${name} registered`)
  }
}
