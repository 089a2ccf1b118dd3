/** The app registration: found by its ids or by a unique name, created by a person, deleted at the end. */
import { declarations } from '../../shared/settings/declarations.ts'
import { authoritiesForMany } from '../../shared/settings/identifiers.ts'
import { graphOriginOf } from './azure-clouds.ts'
import { causeOf } from './cloud.ts'
import type { Cloud, CloudAnswer } from './cloud.ts'
import type { Configuration } from './configuration.schema.ts'
import { settingsOf } from './configuration-settings.ts'
import { isPipeline } from './context.ts'
import type { HookContext } from './context.ts'
import type { Names } from './names.ts'
import { HookStop } from './stop.ts'

export interface Registration {
  readonly clientId: string
  /** undefined where Graph does not show it, and the file does not have it. */
  readonly objectId: string | undefined
  /** Base URL of the broker that receives its sign-outs; undefined where there is none, or Graph does not show it. */
  readonly broker?: string | undefined
}

/**
 * True where the hooks send no request to Microsoft Graph: the file has `manual`, the provider is not Entra ID, or
 * people sign in at another tenant than that of the subscription, for which the deployer has no token.
 */
export function isByHand(configuration: Configuration, subscriptionTenantId: string): boolean {
  const { registration } = configuration
  return (
    registration === 'manual' || isOtherProvider(configuration) || isInOtherTenant(configuration, subscriptionTenantId)
  )
}

export function isInOtherTenant(configuration: Configuration, subscriptionTenantId: string): boolean {
  const tenantId = homeTenantOf(configuration) ?? subscriptionTenantId
  return tenantId.toLowerCase() !== subscriptionTenantId.toLowerCase()
}

/** @returns the tenant of the app registration; undefined: that of the subscription */
function homeTenantOf(configuration: Configuration): string | undefined {
  const { tenantId } = configuration
  return isForMany(configuration) ? settingsOf(configuration)[declarations.homeTenantId.name] : tenantId
}

function isForMany({ tenantId }: Configuration): boolean {
  return tenantId !== undefined && authoritiesForMany.includes(tenantId.toLowerCase())
}

/** The people whom the registration admits. */
export interface Audience {
  readonly signInAudience: 'AzureADMyOrg' | 'AzureADMultipleOrgs' | 'AzureADandPersonalMicrosoftAccount'
  /**
   * True where administrators sign their organizations up: needs a redirect URI, and directory roles in the ID token.
   */
  readonly signUp: boolean
}

export function audienceOf(configuration: Configuration): Audience {
  const isForAll = configuration.tenantId?.toLowerCase() === 'common'
  const many = isForAll ? 'AzureADandPersonalMicrosoftAccount' : 'AzureADMultipleOrgs'
  return {
    signInAudience: isForMany(configuration) ? many : 'AzureADMyOrg',
    signUp: settingsOf(configuration)[declarations.tenants.name] === 'signed-up',
  }
}

export function isOtherProvider(configuration: Configuration): boolean {
  return settingsOf(configuration)[declarations.authority.name] !== undefined
}

/**
 * Finds the registration; only reads.
 *
 * @returns undefined where there is none yet, and the hook may create one
 * @throws {HookStop} where it can be neither found nor created
 */
export async function findRegistration(
  context: HookContext,
  configuration: Configuration,
  names: Names,
  { fileName, subscriptionTenantId }: { readonly fileName: string; readonly subscriptionTenantId: string },
): Promise<Registration | undefined> {
  const { cloud, report } = context
  const { clientId, applicationObjectId } = configuration
  if (isByHand(configuration, subscriptionTenantId)) {
    if (clientId === undefined) {
      throw new HookStop(
        `clientId is missing in ${fileName}, and its tenant is not that of the subscription. Nothing was deployed. Create the app registration in the tenant ${homeTenantOf(configuration) ?? ''}, and write "clientId" and "applicationObjectId".`,
      )
    }
    report.row('App registration', `${clientId}, not changed by the hooks`)
    return { clientId, objectId: applicationObjectId }
  }
  if (clientId !== undefined) {
    const found = await cloud.graph(`/applications(appId='${encodeURIComponent(clientId)}')?$select=id,appId,web`)
    if (found.status === 404) {
      const restore = await restoreCommand(context, (one) => one.appId?.toLowerCase() === clientId.toLowerCase())
      throw new HookStop(
        [
          `The tenant has no app registration with the clientId of ${fileName}. Nothing was deployed. Correct clientId, or remove clientId and applicationObjectId: the next deployment by a person then creates a registration.`,
          ...(restore === undefined ? [] : [`It was deleted. To restore it: ${restore}`]),
        ].join('\n'),
      )
    }
    const { id } = found.body as { id?: string }
    if (found.status !== 200 || id === undefined) {
      report.row('App registration', `${clientId}, by the ids of ${fileName} (Graph answered ${causeOf(found)})`)
      return { clientId, objectId: applicationObjectId }
    }
    if (applicationObjectId !== undefined && applicationObjectId.toLowerCase() !== id.toLowerCase()) {
      throw new HookStop(
        `applicationObjectId in ${fileName} is not the Object ID of the app registration ${clientId}. Nothing was deployed. Write ${id}. (The service principal has another object id.)`,
      )
    }
    report.row('App registration', `found: ${clientId}`)
    return { clientId, objectId: id, broker: brokerOf(found) }
  }

  const found = await cloud.graph(`/applications(uniqueName='${names.registration}')?$select=id,appId,web`)
  const { id, appId } = found.body as { id?: string; appId?: string }
  if (found.status === 200 && id !== undefined && appId !== undefined) {
    report.row('App registration', `found: ${appId}`)
    return { clientId: appId, objectId: id, broker: brokerOf(found) }
  }
  if (await isPipeline(context)) {
    throw new HookStop(
      `${fileName} has no clientId, and a pipeline creates no app registration: its identity would need the right to. Nothing was deployed. Run azd provision for this environment once as a person: it writes clientId and applicationObjectId into the file. Commit the file.`,
    )
  }
  if (found.status === 403) throw new HookStop(noRight(fileName, found))
  if (found.status !== 404) {
    throw new HookStop(`The app registration cannot be read (Graph answered ${causeOf(found)}). Run the command again.`)
  }
  const restore = await restoreCommand(context, ({ uniqueName }) => uniqueName === names.registration)
  if (restore !== undefined) throw new HookStop(nameTaken(names, restore))
  return undefined
}

