/**
 * Microsoft Entra ID: one tenant, or many at the authorities `organizations` and `common`. Its issuers and its token
 * endpoint are known beforehand; it reads more than OpenID Connect names, and its refusals carry numbers
 * (`error_codes`).
 *
 * Many tenants: the metadata has a template in place of an issuer, a token names the issuer of the person's tenant, and
 * a key may be for one issuer alone. Which tenants are allowed is decided in tenants/.
 */
import { BrokerError } from '../errors/errors.ts'
import type { ErrorCode } from '../errors/catalogue.ts'
import { isAbsent } from '../json/json.ts'
import { authoritiesForMany, personalTenantId } from '../settings/identifiers.ts'
import { checkIdTokenAlgorithms, checkIssuer, metadataUrlOf, readOwnEndpoint, untrusted } from './metadata.ts'
import { handlesChallenges } from './client-capabilities.ts'
import { domainOf } from './email-domain.ts'
import { findAadsts, numberOf } from './aadsts.ts'
import type {
  AssertionRequirements,
  AuthorizationRefusal,
  Json,
  ProviderMetadata,
  ProviderProfile,
  Refusal,
  TokenRequestKind,
} from './provider.ts'
import { describeRefusal, readAuthorizationRefusal, readRefusal } from './refusal.ts'

export interface EntraSettings {
  /** The login address of the cloud; ends in a slash. */
  readonly instance: string
  /** The tenant's GUID; or `organizations` or `common`, for people of many tenants. */
  readonly tenantId: string
  /** True where guests of a tenant may sign in there. The default is true for one tenant, and false for many. */
  readonly guests?: boolean | undefined
  /** Only at `common`: true where personal Microsoft accounts may sign in. The default is false. */
  readonly personalAccounts?: boolean | undefined
  /**
   * The client id, where the tenant signs this application's tokens with keys of its own (claims mapping). Only the
   * metadata for this application names them.
   */
  readonly ownKeysOf?: string | undefined
  /** undefined: an assertion is sent again, which Entra accepts. */
  readonly assertionReuse?: boolean | undefined
  /** False: the broker does not announce that it passes on claims challenges. */
  readonly continuousAccess?: boolean | undefined
}

/**
 * Entra identifies the certificate by `x5t#S256`. A `kid` would name a key that Entra knows by another id, so the
 * header leaves it out.
 */
const assertionForm = { algorithm: 'PS256', keyId: false, lifetimeSeconds: 600 } as const

