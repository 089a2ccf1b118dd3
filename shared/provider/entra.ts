/**
 * Microsoft Entra ID, one tenant. Its issuer and its token endpoint are known beforehand; it reads more than OpenID
 * Connect names, and its refusals carry numbers (`error_codes`).
 */
import { BrokerError } from '../errors/errors.ts'
import type { ErrorCode } from '../errors/errors.ts'
import { isLoopbackHost } from '../settings/addresses.ts'
import { checkIdTokenAlgorithms, checkIssuer, isAbsent, metadataUrlOf, readEndpoint, untrusted } from './metadata.ts'
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
  readonly tenantId: string
  /**
   * The client id, where the tenant signs this application's tokens with keys of its own (claims mapping). Only the
   * metadata for this application names them.
   */
  readonly ownKeysOf?: string | undefined
  /** undefined: an assertion is sent again, which Entra accepts. */
  readonly assertionReuse?: boolean | undefined
}

/**
 * Entra identifies the certificate by `x5t#S256`. A `kid` would name a key that Entra knows by another id, so the
 * header leaves it out.
 */
const assertionForm = { algorithm: 'PS256', keyId: false, lifetimeSeconds: 600 } as const

export function entraProfile({ instance, tenantId, ownKeysOf, assertionReuse = true }: EntraSettings): ProviderProfile {
  const issuer = `${instance}${tenantId}/v2.0`
  const tokenEndpoint = `${instance}${tenantId}/oauth2/v2.0/token`
  const assertion: AssertionRequirements = { ...assertionForm, audience: tokenEndpoint, reuse: assertionReuse }
  return {
    issuer,
    metadataUrl: `${metadataUrlOf(issuer)}${ownKeysOf === undefined ? '' : `?appid=${encodeURIComponent(ownKeysOf)}`}`,
    assertion,
    protocolMode: 'AAD',
    // `logout_hint` with the claim `login_hint` does the same, and keeps the token out of URLs.
    usesIdTokenHint: false,
    issuesClientTokens: true,
    checkMetadata: (json) => checkMetadata(json, { instance, issuer, tokenEndpoint }),
    acceptsKey: ({ issuer: named }) =>
      named === undefined || (typeof named === 'string' && named.replace('{tenantid}', tenantId) === issuer),
    // Entra reads MSAL's own fields: they carry its telemetry and its throttling hints.
    tokenRequest: (form) => form,
    readIdentity: (claims, refuse) => {
      if (claims.tid !== tenantId) throw refuse('tid')
      const { oid } = claims
      if (typeof oid !== 'string' || oid === '' || oid.length > 255) throw refuse('oid')
      return { tenantId, objectId: oid }
    },
    checkSamePerson: (claims, of, refuse) => {
      if (claims.tid !== undefined && claims.tid !== of.tenantId) throw refuse('tid')
      if (claims.oid !== undefined && claims.oid !== of.objectId) throw refuse('oid')
    },
    readRefusal: readEntraRefusal,
    readAuthorizationRefusal: readEntraAuthorizationRefusal,
  }
}

/** Entra's endpoints are on its own host and the token endpoint has a fixed path: the metadata may only agree. */
function checkMetadata(
  json: Json,
  { instance, issuer, tokenEndpoint }: { instance: string; issuer: string; tokenEndpoint: string },
): ProviderMetadata {
  checkIssuer(json, issuer)
  const home = new URL(instance)
  const isOurs = (url: URL) =>
    isLoopbackHost(home.hostname) ? isLoopbackHost(url.hostname) : url.origin === home.origin
  const endpoint = readEndpoint(json, isOurs, `an address of ${instance}`)

  checkIdTokenAlgorithms(json)
  if (json.token_endpoint !== tokenEndpoint) throw untrusted(`token_endpoint is not ${tokenEndpoint}`)
  return {
    issuer,
    jwksUri: endpoint('jwks_uri'),
    authorizationEndpoint: endpoint('authorization_endpoint'),
    tokenEndpoint,
    endSessionEndpoint: isAbsent(json, 'end_session_endpoint') ? undefined : endpoint('end_session_endpoint'),
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
      return readAuthorizationRefusal(refusal)
  }
}