/** Path of the front-channel sign-out, after the base URL. */
export const signOutPath = '/logout/frontchannel'

function brokerOf({ body }: CloudAnswer): string | undefined {
  const { logoutUrl } = (body['web'] ?? {}) as { readonly logoutUrl?: string | null }
  return logoutUrl?.endsWith(signOutPath) && URL.canParse(logoutUrl)
    ? logoutUrl.slice(0, -signOutPath.length)
    : undefined
}

function noRight(fileName: string, refused: CloudAnswer): string {
  return [
    `You may not create app registrations in the tenant (${causeOf(refused)}). Nothing was deployed.`,
    '- The role Application Developer allows it for registrations of your own. A Privileged Role Administrator assigns the role.',
    `- Without it: a person with the role creates one (az ad app create --display-name "Certificate token broker" --sign-in-audience AzureADMyOrg), and you write "clientId" and "applicationObjectId" into ${fileName}. Write "registration": "manual" too if you may not change it.`,
  ].join('\n')
}

/** @throws {HookStop} without the right */
export async function createRegistration(context: HookContext, names: Names, fileName: string): Promise<Registration> {
  const { cloud, environment, report } = context
  const path = `/applications(uniqueName='${names.registration}')`
  const made = await cloud.graph(path, {
    method: 'PATCH',
    // By its alternate key: an interrupted run and its repetition create one registration and not two.
    headers: { Prefer: 'create-if-missing' },
    body: {
      displayName: `Certificate token broker (${environment.get('AZURE_ENV_NAME') ?? ''})`,
      signInAudience: 'AzureADMyOrg',
    },
  })
  if (made.status === 403) throw new HookStop(noRight(fileName, made))
  if (isNameTaken(made)) throw new HookStop(nameTaken(names, undefined))
  if (made.status >= 500)
    throw new HookStop(`The app registration was not created (Graph answered ${causeOf(made)}). Run the command again.`)
  if (made.status >= 300) {
    throw new HookStop(
      `The app registration was not created (Graph answered ${causeOf(made)}). Nothing was deployed. If a policy of the tenant refuses it, create one as the policy demands, and write "clientId" and "applicationObjectId" into ${fileName}.`,
    )
  }
  // A replica of the directory that has not received it yet answers 404.
  const read = await cloud.graph(`${path}?$select=id,appId`, { passing: [404] })
  const { id, appId } = read.body as { id?: string; appId?: string }
  if (read.status !== 200 || id === undefined || appId === undefined) {
    throw new HookStop(
      `The new app registration cannot be read (Graph answered ${causeOf(read)}). Run the command again.`,
    )
  }
  report.row('App registration', `created: ${appId}`)
  return { clientId: appId, objectId: id }
}

/** Graph answers 400 to a unique name that a deleted registration holds, where it does not list that one. */
function isNameTaken({ status, body }: CloudAnswer): boolean {
  const { message } = (body['error'] ?? {}) as { readonly message?: unknown }
  return (status === 400 || status === 409) && typeof message === 'string' && message.includes('uniqueName')
}

/** @param restore the command that restores it; undefined where Graph does not show the deleted registration */
function nameTaken(names: Names, restore: string | undefined): string {
  return [
    `A deleted app registration holds the unique name ${names.registration}: Entra ID keeps it for 30 days. Nothing was deployed. Do one of the two, and run the command again:`,
    ...(restore === undefined
      ? ['- Restore it or delete it permanently: Entra ID, App registrations, Deleted applications.']
      : [
          `- To use it again, with its consents: ${restore}`,
          `- To create a new one: ${restore.replace('POST', 'DELETE').replace('/restore', '')}`,
        ]),
  ].join('\n')
}

interface DeletedRegistration {
  readonly id: string
  readonly appId?: string
  readonly uniqueName?: string | null
}

/** @returns the command that restores a deleted registration; undefined where Graph does not show one */
async function restoreCommand(
  { cloud, environment }: HookContext,
  isIt: (deleted: DeletedRegistration) => boolean,
): Promise<string | undefined> {
  const path = '/directory/deletedItems'
  const { body } = await cloud.graph(`${path}/microsoft.graph.application?$select=id,appId,uniqueName&$top=999`)
  const found = ((body['value'] ?? []) as readonly DeletedRegistration[]).find(isIt)
  if (!found) return undefined
  const graph = graphOriginOf(environment)
  return `az rest --method POST --uri "${graph}/v1.0${path}/${found.id}/restore"`
}

/** True where the hooks created the registration: it then has the unique name of this environment. */
export async function isCreatedHere(cloud: Cloud, clientId: string, names: Names): Promise<boolean> {
  const { status, body } = await cloud.graph(`/applications(uniqueName='${names.registration}')?$select=appId`)
  return status === 200 && body['appId'] === clientId
}

/** @returns whether it is gone */
export async function removeRegistration(cloud: Cloud, names: Names): Promise<boolean> {
  const { status } = await cloud.graph(`/applications(uniqueName='${names.registration}')`, { method: 'DELETE' })
  return status < 300 || status === 404
}
