/**
 * Microsoft Entra ID, one tenant. Its issuer and its token endpoint are known beforehand; it reads more than OpenID
 * Connect names, and its refusals carry numbers (`error_codes`).
 */
import { isLoopbackHost } from '../settings/addresses.ts'
import { checkIdTokenAlgorithms, checkIssuer, isAbsent, metadataUrlOf, readEndpoint, untrusted } from './metadata.ts'
import type { AssertionRequirements, Json, ProviderMetadata, ProviderProfile, Refusal } from './provider.ts'
import { readAuthorizationRefusal, readRefusal } from './refusal.ts'

export interface EntraSettings {
  /** The login address of the cloud; ends in a slash. */
  readonly instance: string
  readonly tenantId: string
  /** undefined: an assertion is sent again, which Entra accepts. */
  readonly assertionReuse?: boolean | undefined
}

/**
 * Entra identifies the certificate by `x5t#S256`. A `kid` would name a key that Entra knows by another id, so the
 * header leaves it out.
 */
const assertionForm = { algorithm: 'PS256', keyId: false, lifetimeSeconds: 600 } as const

export function entraProfile({ instance, tenantId, assertionReuse = true }: EntraSettings): ProviderProfile {
  const issuer = `${instance}${tenantId}/v2.0`
  const tokenEndpoint = `${instance}${tenantId}/oauth2/v2.0/token`
  const assertion: AssertionRequirements = { ...assertionForm, audience: tokenEndpoint, reuse: assertionReuse }
  return {
    issuer,
    metadataUrl: metadataUrlOf(issuer),
    assertion,
    protocolMode: 'AAD',
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
    readRefusal: (answer, request): Refusal => ({
      error: readRefusal(answer, request),
      blamesCertificate: isAboutCertificate(answer),
    }),
    readAuthorizationRefusal,
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

/**
 * The `error_codes` that speak of the certificate. Microsoft warns that codes may change, so they are a hint: they make
 * the broker try another version once, and nothing else depends on them.
 */
const certificateCodes: ReadonlyMap<number, string> = new Map([
  [700027, 'the key is not registered'],
  [700024, 'outside its validity'],
  [7000214, 'the certificate was revoked'],
  [7000277, 'the certificate was revoked'],
  [1000502, 'the certificate has expired'],
])

function isAboutCertificate({ error, error_codes }: Json): boolean {
  return (
    error === 'invalid_client' &&
    Array.isArray(error_codes) &&
    error_codes.some((code) => typeof code === 'number' && certificateCodes.has(code))
  )
}