export function entraProfile(settings: EntraSettings): ProviderProfile {
  const { instance, tenantId, ownKeysOf, assertionReuse = true, continuousAccess = true } = settings
  const issuer = `${instance}${tenantId}/v2.0`
  const isForMany = authoritiesForMany.includes(tenantId)
  // Entra writes the id of a tenant so into the metadata and the keys of an authority for many tenants.
  const template = `${instance}{tenantid}/v2.0`
  const metadataIssuer = isForMany ? template : issuer
  const isTokenIssuer = (named: string) => (isForMany ? tenantIdOf(named, instance) !== undefined : named === issuer)
  // Also the audience of assertions, with or without a tenant in it: MSAL and ADAL send it so, and Entra refused the
  // issuer as an audience where the authority is for many tenants (MSAL.NET issue 891).
  const tokenEndpoint = `${instance}${tenantId}/oauth2/v2.0/token`
  const assertion: AssertionRequirements = { ...assertionForm, audience: tokenEndpoint, reuse: assertionReuse }
  return {
    issuer,
    metadataUrl: `${metadataUrlOf(issuer)}${ownKeysOf === undefined ? '' : `?appid=${encodeURIComponent(ownKeysOf)}`}`,
    assertion,
    protocolMode: 'AAD',
    // `logout_hint` with the claim `login_hint` does the same, and keeps the token out of URLs.
    usesIdTokenHint: false,
    signsOutByPost: true,
    isPublicSessionId: () => false,
    issuesClientTokens: true,
    clientCapabilities: continuousAccess ? [handlesChallenges] : [],
    refreshesByChallenge: true,
    checkMetadata: (json) => checkMetadata(json, { instance, issuer, metadataIssuer, tokenEndpoint }),
    // On the host where browsers go. Never `common`: no personal account can consent for an organization.
    adminConsentUrl: isForMany
      ? ({ authorizationEndpoint }) => new URL('/organizations/v2.0/adminconsent', authorizationEndpoint).href
      : undefined,
    isTokenIssuer,
    tenantOf: (named) => (isForMany ? tenantIdOf(named, instance) : tenantId),
    keysNameIssuers: true,
    acceptsKey: ({ issuer: named }) =>
      named === undefined || (typeof named === 'string' && (named === template || isTokenIssuer(named))),
    unprovenClaims: (claims) => (isForMany && !isEmailProven(claims) ? ['email', 'email_verified'] : []),
    promptFor: (prompts) => promptOrder.find((prompt) => prompts.includes(prompt)),
    // Entra reads MSAL's own fields: they carry its telemetry and its throttling hints.
    tokenRequest: (form) => form,
    readIdentity: (claims, refuse) => {
      const { iss, tid, oid } = claims
      // The issuer and the tenant of a token name each other: a token of one tenant cannot speak for another.
      const tenant = isForMany ? tenantIdOf(iss, instance) : tenantId
      if (tenant === undefined || tid !== tenant) throw refuse('tid')
      if (typeof oid !== 'string' || oid === '' || oid.length > 255) throw refuse('oid')
      checkAccount(claims, tenant, { guests: settings.guests ?? !isForMany, personal: settings.personalAccounts })
      return { tenantId: tenant, objectId: oid }
    },
    checkSamePerson: (claims, of, refuse) => {
      if (claims.tid !== undefined && claims.tid !== of.tenantId) throw refuse('tid')
      if (claims.oid !== undefined && claims.oid !== of.objectId) throw refuse('oid')
    },
    readRefusal: readEntraRefusal,
    readAuthorizationRefusal: readEntraAuthorizationRefusal,
  }
}

/**
 * Entra ID accepts one value. The fresh sign-in comes first, since its page also lets the person change the account.
 * The consent comes last: Entra requests one that is missing by itself.
 */
const promptOrder = ['none', 'login', 'select_account', 'consent']

/** @returns the tenant of an issuer by its form, which is Entra's own spelling: lower case, no slash at the end */
function tenantIdOf(issuer: unknown, instance: string): string | undefined {
  if (typeof issuer !== 'string' || !issuer.startsWith(instance)) return undefined
  const [, tenantId] =
    /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/v2\.0$/.exec(issuer.slice(instance.length)) ?? []
  return tenantId
}

/**
 * @param claims of a verified ID token
 * @param tenantId the tenant that issued it
 * @throws {BrokerError} `personal_account_not_allowed`, `guest_not_allowed`
 */
function checkAccount(
  claims: Json,
  tenantId: string,
  allowed: { readonly guests: boolean; readonly personal: boolean | undefined },
): void {
  if (tenantId === personalTenantId) {
    if (allowed.personal !== true) throw new BrokerError('personal_account_not_allowed')
    return
  }
  if (allowed.guests || !isGuest(claims, tenantId)) return
  const domain = homeDomainOf(claims.preferred_username)
  throw new BrokerError('guest_not_allowed', {
    detail: `guest in ${tenantId}`,
    ...(domain === undefined
      ? {}
      : { remedy: `Sign in with an account of your own organization. This account belongs to ${domain}.` }),
  })
}

