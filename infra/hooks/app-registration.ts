/** The app registration: found or made by a unique name, then given what the broker needs and left what it has beside. */
import { createHash, randomUUID } from 'node:crypto'
import type { AzdEnvironment } from './azd.ts'
import type { Cloud, CloudAnswer } from './cloud.ts'
import type { Names } from './names.ts'
import type { Report } from './report.ts'
import { HookStop } from './stop.ts'

export interface Registration {
  readonly clientId: string
  /** Nothing where Graph doesn't tell this person. */
  readonly objectId: string | undefined
}

/** Who takes care of it: this deployment, a person who gave a client id, or a person altogether. */
export type RegistrationMode = 'made' | 'given' | 'manual'

export function registrationModeOf(environment: AzdEnvironment): RegistrationMode {
  if (environment.get('BROKER_APP_REGISTRATION') === 'manual') return 'manual'
  const isOurs = environment.get('BROKER_APP_UNIQUE_NAME') !== undefined
  return environment.get('BROKER_CLIENT_ID') !== undefined && !isOurs ? 'given' : 'made'
}

export function isPipeline(environment: AzdEnvironment): boolean {
  const { CI, GITHUB_ACTIONS, TF_BUILD } = process.env
  return (
    environment.get('AZURE_PRINCIPAL_TYPE') === 'ServicePrincipal' ||
    [CI, GITHUB_ACTIONS, TF_BUILD].some((value) => value?.toLowerCase() === 'true')
  )
}

const noRight = [
  'You may not make app registrations in the tenant. Nothing was deployed.',
  '- Somebody with the role Application Developer may, for registrations of their own; a Privileged Role Administrator gives the role.',
  '- Without it: let somebody make one (az ad app create --display-name "Certificate token broker" --sign-in-audience AzureADMyOrg), then: azd env set BROKER_CLIENT_ID <its Application (client) ID>, and azd env set BROKER_APP_REGISTRATION manual where you may not change it either.',
].join('\n')

/** @throws {HookStop} where it may be neither found nor made */
export async function findOrMakeRegistration(
  cloud: Cloud,
  environment: AzdEnvironment,
  names: Names,
  report: Report,
): Promise<void> {
  const mode = registrationModeOf(environment)
  if (mode === 'manual') {
    report.row('App registration', 'left alone (BROKER_APP_REGISTRATION=manual)')
    return
  }
  if (mode === 'given') {
    const clientId = environment.get('BROKER_CLIENT_ID') ?? ''
    const found = await cloud.graph(`/applications(appId='${clientId}')?$select=id,appId`)
    const { id } = found.body as { id?: string }
    if (found.status === 200 && id !== undefined) {
      await environment.set('BROKER_APPLICATION_OBJECT_ID', id)
      report.row('App registration', `found by BROKER_CLIENT_ID: ${clientId}`)
    } else {
      report.row('App registration', `${clientId}, which Graph does not show you (${found.status})`)
    }
    return
  }

  const path = `/applications(uniqueName='${names.registration}')`
  const found = await cloud.graph(`${path}?$select=id,appId`)
  if (found.status === 200) return keep(environment, names, found, report, 'found')
  if (found.status === 403) throw new HookStop(noRight)
  if (isPipeline(environment)) {
    throw new HookStop(
      `There is no app registration ${names.registration}, and a pipeline makes none: it would have to hold the right to. Nothing was deployed. Run azd provision for this environment once on your own machine, or set BROKER_CLIENT_ID in the pipeline.`,
    )
  }
  const made = await cloud.graph(path, {
    method: 'PATCH',
    // By its alternate key, so that a run that was interrupted, and its repetition, make one and not two.
    headers: { Prefer: 'create-if-missing' },
    body: {
      displayName: `Certificate token broker (${environment.get('AZURE_ENV_NAME') ?? ''})`,
      signInAudience: 'AzureADMyOrg',
    },
  })
  if (made.status === 403) throw new HookStop(noRight)
  if (made.status >= 300) throw new HookStop(`Graph answered ${made.status} when the app registration was to be made.`)
  // A copy of the directory that hasn't heard of it yet answers 404.
  const read = await cloud.graph(`${path}?$select=id,appId`, { passing: [404] })
  return keep(environment, names, read, report, 'made')
}

async function keep(
  environment: AzdEnvironment,
  names: Names,
  { status, body }: CloudAnswer,
  report: Report,
  how: string,
): Promise<void> {
  const { id, appId } = body as { id?: string; appId?: string }
  if (status !== 200 || id === undefined || appId === undefined) {
    throw new HookStop(`Graph answered ${status} when the app registration ${names.registration} was read.`)
  }
  // The unique name first: it tells a later run that the client id is not one that a person gave.
  await environment.set('BROKER_APP_UNIQUE_NAME', names.registration)
  await environment.set('BROKER_APPLICATION_OBJECT_ID', id)
  await environment.set('BROKER_CLIENT_ID', appId)
  report.row('App registration', `${how}: ${appId}`)
}

