/** Completes the app registration at Microsoft Graph, or prints the same changes as commands. */
import { signOutPath } from './app-registration.ts'
import { declareRoles, deleteRemovedRoles } from './app-roles.ts'
import type { AppRole } from './app-roles.ts'
import { graphOriginOf } from './azure-clouds.ts'
import { causeOf } from './cloud.ts'
import type { Cloud } from './cloud.ts'
import { isPipeline } from './context.ts'
import type { HookContext } from './context.ts'
import { completeFederation, printFederation } from './federated-credential.ts'
import { readPages } from './pages.ts'
import { writeCommandFile } from './project-file.ts'
import { changesOf, claimsFor } from './registration-changes.ts'
import type { Access, ApplicationProperties, WantedRegistration } from './registration-changes.ts'
import type { Report } from './report.ts'

const selected =
  'id,appId,signInAudience,groupMembershipClaims,keyCredentials,web,optionalClaims,api,appRoles,requiredResourceAccess'

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
  const delegated = await resolveScopes(cloud, wanted.scopes, report)
  const access = accessOf(delegated)
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
  if (delegated.length > 0) await reportConsent(cloud, clientId, delegated, report)
}

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

/** A scope of the front ends, as Graph knows it: a delegated permission of an API. */
interface DelegatedScope {
  /** Client id of the API. */
  readonly appId: string
  /** Object id of its service principal, by which grants name it. */
  readonly resourceId: string
  readonly id: string
  readonly value: string
}

/** Finds the scopes of the front ends in the tenant. Those that it lacks are reported. */
async function resolveScopes(
  cloud: Cloud,
  scopes: readonly string[],
  report: Report,
): Promise<readonly DelegatedScope[]> {
  const found: DelegatedScope[] = []
  for (const scope of new Set(scopes)) {
    const resource = scope.slice(0, scope.lastIndexOf('/'))
    const value = scope.slice(resource.length + 1)
    if (value === '.default') continue // It means the permissions that are configured already.
    const filter = encodeURIComponent(`servicePrincipalNames/any(n:n eq '${resource.replaceAll("'", "''")}')`)
    const answer = await cloud.graph(`/servicePrincipals?$filter=${filter}&$select=id,appId,oauth2PermissionScopes`)
    if (answer.status !== 200) {
      report.todo(
        `The scope ${scope} could not be looked up (Graph answered ${causeOf(answer)}): check that the app registration has it under API permissions.`,
      )
      continue
    }
    const [api] = (answer.body['value'] ?? []) as readonly {
      id: string
      appId: string
      oauth2PermissionScopes?: readonly { id: string; value: string }[]
    }[]
    const id = api?.oauth2PermissionScopes?.find((one) => one.value === value)?.id
    if (!api || id === undefined)
      report.todo(`The tenant has no API with the scope ${scope}. Register it, then deploy again.`)
    else found.push({ appId: api.appId, resourceId: api.id, id, value })
  }
  return found
}

/** Scopes as `requiredResourceAccess`, by API. */
function accessOf(scopes: readonly DelegatedScope[]): readonly Access[] {
  return [...Map.groupBy(scopes, ({ appId }) => appId)].map(([resourceAppId, ofApi]) => ({
    resourceAppId,
    resourceAccess: ofApi.map(({ id }) => ({ id, type: 'Scope' })),
  }))
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

interface Grant {
  readonly consentType?: string
  readonly resourceId?: string
  readonly scope?: string
}

async function reportConsent(
  cloud: Cloud,
  clientId: string,
  scopes: readonly DelegatedScope[],
  report: Report,
): Promise<void> {
  // Each user who consents has a grant of their own, so that of all users may be on a later page.
  const grants = await readPages<Grant>(cloud.graph, `/servicePrincipals(appId='${clientId}')/oauth2PermissionGrants`)
  if (!grants) {
    report.row('Consent', 'not readable: Entra ID, Enterprise applications, Permissions shows it')
    return
  }
  const ofAllUsers = grants.filter(({ consentType }) => consentType === 'AllPrincipals')
  const isGranted = ({ resourceId, value }: DelegatedScope) =>
    ofAllUsers.some((grant) => grant.resourceId === resourceId && grant.scope?.split(' ').includes(value))
  const due = new Set(scopes.filter((scope) => !isGranted(scope)).map(({ value }) => value))
  if (due.size === 0) report.row('Consent', 'granted for all users')
  else {
    report.row(
      'Consent',
      `missing for ${[...due].join(', ')}: each user consents at sign-in, or an administrator for all`,
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
  const { report } = context
  const { clientId, objectId } = wanted.registration
  const key = objectId === undefined ? `(appId='${clientId}')` : `/${objectId}`
  const file = await writeCommandFile(context, 'app-registration.json', {
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
  })
  if (wanted.certificate) {
    report.todo(
      `az keyvault certificate download --vault-name ${wanted.vaultName} --name ${wanted.certificateName} --encoding PEM --file broker.pem`,
    )
    report.todo(`az ad app credential reset --id ${clientId} --cert "@broker.pem" --append`)
  }
  const graph = graphOriginOf(context.environment)
  report.todo(
    `az rest --method PATCH --uri "${graph}/v1.0/applications${key}" --headers Content-Type=application/json --body "@${file}"`,
  )
  report.todo(
    `The PATCH replaces the lists of the registration: first add to ${file} the redirect URIs, claims and app roles that are to stay, and give present app roles their ids.`,
  )
  if (wanted.trustedIdentity) await printFederation(context, clientId, wanted.trustedIdentity)
  report.todo(`az ad sp create --id ${clientId}`)
  report.todo(`az ad app permission admin-consent --id ${clientId}`)
}