/** @returns the domain of a guest: not that of the tenant, which ends the name `ada_fabrikam.com#EXT#@contoso.com` */
function homeDomainOf(username: unknown): string | undefined {
  if (typeof username !== 'string' || !/#EXT#@/i.test(username)) return domainOf(username)
  return /_([a-z0-9.-]{1,253})#EXT#@/i.exec(username)?.[1]?.toLowerCase()
}

/**
 * `acct` is an optional claim: 0 is a member, 1 a guest. `idp` names the identity provider that authenticated the
 * person, where it is not the tenant itself. A value of `acct` that is not known counts as a guest.
 */
export function isGuest({ acct, idp, iss }: Json, tenantId: string): boolean {
  if (acct !== undefined) return acct !== 0 && acct !== '0'
  return idp !== undefined && idp !== iss && idp !== `https://sts.windows.net/${tenantId}/`
}

/**
 * An administrator of any tenant can write any address into `email`, so at an authority for many tenants it could name
 * a person of another organization (nOAuth). `xms_edov` confirms that the tenant owns the domain of the address.
 */
export function isEmailProven({ xms_edov: confirmed }: Json): boolean {
  return confirmed === true || confirmed === 1 || confirmed === '1' || confirmed === 'true'
}

/** Entra's endpoints are on its own host and the token endpoint has a fixed path: the metadata may only agree. */
function checkMetadata(
  json: Json,
  expected: { instance: string; issuer: string; metadataIssuer: string; tokenEndpoint: string },
): ProviderMetadata {
  const { instance, issuer, metadataIssuer, tokenEndpoint } = expected
  checkIssuer(json, metadataIssuer)
  const endpoint = readOwnEndpoint(json, instance)

  checkIdTokenAlgorithms(json)
  if (json.token_endpoint !== tokenEndpoint) throw untrusted(`token_endpoint is not ${tokenEndpoint}`)
  return {
    issuer,
    jwksUri: endpoint('jwks_uri'),
    authorizationEndpoint: endpoint('authorization_endpoint'),
    tokenEndpoint,
    endSessionEndpoint: isAbsent(json.end_session_endpoint) ? undefined : endpoint('end_session_endpoint'),
    issuerInAnswers: json.authorization_response_iss_parameter_supported === true,
    offlineAccess: true,
    assertionAlgorithm: assertionForm.algorithm,
  }
}

/** The numbers decide first where the table knows one; otherwise `error` and `suberror` do. */
function readEntraRefusal(answer: Json, request: TokenRequestKind): Refusal {
  const known = findAadsts(answer.error_codes)
  const detail = `${describeRefusal(answer)}${known ? `: ${known.remedy}` : ''}`
  const error = (code: ErrorCode): Refusal => ({ error: new BrokerError(code, { detail }), blamesCertificate: false })
  switch (known?.cause) {
    case 'certificate':
    case 'federation':
      return { error: readRefusal(answer, request), blamesCertificate: answer.error === 'invalid_client' }
    case 'client':
      return error('client_refused')
    case 'registration':
      return error('app_registration_invalid')
    case 'load':
      return error('provider_throttled')
    case 'service':
      return error('provider_unavailable')
    case 'permission':
      if (request === 'code') return error('provider_refused')
      return { error: readRefusal(answer, request), blamesCertificate: false }
    case 'interaction':
      return { error: readRefusal({ ...answer, error: 'interaction_required' }, request), blamesCertificate: false }
    default:
      return { error: readRefusal(answer, request), blamesCertificate: false }
  }
}

function readEntraAuthorizationRefusal(refusal: AuthorizationRefusal): BrokerError {
  const number = numberOf(refusal.uri)
  const known = findAadsts([number])
  const detail = `${String(number)}${known ? `: ${known.remedy}` : ''}`
  switch (known?.cause) {
    case 'cancel':
      return new BrokerError('sign_in_cancelled')
    case 'certificate':
    case 'federation':
    case 'client':
      return new BrokerError('client_refused', { detail })
    case 'registration':
      return new BrokerError('app_registration_invalid', { detail })
    case 'load':
      return new BrokerError('provider_throttled', { detail })
    case 'service':
      return new BrokerError('provider_unavailable', { detail })
    case 'permission':
      return new BrokerError('provider_refused', { detail })
    default:
      // A person who cancels has the number 65004, or `error_subcode`; another number is a policy.
      if (number !== undefined && refusal.error === 'access_denied' && refusal.subError === undefined) {
        return new BrokerError('provider_refused', { detail })
      }
      return readAuthorizationRefusal(refusal)
  }
}