export interface WantedRegistration {
  readonly baseUrl: string
  /** Also sign-ins that end at a broker on a laptop. */
  readonly localCallback: boolean
  /** The certificate's public part, DER. */
  readonly certificate: Uint8Array | undefined
  /** Scopes in full, of all front ends. */
  readonly scopes: readonly string[]
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
  readonly web?: { readonly redirectUris?: readonly string[]; readonly logoutUrl?: string | null }
  readonly optionalClaims?: { readonly idToken?: readonly Claim[] } | null
  readonly api?: { readonly requestedAccessTokenVersion?: number | null } | null
  readonly appRoles?: readonly { readonly value?: string | null }[]
  readonly requiredResourceAccess?: readonly Access[]
}

const selected = 'id,appId,keyCredentials,web,optionalClaims,api,appRoles,requiredResourceAccess'
const localUris = ['http://localhost:7071/callback', 'http://localhost:7071/logout/done']

/** Adds what is missing and drops nothing that it doesn't know. */
export async function completeRegistration(
  cloud: Cloud,
  environment: AzdEnvironment,
  wanted: WantedRegistration,
  report: Report,
): Promise<void> {
  const clientId = environment.get('BROKER_CLIENT_ID') ?? ''
  const redirectUris = [`${wanted.baseUrl}/callback`, `${wanted.baseUrl}/logout/done`]
  const byHand = () => {
    for (const command of commands(clientId, redirectUris, wanted)) report.todo(command)
  }
  if (registrationModeOf(environment) === 'manual') {
    report.row('App registration', 'to be completed by hand, see below')
    byHand()
    return
  }
  const read = await cloud.graph(`/applications(appId='${clientId}')?$select=${selected}`, {
    // Just made, and not known everywhere yet.
    passing: registrationModeOf(environment) === 'made' ? [404] : [],
  })
  if (read.status !== 200) {
    report.row('App registration', `may not be read (${read.status}); to be completed by hand, see below`)
    byHand()
    return
  }
  const application = read.body as unknown as ApplicationProperties & { id: string }
  const access = await resolveAccess(cloud, wanted.scopes, report)
  const changes = changesOf(application, { ...wanted, redirectUris, access })

  if (Object.keys(changes).length === 0) report.row('App registration', 'is as it should be')
  else {
    // All in one request: whoever signs in meanwhile meets the old state or the new one.
    const changed = await cloud.graph(`/applications/${application.id}`, {
      method: 'PATCH',
      body: changes,
      passing: [404],
    })
    if (changed.status >= 300) {
      report.row('App registration', `may not be changed (${changed.status}); to be completed by hand, see below`)
      byHand()
      return
    }
    report.row('App registration', `completed: ${Object.keys(changes).join(', ')}`)
  }
  await ensureServicePrincipal(cloud, clientId, report)
  if (access.length > 0) await tellConsent(cloud, clientId, wanted.scopes, report)
}

interface Wanted extends WantedRegistration {
  readonly redirectUris: readonly string[]
  readonly access: readonly Access[]
}

function changesOf(application: ApplicationProperties, wanted: Wanted): Record<string, unknown> {
  const changes: Record<string, unknown> = {}

  const keys = application.keyCredentials ?? []
  if (wanted.certificate && !keys.some((key) => isKeyOf(key, wanted.certificate as Uint8Array))) {
    // The list that is sent is the whole list: every key that is there goes back as it came.
    const key = Buffer.from(wanted.certificate).toString('base64')
    changes['keyCredentials'] = [...keys, { type: 'AsymmetricX509Cert', usage: 'Verify', key, displayName: 'broker' }]
  }

  const uris = application.web?.redirectUris ?? []
  const kept = wanted.localCallback ? uris : uris.filter((uri) => !localUris.includes(uri))
  const allUris = [...new Set([...kept, ...wanted.redirectUris, ...(wanted.localCallback ? localUris : [])])]
  const logoutUrl = `${wanted.baseUrl}/logout/frontchannel`
  if (allUris.join() !== uris.join() || application.web?.logoutUrl !== logoutUrl) {
    changes['web'] = { ...application.web, redirectUris: allUris, logoutUrl }
  }

  const claims = application.optionalClaims?.idToken ?? []
  const missing = ['login_hint', 'sid'].filter((name) => !claims.some((claim) => claim.name === name))
  if (missing.length > 0) {
    const added = missing.map((name) => ({ name, essential: false, source: null, additionalProperties: [] }))
    changes['optionalClaims'] = { ...application.optionalClaims, idToken: [...claims, ...added] }
  }

  if (application.api?.requestedAccessTokenVersion !== 2) {
    changes['api'] = { ...application.api, requestedAccessTokenVersion: 2 }
  }

  const roles = application.appRoles ?? []
  if (!roles.some(({ value }) => value === 'Broker.Operator')) {
    const role = {
      id: randomUUID(),
      value: 'Broker.Operator',
      displayName: 'Broker operator',
      description: 'Runs the broker: reads its state, and may act on it.',
      allowedMemberTypes: ['User', 'Application'],
      isEnabled: true,
    }
    changes['appRoles'] = [...roles, role]
  }

  const required = mergeAccess(application.requiredResourceAccess ?? [], wanted.access)
  if (JSON.stringify(required) !== JSON.stringify(application.requiredResourceAccess ?? [])) {
    changes['requiredResourceAccess'] = required
  }
  return changes
}

