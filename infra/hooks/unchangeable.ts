/**
 * Values that Azure does not change once they are deployed: found before a deployment, which would stop in the middle.
 */
import type { SettingProblem } from '../../shared/settings/settings-error.ts'
import { regionName } from './check-region.ts'
import type { Configuration } from './configuration.schema.ts'
import { groupPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Deployed } from './deployed.ts'
import type { Names } from './names.ts'

/** @returns one problem for each value that differs from the deployed one */
export function* findUnchangeable(
  { environment }: Pick<HookContext, 'environment'>,
  deployed: Deployed,
  configuration: Configuration,
  names: Names,
): Generator<SettingProblem> {
  const location = regionName(environment.get('AZURE_LOCATION') ?? '')
  const present = regionName(deployed.location ?? location)
  if (present !== location) {
    const fix = `Deploy there: azd env set AZURE_LOCATION ${present}`
    yield { setting: 'AZURE_LOCATION', problem: `is not ${present}, where the broker is deployed`, fix }
  }
  const { softDeleteDays } = deployed.vault?.name === names.vault ? deployed.vault : {}
  if (softDeleteDays !== undefined && softDeleteDays !== (configuration.vaultSoftDeleteDays ?? 90)) {
    const fix = `Azure does not change it for a vault that exists: write ${softDeleteDays}, or another vaultName.`
    yield { setting: 'vaultSoftDeleteDays', problem: `is not ${softDeleteDays} as deployed`, fix }
  }
  const { isZoneRedundant = configuration.zoneRedundant === true } = deployed
  if (isZoneRedundant !== (configuration.zoneRedundant === true)) {
    const fix = `Azure does not convert a storage account in place: write ${isZoneRedundant}, or deploy another environment.`
    yield { setting: 'zoneRedundant', problem: `is not ${isZoneRedundant} as deployed`, fix }
  }
}

interface Topic {
  readonly identity?: { readonly principalId?: string }
  readonly properties?: { readonly source?: string }
}

/**
 * Event Grid does not move a topic to another vault ("System topic source cannot be modified"). The role of its
 * identity must go with it: a deployment may not give an assignment to another identity.
 */
export async function findTopicProblem(context: HookContext, names: Names): Promise<readonly SettingProblem[]> {
  const group = groupPath(context, names)
  const { status, body } = await context.cloud.arm(
    `${group}/providers/Microsoft.EventGrid/systemTopics/${names.topic}?api-version=2025-02-15`,
  )
  const { identity, properties } = body as Topic
  const { principalId = '<principal id of the topic>' } = identity ?? {}
  const present = properties?.source?.split('/').at(-1)
  if (status !== 200 || present === undefined || present.toLowerCase() === names.vault.toLowerCase()) return []
  const container = `${group}/providers/Microsoft.Storage/storageAccounts/${names.storage}/blobServices/default/containers/dead-letters`
  const fix = [
    `Write ${present}. To use another vault, delete the topic and the role of its identity first:`,
    `  az role assignment delete --assignee ${principalId} --scope ${container}`,
    `  az eventgrid system-topic delete --name ${names.topic} --resource-group ${names.resourceGroup} --yes`,
  ].join('\n')
  const problem = `is not ${present}, whose events the topic ${names.topic} sends, and Azure does not move a topic`
  return [{ setting: 'vaultName', problem, fix }]
}

/** Azure accepts a new budget from the current month to a year later, and no other start afterwards. */
export async function findBudgetProblem(
  context: HookContext,
  { budget }: Configuration,
  names: Names,
): Promise<readonly SettingProblem[]> {
  if (budget === undefined) return []
  const group = groupPath(context, names)
  const { status, body } = await context.cloud.arm(
    `${group}/providers/Microsoft.Consumption/budgets/budget-broker-${names.token}?api-version=2023-11-01`,
  )
  const refuse = (problem: string, fix: string) => [{ setting: 'budget.startDate', problem, fix }]
  if (status === 200) {
    const { timePeriod } = (body['properties'] ?? {}) as { readonly timePeriod?: { readonly startDate?: string } }
    const present = timePeriod?.startDate?.slice(0, 10)
    if (present === undefined || present === budget.startDate) return []
    return refuse(`is not ${present} as deployed`, `Azure does not change it: write ${present}.`)
  }
  if (status !== 404) return []
  const now = new Date(context.clock.now())
  const month = (later: number) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + later, 1)).toISOString().slice(0, 10)
  if (budget.startDate >= month(0) && budget.startDate <= month(12)) return []
  return refuse('is not within the next twelve months', `Write the current month: ${month(0)}.`)
}
