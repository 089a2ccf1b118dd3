/** The app registration: found by its ids or by a unique name, created by a person, completed without removing values of others. */
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { declarations } from '../../shared/settings/declarations.ts'
import { authoritiesForMany } from '../../shared/settings/identifiers.ts'
import { declareRoles, deleteRemovedRoles } from './app-roles.ts'
import type { AppRole, WantedRole } from './app-roles.ts'
import { settingsOf } from './configuration-settings.ts'
import type { Configuration } from './configuration.schema.ts'
import { causeOf } from './cloud.ts'
import type { Cloud, CloudAnswer } from './cloud.ts'
import { isPipeline } from './context.ts'
import type { HookContext } from './context.ts'
import { completeFederation, printFederation } from './federated-credential.ts'
import type { TrustedIdentity } from './federated-credential.ts'
import type { Names } from './names.ts'
import type { Report } from './report.ts'
import { HookStop } from './stop.ts'

export interface Registration {
  readonly clientId: string
  /** undefined where Graph does not show it, and the file does not have it. */
  readonly objectId: string | undefined
  /** Base URL of the broker that receives its sign-outs; undefined where there is none, or Graph does not show it. */
  readonly broker?: string | undefined
}

/**
 * True where the hooks send no request to Microsoft Graph: the file has `manual`, the provider is not Entra ID, or people
 * sign in at another tenant than that of the subscription, for which the deployer has no token.
 */
export function isByHand(configuration: Configuration, subscriptionTenantId: string): boolean {
  const tenantId = homeTenantOf(configuration) ?? subscriptionTenantId
  const { registration } = configuration
  return (
    registration === 'manual' ||
    isOtherProvider(configuration) ||
    tenantId.toLowerCase() !== subscriptionTenantId.toLowerCase()
  )
}

/** @returns the tenant of the app registration; undefined: that of the subscription */
function homeTenantOf(configuration: Configuration): string | undefined {
  const { tenantId } = configuration
  return isForMany(configuration) ? settingsOf(configuration)[declarations.homeTenantId.name] : tenantId
}

function isForMany({ tenantId }: Configuration): boolean {
  return tenantId !== undefined && authoritiesForMany.includes(tenantId.toLowerCase())
}

