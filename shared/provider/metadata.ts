/**
 * What the settings say of the identity provider, and what its metadata may add to that. OpenID Connect Discovery 1.0,
 * RFC 8414 §3.3, RFC 9700 §4.4.
 */
import { BrokerError } from '../errors/errors.ts'
import { findFlaw, isAddress, isLoopbackHost, isMetadataHost } from '../settings/addresses.ts'

export type ResponseMode = 'form_post' | 'query'
export type AssertionAlgorithm = 'PS256' | 'RS256'

export interface ProviderMetadata {
  readonly issuer: string
  readonly authorizationEndpoint: string
  readonly tokenEndpoint: string
  readonly endSessionEndpoint: string | undefined
  readonly jwksUri: string
  /** RFC 9207 §3: the provider puts `iss` into every answer, so a missing one is an attack. */
  readonly issuerInAnswers: boolean
  /** Whether a refresh token is asked for, by the scope `offline_access`. */
  readonly offlineAccess: boolean
  /** How a client assertion is signed for it. */
  readonly assertionAlgorithm: AssertionAlgorithm
}

/** A tenant of Entra ID: its issuer and its token endpoint are known beforehand. */
export interface EntraIdentity {
  /** Entra's cloud, with a slash at its end. */
  readonly instance: string
  readonly tenantId: string
}

/** Any other provider: its issuer is known beforehand, and the rest by discovery. */
export interface OpenIdIdentity {
  readonly authority: string
}

export type ProviderIdentity = EntraIdentity | OpenIdIdentity

/** What the settings decide, whatever the metadata offers; left out, the metadata decides. */
export interface ProviderWishes {
  readonly responseMode?: ResponseMode
  readonly offlineAccess?: boolean | undefined
  readonly assertionAlgorithm?: AssertionAlgorithm | undefined
}

type Json = Readonly<Record<string, unknown>>

export function isEntra(identity: ProviderIdentity): identity is EntraIdentity {
  return 'tenantId' in identity
}

/** The issuer, exactly as every token and every answer has to name it. */
export function issuerOf(identity: ProviderIdentity): string {
  return isEntra(identity) ? `${identity.instance}${identity.tenantId}/v2.0` : identity.authority
}

/** OpenID Connect Discovery 1.0 §4: a slash at the issuer's end is not doubled. */
export function metadataUrlOf(identity: ProviderIdentity): string {
  return `${issuerOf(identity).replace(/\/$/, '')}/.well-known/openid-configuration`
}

/**
 * Whom a client assertion is for: from the settings alone. An audience that metadata could change would let whoever
 * changes it use the assertion at another server (RFC 7523bis).
 */
export function assertionAudienceOf(identity: ProviderIdentity, wanted: string | undefined): string {
  return wanted ?? (isEntra(identity) ? entraTokenEndpoint(identity) : identity.authority)
}

/**
 * @param json as the provider answered; untrusted
 * @throws {BrokerError} `provider_metadata_untrusted` where it contradicts the settings, `provider_unsuitable` where it
 *   lacks what they ask for
 */
export function checkMetadata(json: Json, identity: ProviderIdentity, wishes: ProviderWishes): ProviderMetadata {
  const issuer = issuerOf(identity)
  if (json.issuer !== issuer) throw untrusted(`issuer is not ${issuer}${differsBySlash(json.issuer, issuer)}`)
  return isEntra(identity) ? checkEntra(json, identity) : checkOpenId(json, identity, wishes)
}

/** Endpoints of Entra are on its own host, and the token endpoint at its own place: metadata may only agree. */
function checkEntra(json: Json, identity: EntraIdentity): ProviderMetadata {
  const home = new URL(identity.instance)
  const isOurs = (url: URL) =>
    isLoopbackHost(home.hostname) ? isLoopbackHost(url.hostname) : url.origin === home.origin
  const endpoint = readEndpoint(json, isOurs, `an address of ${identity.instance}`)

  const tokenEndpoint = entraTokenEndpoint(identity)
  if (json.token_endpoint !== tokenEndpoint) throw untrusted(`token_endpoint is not ${tokenEndpoint}`)
  return {
    issuer: issuerOf(identity),
    jwksUri: endpoint('jwks_uri'),
    authorizationEndpoint: endpoint('authorization_endpoint'),
    tokenEndpoint,
    endSessionEndpoint: json.end_session_endpoint === undefined ? undefined : endpoint('end_session_endpoint'),
    issuerInAnswers: json.authorization_response_iss_parameter_supported === true,
    offlineAccess: true,
    assertionAlgorithm: 'PS256',
  }
}

