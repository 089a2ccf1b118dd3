/** The properties that the app registration needs, compared with those that it has. Values of others stay. */
import { createHash } from 'node:crypto'
import { signOutPath } from './app-registration.ts'
import type { Audience, Registration } from './app-registration.ts'
import { declareRoles } from './app-roles.ts'
import type { AppRole, WantedRole } from './app-roles.ts'
import type { TrustedIdentity } from './federated-credential.ts'

export interface WantedRegistration extends Audience {
  readonly registration: Registration
  readonly isByHand: boolean
  readonly vaultName: string
  readonly certificateName: string
  readonly baseUrl: string
  /** Redirect URIs of a broker on a developer's machine too. */
  readonly localCallback: boolean
  /**
   * True for the hybrid flow: Entra issues ID tokens at the authorization
   * endpoint only where the registration allows it.
   */
  readonly idTokens: boolean
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
export interface Access {
  readonly resourceAppId: string
  readonly resourceAccess: readonly { readonly id: string; readonly type: string }[]
}
/** As Graph has it. */
export interface ApplicationProperties {
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

const localUris = ['http://localhost:7071/callback', 'http://localhost:7071/logout/done']

interface Wanted extends WantedRegistration {
  readonly redirectUris: readonly string[]
  readonly access: readonly Access[]
}

/** @returns the members to change, each whole as Graph replaces it; none where the registration is complete */
export function changesOf(application: ApplicationProperties, wanted: Wanted): Readonly<Record<string, unknown>> {
  const roles = application.appRoles ?? []
  const appRoles = declareRoles(roles, wanted.appRoles)
  const present = application.requiredResourceAccess ?? []
  const requiredResourceAccess = mergeAccess(present, wanted.access)
  return {
    ...changeOfKeys(application, wanted),
    ...changeOfWeb(application, wanted),
    ...changeOfClaims(application, wanted),
    ...changeOfAudience(application, wanted),
    ...(application.api?.requestedAccessTokenVersion === 2
      ? {}
      : { api: { ...application.api, requestedAccessTokenVersion: 2 } }),
    ...(appRoles === roles ? {} : { appRoles }),
    ...(JSON.stringify(requiredResourceAccess) === JSON.stringify(present) ? {} : { requiredResourceAccess }),
  }
}

/** Every present key is sent back unchanged. */
function changeOfKeys({ keyCredentials = [] }: ApplicationProperties, { certificate }: Wanted): object {
  if (!certificate || keyCredentials.some((key) => isKeyOf(key, certificate))) return {}
  const key = Buffer.from(certificate).toString('base64')
  return {
    keyCredentials: [...keyCredentials, { type: 'AsymmetricX509Cert', usage: 'Verify', key, displayName: 'broker' }],
  }
}

function changeOfWeb({ web }: ApplicationProperties, wanted: Wanted): object {
  const uris = web?.redirectUris ?? []
  const kept = wanted.localCallback ? uris : uris.filter((uri) => !localUris.includes(uri))
  const redirectUris = [...new Set([...kept, ...wanted.redirectUris, ...(wanted.localCallback ? localUris : [])])]
  const logoutUrl = `${wanted.baseUrl}${signOutPath}`
  const flow = web?.implicitGrantSettings
  const lacksIdTokens = wanted.idTokens && flow?.enableIdTokenIssuance !== true
  if (redirectUris.join() === uris.join() && web?.logoutUrl === logoutUrl && !lacksIdTokens) return {}
  const implicitGrantSettings = lacksIdTokens ? { ...flow, enableIdTokenIssuance: true } : flow
  return { web: { ...web, redirectUris, logoutUrl, ...(implicitGrantSettings ? { implicitGrantSettings } : {}) } }
}

function changeOfClaims({ optionalClaims }: ApplicationProperties, wanted: Wanted): object {
  const claims = optionalClaims?.idToken ?? []
  const missing = claimsFor(wanted).filter((name) => !claims.some((claim) => claim.name === name))
  if (missing.length === 0) return {}
  const added = missing.map((name) => ({ name, essential: false, source: null, additionalProperties: [] }))
  return { optionalClaims: { ...optionalClaims, idToken: [...claims, ...added] } }
}

/** One tenant is the narrowest audience, and another one may be there for a reason: it is never narrowed. */
function changeOfAudience(application: ApplicationProperties, { signInAudience, signUp }: Wanted): object {
  const isNarrower = signInAudience !== 'AzureADMyOrg' && application.signInAudience !== signInAudience
  const isWidest = application.signInAudience === 'AzureADandPersonalMicrosoftAccount'
  const groupMembershipClaims = signUp ? withDirectoryRoles(application.groupMembershipClaims) : undefined
  return {
    ...(isNarrower && !isWidest ? { signInAudience } : {}),
    ...(groupMembershipClaims === undefined ? {} : { groupMembershipClaims }),
  }
}

/**
 * Optional claims of the ID token: for sign-out and `max_age`, and those that front ends register. Among many tenants:
 * whether a person is a guest, and which domain is proven.
 */
export function claimsFor({
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

/**
 * Optional claims of Entra ID that a front end may register. Others come by a claims mapping, or without any setting.
 */
const offeredClaims: ReadonlySet<string> = new Set(
  [
    'acct acrs auth_time ctry email family_name given_name groups in_corp ipaddr tenant_ctry tenant_region_scope upn',
    'verified_primary_email verified_secondary_email vnet xms_pdl xms_pl xms_tpl',
  ].flatMap((names) => names.split(' ')),
)

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
