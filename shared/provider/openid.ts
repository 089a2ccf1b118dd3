/**
 * Any OpenID provider: the settings name its issuer, and discovery names the rest.
 * OpenID Connect Discovery 1.0, RFC 8414.
 */
import type { AssertionAlgorithm } from '../credential/sign-assertion.ts'
import type { AssertionType } from '../settings/assertion-types.ts'
import { isAbsent } from '../json/json.ts'
import { isAddress, isLoopbackHost, isMetadataHost } from '../settings/addresses.ts'
import { acceptsScope } from './accepted-scopes.ts'
import { checkIdTokenAlgorithms, checkIssuer, listOf, metadataUrlOf, readEndpoint, unsuitable } from './metadata.ts'
import type { Json, ProviderMetadata, ProviderProfile, Refusal, ResponseMode, TokenRequestKind } from './provider.ts'
import { BrokerError } from '../errors/errors.ts'
import { describeRefusal, readAuthorizationRefusal, readRefusal } from './refusal.ts'

/** Each setting wins over the metadata; where one is left out, the metadata decides. */
export interface OpenIdSettings {
  /** The issuer. */
  readonly authority: string
  /** Of the settings, where the metadata is not at the issuer. The document still has to name the issuer. */
  readonly metadataUrl?: string | undefined
  readonly responseMode?: ResponseMode
  readonly offlineAccess?: boolean | undefined
  readonly openIdScopes?: readonly string[] | undefined
  readonly assertionAudience?: string | undefined
  readonly assertionAlgorithm?: AssertionAlgorithm | undefined
  readonly assertionKeyId?: boolean
  readonly assertionType?: AssertionType | undefined
  readonly assertionReuse?: boolean | undefined
}

/**
 * The lifetime of an assertion. Five minutes are the most that some providers accept (Auth0). An assertion that is sent
 * once needs the time of one call, and some tolerance for clocks that differ.
 */
const lifetimeSeconds = { sentAgain: 300, sentOnce: 120 }

export function openIdProfile(settings: OpenIdSettings): ProviderProfile {
  const { authority: issuer, assertionReuse: reuse = false } = settings
  return {
    issuer,
    metadataUrl: settings.metadataUrl ?? metadataUrlOf(issuer),
    assertion: {
      audience: settings.assertionAudience ?? issuer,
      reuse,
      algorithm: settings.assertionAlgorithm,
      keyId: settings.assertionKeyId ?? true,
      type: settings.assertionType,
      lifetimeSeconds: reuse ? lifetimeSeconds.sentAgain : lifetimeSeconds.sentOnce,
    },
    protocolMode: 'OIDC',
    usesIdTokenHint: true,
    signsOutByPost: true,
    // AD FS, also where no setting names it, writes the Windows SID of the person: every account of the domain can read
    // it, and the SIDs of other people follow from one.
    isPublicSessionId: (sid) => /^s-1-/i.test(sid),
    issuesClientTokens: false,
    clientCapabilities: [],
    // OpenID Connect Core §5.5 has `claims` in the authorization request alone.
    refreshesByChallenge: false,
    checkMetadata: (json) => checkMetadata(json, settings),
    keysNameIssuers: false,
    acceptsKey: () => true,
    isTokenIssuer: (named) => named === issuer,
    unprovenClaims: () => [],
    promptFor,
    tenantOf: () => undefined,
    tokenRequest: onlySpecified,
    // Claims of these names have no specified meaning here.
    readIdentity: () => ({ tenantId: undefined, objectId: undefined }),
    checkSamePerson: () => undefined,
    readRefusal: readOpenIdRefusal,
    readAuthorizationRefusal,
  }
}

function readOpenIdRefusal(answer: Json, request: TokenRequestKind): Refusal {
  return {
    // RFC 6749 §6: the scope exceeds the grant, so the person has to consent to it.
    error:
      request === 'refresh' && answer.error === 'invalid_scope'
        ? new BrokerError('interaction_required', { detail: describeRefusal(answer) })
        : readRefusal(answer, request),
    // There are no numbers: `invalid_client` is all that a provider sends where it does not know the key.
    blamesCertificate: answer.error === 'invalid_client',
  }
}

/**
 * The endpoints may be on other hosts than the issuer: RFC 8414 §2 and Discovery §3 require https only, and Google, for
 * example, has each on another host. The document proves them: it came by TLS from the issuer's own host, or
 * from the URL of the settings, and names that issuer. A public issuer may not point into this machine or its network.
 */
