/**
 * The two passes of a deployment. Event Grid's subscription and the web test need the function of the deployed code;
 * the template creates them in the second pass only. A deployment never goes back to the first pass.
 */
import { patienceOf } from './cloud.ts'
import { groupPath } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

/** The function that Event Grid's subscription calls. */
const eventFunction = 'certificateEvent'
const apiVersion = 'api-version=2025-03-01'

function sitePath(context: HookContext, names: Names): string {
  return `${groupPath(context, names)}/providers/Microsoft.Web/sites/${names.functionApp}`
}

async function isListed(context: HookContext, names: Names): Promise<boolean> {
  const path = `${sitePath(context, names)}/functions/${eventFunction}?${apiVersion}`
  return (await context.cloud.arm(path)).status === 200
}

/** Flex Consumption may list no function until the triggers are synced. */
async function syncTriggers(context: HookContext, names: Names): Promise<number> {
  const path = `${sitePath(context, names)}/host/default/sync?${apiVersion}`
  return (await context.cloud.arm(path, { method: 'POST' })).status
}

/**
 * Decides by what is in Azure, and by the mark that postdeploy leaves.
 *
 * @throws {HookStop} where the code was deployed, and Azure does not list its function
 */
export async function choosePass(context: HookContext, names: Names): Promise<'first' | 'second'> {
  const { cloud, environment } = context
  const site = await cloud.arm(`${sitePath(context, names)}?${apiVersion}`)
  if (site.status === 404) {
    // After azd down, also by a colleague, the mark is about an app that no longer exists.
    await environment.set('BROKER_CODE_DEPLOYED', '')
    return 'first'
  }
  if (await isListed(context, names)) return 'second'
  if (
    (await readEventSubscription(context, names)) === 200 ||
    environment.get('BROKER_CODE_DEPLOYED') === names.functionApp
  ) {
    await waitForFunction(context, names)
    return 'second'
  }
  // Deployed by a colleague or a pipeline, and not synced: one attempt shows it.
  if ((await syncTriggers(context, names)) < 300 && (await isListed(context, names))) return 'second'
  return 'first'
}

/** @returns the status of the subscription that the second pass creates */
async function readEventSubscription(context: HookContext, names: Names): Promise<number> {
  const group = `${groupPath(context, names)}/providers`
  const { status } = await context.cloud.arm(
    `${group}/Microsoft.EventGrid/systemTopics/${names.topic}/eventSubscriptions/certificate-event?api-version=2025-02-15`,
  )
  return status
}

/**
 * After the second pass: azd skips a provisioning whose template and parameters have not changed, and then a resource
 * that was deleted by hand stays missing.
 *
 * @throws {HookStop} where the subscription of the vault's events is missing
 */
export async function checkSecondPass(context: HookContext, names: Names): Promise<void> {
  if ((await readEventSubscription(context, names)) !== 404) return
  throw new HookStop(
    `The subscription certificate-event of the topic ${names.topic} is missing: it was deleted by hand, and azd skips a deployment without changes. Run: azd provision --no-state`,
  )
}

/** Syncs the triggers until Azure lists the function. @throws {HookStop} when it does not */
export async function waitForFunction(context: HookContext, names: Names): Promise<void> {
  const { clock, report, environment } = context
  const until = clock.now() + patienceOf(environment)
  for (let attempt = 0; ; attempt++) {
    // Each attempt syncs again: the host may still be starting when the first request arrives.
    const status = await syncTriggers(context, names)
    if (await isListed(context, names)) return
    const pause = Math.min(2_000 * 2 ** attempt, 30_000)
    if (clock.now() + pause > until) {
      throw new HookStop(
        `The function ${eventFunction} is missing in ${names.functionApp} (the last sync of its triggers answered ${status}). The events of the vault, the web test and the log alerts need it. Run azd deploy, then azd provision. If it stays missing: az functionapp function list --resource-group ${names.resourceGroup} --name ${names.functionApp}`,
      )
    }
    report.progress(`Waiting until Azure lists the function ${eventFunction}`)
    await clock.wait(pause)
  }
}

/** Role assignments take minutes to spread; before, the upload of the package is answered with 403. */
const spreadMilliseconds = 180_000

/**
 * Before an upload: waits until the role of the host's identity on the account of the package is old enough.
 *
 * @throws {HookStop} where the app or the role assignment is missing
 */
export async function waitForRoles(context: HookContext, names: Names): Promise<void> {
  const { cloud, clock, report, environment } = context
  const site = await cloud.arm(`${sitePath(context, names)}?${apiVersion}`)
  if (site.status === 404) {
    throw new HookStop(`There is no function app ${names.functionApp} yet. Nothing was deployed. Run: azd up`)
  }
  const identity = environment.get('BROKER_HOST_IDENTITY_PRINCIPAL_ID')
  const storage = names.packageStorage
  const account = `${groupPath(context, names)}/providers/Microsoft.Storage/storageAccounts/${storage}`
  if (identity === undefined) return
  // By the principal: the list of all assignments above the account has hundreds of entries in a large company.
  const filter = encodeURIComponent(`principalId eq '${identity}'`)
  const { status, body } = await cloud.arm(
    `${account}/providers/Microsoft.Authorization/roleAssignments?api-version=2022-04-01&$filter=${filter}`,
  )
  if (status !== 200) return
  const assignments = (body['value'] ?? []) as readonly {
    readonly properties?: { readonly principalId?: string; readonly createdOn?: string }
  }[]
  const created = assignments
    .filter(({ properties }) => properties?.principalId === identity)
    .map(({ properties }) => Date.parse(properties?.createdOn ?? ''))
    .filter((time) => !Number.isNaN(time))
  if (created.length === 0) {
    throw new HookStop(
      `The identity of the host has no role on the storage account ${storage}, so the package cannot be uploaded. Nothing was deployed. Run azd provision; with "assignRoles": false it prints the commands for an Owner.`,
    )
  }
  // The clock of this machine may be behind that of Azure.
  const until = Math.min(Math.max(...created), clock.now()) + spreadMilliseconds
  if (clock.now() < until) {
    report.row('Roles', 'waited until they have spread')
    report.todo(
      'If the upload is answered with 403, the roles have not spread yet. Run azd up again: it continues here.',
    )
  }
  while (clock.now() < until) {
    report.progress(`Waiting ${Math.ceil((until - clock.now()) / 1000)} s until the role assignments have spread`)
    await clock.wait(Math.min(30_000, until - clock.now()))
  }
}