/**
 * Endpoints of another provider may be on other hosts than its issuer: RFC 8414 §2 and Discovery §3 ask for https only,
 * and Google, for one, has each elsewhere. What vouches for them is the document, which came by TLS from the issuer's own
 * host and names that issuer. A public issuer may not point into this machine or its network, though.
 */
function checkOpenId(json: Json, identity: OpenIdIdentity, wishes: ProviderWishes): ProviderMetadata {
  const { hostname: home } = new URL(identity.authority)
  const isLocal = isLoopbackHost(home)
  const isFit = ({ hostname, protocol }: URL) => {
    if (isLoopbackHost(hostname)) return isLocal
    const isNear = isAddress(hostname) || isMetadataHost(hostname) || isNameOfNetwork(hostname)
    return protocol === 'https:' && (!isNear || hostname === home)
  }
  const endpoint = readEndpoint(json, isFit, 'an https address that an issuer may name')

  checkOffers(json, wishes)
  const endSession = json.end_session_endpoint
  return {
    issuer: identity.authority,
    jwksUri: endpoint('jwks_uri'),
    authorizationEndpoint: endpoint('authorization_endpoint'),
    tokenEndpoint: endpoint('token_endpoint'),
    endSessionEndpoint: endSession === undefined || endSession === null ? undefined : endpoint('end_session_endpoint'),
    issuerInAnswers: json.authorization_response_iss_parameter_supported === true,
    offlineAccess: wishes.offlineAccess ?? listOf(json, 'scopes_supported')?.includes('offline_access') ?? false,
    assertionAlgorithm: wishes.assertionAlgorithm ?? chooseAlgorithm(json),
  }
}

/**
 * What the provider lists and what is not in the list, said before anybody is sent there. A list that is left out says
 * nothing: providers leave out what they have.
 */
function checkOffers(json: Json, { responseMode }: ProviderWishes): void {
  const offers = (name: string, value: string) => listOf(json, name)?.includes(value) ?? true
  if (!offers('response_types_supported', 'code')) throw unsuitable('response_type code')
  if (responseMode && !offers('response_modes_supported', responseMode)) {
    // Never another one in silence: by query the code stands in URLs and logs.
    throw unsuitable(`response_mode ${responseMode} (Broker__ResponseMode)`)
  }
  if (!offers('code_challenge_methods_supported', 'S256')) throw unsuitable('PKCE by S256')
  if (!offers('token_endpoint_auth_methods_supported', 'private_key_jwt')) throw unsuitable('private_key_jwt')
}

/** PS256 where it is taken: RFC 8725 §3.2 has no quarrel with RS256, but PSS is the one with a proof. */
function chooseAlgorithm(json: Json): AssertionAlgorithm {
  const taken = listOf(json, 'token_endpoint_auth_signing_alg_values_supported')
  if (!taken || taken.includes('PS256')) return 'PS256'
  if (taken.includes('RS256')) return 'RS256'
  throw unsuitable('client assertions by PS256 or RS256 (Broker__AssertionAlgorithm)')
}

function readEndpoint(json: Json, isFit: (url: URL) => boolean, what: string) {
  return (name: string): string => {
    const value = json[name]
    // Whatever a parser mends in silence, another one may read otherwise: the browser, MSAL.
    if (typeof value !== 'string' || findFlaw(value) || value.includes('#') || !isFit(new URL(value))) {
      throw untrusted(`${name} is not ${what}`)
    }
    return value
  }
}

function listOf(json: Json, name: string): readonly unknown[] | undefined {
  const value = json[name]
  return Array.isArray(value) ? value : undefined
}

function entraTokenEndpoint({ instance, tenantId }: EntraIdentity): string {
  return `${instance}${tenantId}/oauth2/v2.0/token`
}

/** Names without a dot, and those of RFC 6761 §6.3, mean what the machine or its network makes of them. */
function isNameOfNetwork(hostname: string): boolean {
  return !hostname.includes('.') || hostname.endsWith('.localhost')
}

/** The mistake that everybody makes once. */
function differsBySlash(said: unknown, issuer: string): string {
  return typeof said === 'string' && (said === `${issuer}/` || `${said}/` === issuer)
    ? ': they differ by the slash at the end'
    : ''
}

function untrusted(detail: string): BrokerError {
  return new BrokerError('provider_metadata_untrusted', { detail })
}

function unsuitable(what: string): BrokerError {
  return new BrokerError('provider_unsuitable', { detail: `the metadata does not offer ${what}` })
}