/** The people whom the registration admits, and what a sign-up needs. */
export function audienceOf(configuration: Configuration): Pick<WantedRegistration, 'signInAudience' | 'signUp'> {
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
        `clientId is missing in ${fileName}, and tenantId is not the tenant of the subscription. Nothing was deployed. Create the app registration in the tenant ${configuration.tenantId ?? ''}, and write "clientId" and "applicationObjectId".`,
      )
    }
    report.row('App registration', `${clientId}, not changed by the hooks`)
    return { clientId, objectId: applicationObjectId }
  }
  if (clientId !== undefined) {
    const found = await cloud.graph(`/applications(appId='${encodeURIComponent(clientId)}')?$select=id,appId,web`)
    if (found.status === 404) {
      throw new HookStop(
        `The tenant has no app registration with the clientId of ${fileName}. Nothing was deployed. Correct clientId, or remove clientId and applicationObjectId: the next deployment by a person then creates a registration.`,
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
  return undefined
}

const signOutPath = '/logout/frontchannel'

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
  if (made.status >= 300)
    throw new HookStop(`The app registration was not created (Graph answered ${causeOf(made)}). Run the command again.`)
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

export interface WantedRegistration {
  readonly registration: Registration
  readonly isByHand: boolean
  readonly vaultName: string
  readonly certificateName: string
  readonly baseUrl: string
  /** Redirect URIs of a broker on a developer's machine too. */
  readonly localCallback: boolean
  /** True for the hybrid flow: Entra issues ID tokens at the authorization endpoint only where the registration allows it. */
  readonly idTokens: boolean
  readonly signInAudience: 'AzureADMyOrg' | 'AzureADMultipleOrgs' | 'AzureADandPersonalMicrosoftAccount'
  /** True where administrators sign their organizations up: needs a redirect URI, and directory roles in the ID token. */
  readonly signUp: boolean
  /** App roles of the file. */
  readonly appRoles: readonly WantedRole[]
  /** Claims that front ends register. */
  readonly claims: readonly string[]
  /** The certificate's public part, DER. */
  readonly certificate: Uint8Array | undefined
  /** Full scopes of all front ends. */
  readonly scopes: readonly string[]
  /** The managed identity of the second credential; undefined where the file names none. */
  readonly trustedIdentity: TrustedIdentity | undefined
}

interface KeyCredential {
  readonly keyId?: string
  readonly key?: string | null
  readonly customKeyIdentifier?: string | null
  readonly [member: string]: unknown
}
interface Claim {
  readonly name: string
}
interface Access {
  readonly resourceAppId: string
  readonly resourceAccess: readonly { readonly id: string; readonly type: string }[]
}
interface ApplicationProperties {
  readonly keyCredentials?: readonly KeyCredential[]
  readonly web?: {
    readonly redirectUris?: readonly string[]
    readonly logoutUrl?: string | null
    readonly implicitGrantSettings?: { readonly enableIdTokenIssuance?: boolean | null } | null
  }
  readonly signInAudience?: string | null
  readonly groupMembershipClaims?: string | null
  readonly optionalClaims?: { readonly idToken?: readonly Claim[] } | null
  readonly api?: { readonly requestedAccessTokenVersion?: number | null } | null
  readonly appRoles?: readonly AppRole[]
  readonly requiredResourceAccess?: readonly Access[]
}

const selected =
  'id,appId,signInAudience,groupMembershipClaims,keyCredentials,web,optionalClaims,api,appRoles,requiredResourceAccess'
const localUris = ['http://localhost:7071/callback', 'http://localhost:7071/logout/done']

/** Adds what is missing. Keys, redirect URIs, claims and roles that others added stay. */
export async function completeRegistration(context: HookContext, wanted: WantedRegistration): Promise<void> {
  const { cloud, report } = context
  const { clientId } = wanted.registration
  const redirectUris = ['/callback', '/logout/done', ...(wanted.signUp ? ['/signup/consented'] : [])].map(
    (path) => `${wanted.baseUrl}${path}`,
  )
  if (wanted.isByHand) {
    report.row('App registration', 'to be completed by hand, see below')
    await printCommands(context, redirectUris, wanted)
    return
  }
  const read = await cloud.graph(`/applications(appId='${encodeURIComponent(clientId)}')?$select=${selected}`, {
    // A new registration reaches every replica of the directory after a while.
    passing: [404],
  })
  if (read.status !== 200) {
    report.row('App registration', `not readable (Graph answered ${causeOf(read)})`)
    if (await isPipeline(context)) {
      report.todo(
        'The pipeline may not read the app registration. After a change of the domain, the scopes or the certificate, a person runs azd provision once.',
      )
    } else await printCommands(context, redirectUris, wanted)
    return
  }
  const application = read.body as unknown as ApplicationProperties & { id: string }
  const access = await resolveAccess(cloud, wanted.scopes, report)
  const changes = changesOf(application, { ...wanted, redirectUris, access })
  const declaredRoles = (changes['appRoles'] ?? application.appRoles ?? []) as readonly AppRole[]

  if (Object.keys(changes).length === 0) report.row('App registration', 'complete, unchanged')
  else {
    // One request for all changes: a sign-in at that time uses either the old state or the new one.
    const changed = await cloud.graph(`/applications/${application.id}`, {
      method: 'PATCH',
      body: changes,
      passing: [404],
    })
    if (changed.status >= 300) {
      report.row('App registration', `not changed (${causeOf(changed)}); to be completed by hand, see below`)
      await printCommands(context, redirectUris, wanted)
      return
    }
    report.row('App registration', `completed: ${Object.keys(changes).join(', ')}`)
  }
  const ids = { objectId: application.id, clientId }
  await deleteRemovedRoles(context, ids, declaredRoles, wanted.appRoles)
  reportGroups(application, wanted.claims, report)
  await completeFederation(context, ids, wanted.trustedIdentity)
  await ensureServicePrincipal(cloud, clientId, report)
  if (access.length > 0) await reportConsent(cloud, clientId, wanted.scopes, report)
}

interface Wanted extends WantedRegistration {
  readonly redirectUris: readonly string[]
  readonly access: readonly Access[]
}

function changesOf(application: ApplicationProperties, wanted: Wanted): Record<string, unknown> {
  const changes: Record<string, unknown> = {}

  const keys = application.keyCredentials ?? []
  if (wanted.certificate && !keys.some((key) => isKeyOf(key, wanted.certificate as Uint8Array))) {
    // Graph replaces the whole list, so every present key is sent back unchanged.
    const key = Buffer.from(wanted.certificate).toString('base64')
    changes['keyCredentials'] = [...keys, { type: 'AsymmetricX509Cert', usage: 'Verify', key, displayName: 'broker' }]
  }

  const uris = application.web?.redirectUris ?? []
  const kept = wanted.localCallback ? uris : uris.filter((uri) => !localUris.includes(uri))
  const allUris = [...new Set([...kept, ...wanted.redirectUris, ...(wanted.localCallback ? localUris : [])])]
  const logoutUrl = `${wanted.baseUrl}${signOutPath}`
  const flow = application.web?.implicitGrantSettings
  const lacksIdTokens = wanted.idTokens && flow?.enableIdTokenIssuance !== true
  if (allUris.join() !== uris.join() || application.web?.logoutUrl !== logoutUrl || lacksIdTokens) {
    const implicitGrantSettings = lacksIdTokens ? { ...flow, enableIdTokenIssuance: true } : flow
    changes['web'] = {
      ...application.web,
      redirectUris: allUris,
      logoutUrl,
      ...(implicitGrantSettings ? { implicitGrantSettings } : {}),
    }
  }

  const claims = application.optionalClaims?.idToken ?? []
  const missing = claimsFor(wanted).filter((name) => !claims.some((claim) => claim.name === name))
  if (missing.length > 0) {
    const added = missing.map((name) => ({ name, essential: false, source: null, additionalProperties: [] }))
    changes['optionalClaims'] = { ...application.optionalClaims, idToken: [...claims, ...added] }
  }

  // One tenant is the narrowest audience, and another one may be there for a reason: it is never narrowed.
  const isNarrower = wanted.signInAudience !== 'AzureADMyOrg' && application.signInAudience !== wanted.signInAudience
  if (isNarrower && application.signInAudience !== 'AzureADandPersonalMicrosoftAccount') {
    changes['signInAudience'] = wanted.signInAudience
  }
  const groups = wanted.signUp ? withDirectoryRoles(application.groupMembershipClaims) : undefined
  if (groups !== undefined) changes['groupMembershipClaims'] = groups

  if (application.api?.requestedAccessTokenVersion !== 2) {
    changes['api'] = { ...application.api, requestedAccessTokenVersion: 2 }
  }

  const roles = application.appRoles ?? []
  const declared = declareRoles(roles, wanted.appRoles)
  if (declared !== roles) changes['appRoles'] = declared

  const required = mergeAccess(application.requiredResourceAccess ?? [], wanted.access)
  if (JSON.stringify(required) !== JSON.stringify(application.requiredResourceAccess ?? [])) {
    changes['requiredResourceAccess'] = required
  }
  return changes
}

/**
 * Optional claims of the ID token: for sign-out and `max_age`, and those that front ends register. Among many tenants:
 * whether a person is a guest, and which domain is proven.
 */
function claimsFor({
  signInAudience,
  claims,
}: Pick<WantedRegistration, 'signInAudience' | 'claims'>): readonly string[] {
  const ofTenants = signInAudience === 'AzureADMyOrg' ? [] : ['acct', 'upn', 'email', 'xms_edov']
  const registered = claims.filter((name) => offeredClaims.has(name))
  return [...new Set(['login_hint', 'sid', 'auth_time', ...ofTenants, ...registered])]
}

/** `groupMembershipClaims` is a list in a text. @returns the new one; undefined where the roles are in it already */
function withDirectoryRoles(present: string | null | undefined): string | undefined {
  const names = (present ?? '').split(',').map((name) => name.trim())
  if (names.includes('All') || names.includes('DirectoryRole')) return undefined
  return [...names.filter((name) => name !== '' && name !== 'None'), 'DirectoryRole'].join(', ')
}

/** Optional claims of Entra ID that a front end may register. Others come by a claims mapping, or without any setting. */
const offeredClaims: ReadonlySet<string> = new Set(
  [
    'acct acrs auth_time ctry email family_name given_name groups in_corp ipaddr tenant_ctry tenant_region_scope upn',
    'verified_primary_email verified_secondary_email vnet xms_pdl xms_pl xms_tpl',
  ].flatMap((names) => names.split(' ')),
)

/** The hooks do not choose the groups: all of them would reach every token of the application. */
function reportGroups(
  { groupMembershipClaims }: ApplicationProperties,
  claims: readonly string[],
  report: Report,
): void {
  const isMissing = !/\b(All|SecurityGroup|ApplicationGroup)\b/.test(groupMembershipClaims ?? '')
  if (!claims.includes('groups') || !isMissing) return
  report.todo(
    'A front end registers the claim groups, and the app registration issues none: choose the groups under Token configuration, Add groups claim.',
  )
}

function isKeyOf({ key, customKeyIdentifier }: KeyCredential, der: Uint8Array): boolean {
  if (typeof key === 'string') return Buffer.from(key, 'base64').equals(der)
  // Graph returns the thumbprint as Base64, and for entries of the portal as hexadecimal text.
  const thumbprint = createHash('sha1').update(der).digest()
  const identifier = customKeyIdentifier ?? ''
  return (
    identifier.toUpperCase() === thumbprint.toString('hex').toUpperCase() ||
    identifier === thumbprint.toString('base64')
  )
}

function mergeAccess(present: readonly Access[], wanted: readonly Access[]): readonly Access[] {
  const merged = present.map((access) => {
    const more = wanted.find(({ resourceAppId }) => resourceAppId === access.resourceAppId)?.resourceAccess ?? []
    const added = more.filter(({ id }) => !access.resourceAccess.some((one) => one.id === id))
    return added.length === 0 ? access : { ...access, resourceAccess: [...access.resourceAccess, ...added] }
  })
  return [
    ...merged,
    ...wanted.filter((one) => !present.some(({ resourceAppId }) => resourceAppId === one.resourceAppId)),
  ]
}

/** Translates the scopes of the front ends into the ids of `requiredResourceAccess`. */
async function resolveAccess(cloud: Cloud, scopes: readonly string[], report: Report): Promise<readonly Access[]> {
  const found = new Map<string, Access>()
  for (const scope of new Set(scopes)) {
    const resource = scope.slice(0, scope.lastIndexOf('/'))
    const permission = scope.slice(resource.length + 1)
    if (permission === '.default') continue // It means the permissions that are configured already.
    const filter = encodeURIComponent(`servicePrincipalNames/any(n:n eq '${resource.replaceAll("'", "''")}')`)
    const { status, body } = await cloud.graph(
      `/servicePrincipals?$filter=${filter}&$select=appId,oauth2PermissionScopes`,
    )
    const [api] = (status === 200 ? (body['value'] ?? []) : []) as readonly {
      appId: string
      oauth2PermissionScopes?: readonly { id: string; value: string }[]
    }[]
    const id = api?.oauth2PermissionScopes?.find(({ value }) => value === permission)?.id
    if (!api || id === undefined) {
      report.todo(`The tenant has no API with the scope ${scope}. Register it, then deploy again.`)
      continue
    }
    const before = found.get(api.appId)?.resourceAccess ?? []
    found.set(api.appId, { resourceAppId: api.appId, resourceAccess: [...before, { id, type: 'Scope' }] })
  }
  return [...found.values()]
}

async function ensureServicePrincipal(cloud: Cloud, clientId: string, report: Report): Promise<void> {
  const found = await cloud.graph(`/servicePrincipals(appId='${clientId}')?$select=id`)
  if (found.status === 200) {
    report.row('Service principal', 'present')
    return
  }
  const made = await cloud.graph('/servicePrincipals', { method: 'POST', body: { appId: clientId }, passing: [404] })
  // 409: the answer to the first request was lost, and the repeated request conflicts with its result.
  if (made.status < 300 || made.status === 409) report.row('Service principal', 'created')
  else {
    report.row('Service principal', `not created (${causeOf(made)}), see below`)
    report.todo(`az ad sp create --id ${clientId}`)
  }
}

async function reportConsent(cloud: Cloud, clientId: string, scopes: readonly string[], report: Report): Promise<void> {
  const { status, body } = await cloud.graph(`/servicePrincipals(appId='${clientId}')/oauth2PermissionGrants`)
  const grants = (status === 200 ? (body['value'] ?? []) : []) as readonly { consentType?: string; scope?: string }[]
  const granted = grants
    .filter(({ consentType }) => consentType === 'AllPrincipals')
    .flatMap(({ scope }) => scope?.split(' ') ?? [])
  const due = scopes.map((scope) => scope.slice(scope.lastIndexOf('/') + 1)).filter((one) => !granted.includes(one))
  if (due.length === 0) report.row('Consent', 'granted for all users')
  else {
    report.row(
      'Consent',
      `missing for ${[...new Set(due)].join(', ')}: each user consents at sign-in, or an administrator for all`,
    )
    report.todo(`az ad app permission admin-consent --id ${clientId}`)
  }
}

/**
 * Prints the same changes as commands. The JSON is in a file, because Windows PowerShell 5.1 removes the quotation
 * marks of an argument; `az ad app update --set` cannot change `web` or `api`.
 */
async function printCommands(
  context: HookContext,
  redirectUris: readonly string[],
  wanted: WantedRegistration,
): Promise<void> {
  const { environment, projectFolder, report } = context
  const { clientId, objectId } = wanted.registration
  const key = objectId === undefined ? `(appId='${clientId}')` : `/${objectId}`
  const relative = `.azure/${environment.get('AZURE_ENV_NAME') ?? ''}/app-registration.json`
  const file = path.join(projectFolder, relative)
  await mkdir(path.dirname(file), { recursive: true })
  const body = {
    web: {
      redirectUris,
      logoutUrl: `${wanted.baseUrl}${signOutPath}`,
      ...(wanted.idTokens ? { implicitGrantSettings: { enableIdTokenIssuance: true } } : {}),
    },
    api: { requestedAccessTokenVersion: 2 },
    optionalClaims: { idToken: claimsFor(wanted).map((name) => ({ name })) },
    ...(wanted.signInAudience === 'AzureADMyOrg' ? {} : { signInAudience: wanted.signInAudience }),
    ...(wanted.signUp ? { groupMembershipClaims: 'DirectoryRole' } : {}),
    appRoles: declareRoles([], wanted.appRoles),
  }
  await writeFile(file, `${JSON.stringify(body, null, 2)}\n`)
  if (wanted.certificate) {
    report.todo(
      `az keyvault certificate download --vault-name ${wanted.vaultName} --name ${wanted.certificateName} --encoding PEM --file broker.pem`,
    )
    report.todo(`az ad app credential reset --id ${clientId} --cert "@broker.pem" --append`)
  }
  report.todo(
    `az rest --method PATCH --uri "https://graph.microsoft.com/v1.0/applications${key}" --headers Content-Type=application/json --body "@${relative}"`,
  )
  report.todo(
    `The PATCH replaces the lists of the registration: first add to ${relative} the redirect URIs, claims and app roles that are to stay, and give present app roles their ids.`,
  )
  if (wanted.trustedIdentity) await printFederation(context, clientId, wanted.trustedIdentity)
  report.todo(`az ad sp create --id ${clientId}`)
  report.todo(`az ad app permission admin-consent --id ${clientId}`)
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