function isKeyOf({ key, customKeyIdentifier }: KeyCredential, der: Uint8Array): boolean {
  if (typeof key === 'string') return Buffer.from(key, 'base64').equals(der)
  // Graph gives the thumbprint as base64, the portal's own entries as hexadecimal text.
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

/** From scopes as the front ends name them to the ids by which an application asks for them. */
async function resolveAccess(cloud: Cloud, scopes: readonly string[], report: Report): Promise<readonly Access[]> {
  const found = new Map<string, Access>()
  for (const scope of new Set(scopes)) {
    const resource = scope.slice(0, scope.lastIndexOf('/'))
    const permission = scope.slice(resource.length + 1)
    if (permission === '.default') continue // What is configured already; nothing to ask for.
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
      report.todo(`The API of the scope ${scope} was not found in the tenant: register it, then deploy again.`)
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
    report.row('Service principal', 'is there')
    return
  }
  const made = await cloud.graph('/servicePrincipals', { method: 'POST', body: { appId: clientId }, passing: [404] })
  // 409: an answer was lost, and the repetition met what the first had made.
  if (made.status < 300 || made.status === 409) report.row('Service principal', 'made')
  else {
    report.row('Service principal', `may not be made (${made.status}), see below`)
    report.todo(`az ad sp create --id ${clientId}`)
  }
}

async function tellConsent(cloud: Cloud, clientId: string, scopes: readonly string[], report: Report): Promise<void> {
  const { status, body } = await cloud.graph(`/servicePrincipals(appId='${clientId}')/oauth2PermissionGrants`)
  const grants = (status === 200 ? (body['value'] ?? []) : []) as readonly { consentType?: string; scope?: string }[]
  const granted = grants
    .filter(({ consentType }) => consentType === 'AllPrincipals')
    .flatMap(({ scope }) => scope?.split(' ') ?? [])
  const due = scopes.map((scope) => scope.slice(scope.lastIndexOf('/') + 1)).filter((one) => !granted.includes(one))
  if (due.length === 0) report.row('Consent', 'given for everybody')
  else {
    report.row(
      'Consent',
      `due for ${[...new Set(due)].join(', ')}: each person is asked, or an administrator consents for all`,
    )
    report.todo(`az ad app permission admin-consent --id ${clientId}`)
  }
}

/** The same by hand, for whoever may. */
function commands(clientId: string, redirectUris: readonly string[], wanted: WantedRegistration): readonly string[] {
  return [
    ...(wanted.certificate
      ? [
          `az keyvault certificate download --vault-name <vault> --name broker --encoding PEM --file broker.pem`,
          `az ad app credential reset --id ${clientId} --cert @broker.pem --append`,
        ]
      : []),
    `az ad app update --id ${clientId} --web-redirect-uris ${redirectUris.join(' ')} (with those that are there: the list is replaced)`,
    `az ad app update --id ${clientId} --set web.logoutUrl=${wanted.baseUrl}/logout/frontchannel api.requestedAccessTokenVersion=2`,
    `az ad app update --id ${clientId} --optional-claims '{"idToken":[{"name":"login_hint"},{"name":"sid"}]}'`,
    `az ad sp create --id ${clientId}`,
    `az ad app permission admin-consent --id ${clientId}`,
  ]
}

/** @returns whether it is gone */
export async function removeRegistration(cloud: Cloud, environment: AzdEnvironment): Promise<boolean> {
  const objectId = environment.get('BROKER_APPLICATION_OBJECT_ID') ?? ''
  const { status } = await cloud.graph(`/applications/${objectId}`, { method: 'DELETE' })
  return status < 300 || status === 404
}