function checkMetadata(json: Json, settings: OpenIdSettings): ProviderMetadata {
  const { authority: issuer } = settings
  checkIssuer(json, issuer)
  const { hostname: home } = new URL(issuer)
  const isLocal = isLoopbackHost(home)
  const isFit = ({ hostname, protocol }: URL) => {
    if (isLoopbackHost(hostname)) return isLocal
    const isNear = isAddress(hostname) || isMetadataHost(hostname) || isNameOfNetwork(hostname)
    return protocol === 'https:' && (!isNear || hostname === home)
  }
  const endpoint = readEndpoint(json, isFit, 'an https address that an issuer may name')

  checkOffers(json, settings)
  const scopes = listOf(json, 'scopes_supported')
  return {
    issuer,
    jwksUri: endpoint('jwks_uri'),
    authorizationEndpoint: endpoint('authorization_endpoint'),
    tokenEndpoint: endpoint('token_endpoint'),
    endSessionEndpoint: isAbsent(json.end_session_endpoint) ? undefined : endpoint('end_session_endpoint'),
    userinfoEndpoint: readOptional(json, 'userinfo_endpoint', endpoint),
    issuerInAnswers: json.authorization_response_iss_parameter_supported === true,
    prompts: listOf(json, 'prompt_values_supported'),
    scopes,
    openIdScopes: settings.openIdScopes,
    offlineAccess: settings.offlineAccess ?? scopes?.includes('offline_access') ?? false,
    assertionAlgorithm: settings.assertionAlgorithm ?? chooseAlgorithm(json),
  }
}

/**
 * OpenID Connect Core §3.1.2.1: a provider refuses a prompt that it does not list. The broker itself adds
 * `select_account`, and a new sign-in lets the person choose the account too.
 */
function promptFor(wanted: readonly string[], { prompts }: ProviderMetadata): string {
  const hasChoice = prompts?.includes('select_account') ?? true
  const sent = wanted.map((prompt) => (prompt === 'select_account' && !hasChoice ? 'login' : prompt))
  return [...new Set(sent)].join(' ')
}

/** Names for display are not worth refusing a provider for, so an address that is not accepted counts as absent. */
function readOptional(json: Json, name: string, endpoint: (name: string) => string): string | undefined {
  try {
    return isAbsent(json[name]) ? undefined : endpoint(name)
  } catch {
    return undefined
  }
}

/**
 * Refuses a provider that lists its features and lacks a needed one, before any person is sent there. A list that is
 * left out proves no lack: providers leave out lists of features that they have.
 */
function checkOffers(json: Json, { responseMode, assertionAlgorithm }: OpenIdSettings): void {
  const offers = (name: string, value: string) => listOf(json, name)?.includes(value) ?? true
  if (responseMode && !offers('response_modes_supported', responseMode)) {
    // Never another mode silently: with `query` the code appears in URLs and logs.
    throw unsuitable(`response_mode ${responseMode} (Broker__ResponseMode)`)
  }
  if (!offers('code_challenge_methods_supported', 'S256')) throw unsuitable('PKCE by S256')
  if (!offers('grant_types_supported', 'authorization_code')) throw unsuitable('grant_type authorization_code')
  if (!offers('token_endpoint_auth_methods_supported', 'private_key_jwt')) throw unsuitable('private_key_jwt')
  if (assertionAlgorithm && !offers('token_endpoint_auth_signing_alg_values_supported', assertionAlgorithm)) {
    throw unsuitable(`client assertions by ${assertionAlgorithm} (Broker__AssertionAlgorithm)`)
  }
  // RFC 9126 §5 and RFC 9101 §10.5: the provider refuses the plain authorization requests that the broker sends.
  for (const required of ['require_pushed_authorization_requests', 'require_signed_request_object']) {
    if (json[required] === true) throw unsuitable(`authorization requests without ${required}`)
  }
  checkIdTokenAlgorithms(json)
}

/** PS256 where it is accepted: RFC 8725 §3.2 permits RS256, but PSS is the one with a security proof. */
function chooseAlgorithm(json: Json): AssertionAlgorithm {
  const accepted = listOf(json, 'token_endpoint_auth_signing_alg_values_supported')
  if (!accepted || accepted.includes('PS256')) return 'PS256'
  if (accepted.includes('RS256')) return 'RS256'
  throw unsuitable('client assertions by PS256 or RS256 (Broker__AssertionAlgorithm)')
}

/** Names without a dot, and those of RFC 6761 §6.3, are resolved by the machine or its network. */
function isNameOfNetwork(hostname: string): boolean {
  return !hostname.includes('.') || hostname.endsWith('.localhost')
}

/** RFC 6749 §4.1.3 and §6, RFC 7636 §4.5, RFC 7523 §2.2. */
const clientFields = ['grant_type', 'client_id', 'client_assertion_type', 'client_assertion']
const fieldsOf: Readonly<Record<string, readonly string[]>> = {
  authorization_code: [...clientFields, 'code', 'redirect_uri', 'code_verifier'],
  refresh_token: [...clientFields, 'refresh_token', 'scope'],
}

/** MSAL adds its name and its telemetry, and requests `profile` and `offline_access` by itself. */
export function onlySpecified(form: URLSearchParams, metadata: ProviderMetadata): URLSearchParams {
  const sent = new URLSearchParams()
  for (const name of fieldsOf[form.get('grant_type') ?? ''] ?? clientFields) {
    const value = form.get(name)
    if (value !== null) sent.set(name, value)
  }
  const scopes = sent.get('scope')?.split(' ')
  if (scopes) sent.set('scope', scopes.filter((scope) => acceptsScope(metadata, scope)).join(' '))
  return sent
}
