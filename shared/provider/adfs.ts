/**
 * AD FS of Windows Server 2019 and later. Its issuer is `https://<federation service name>/adfs`, and its endpoints
 * have fixed paths below it. Sources: learn.microsoft.com, "AD FS OpenID Connect/OAuth flows and Application
 * Scenarios", "Single log-out for OpenID Connect with AD FS", [MS-OIDCE] and [MS-OAPX].
 */
import { BrokerError } from '../errors/errors.ts'
import type { ErrorCode } from '../errors/catalogue.ts'
import { isAbsent } from '../json/json.ts'
import { textOf } from './id-token.ts'
import {
  checkIdTokenAlgorithms,
  checkIssuer,
  listOf,
  metadataUrlOf,
  readOwnEndpoint,
  unsuitable,
  untrusted,
} from './metadata.ts'
import { onlySpecified, openIdProfile } from './openid.ts'
import type {
  AuthorizationRefusal,
  Json,
  ProviderMetadata,
  ProviderProfile,
  Refusal,
  TokenRequestKind,
} from './provider.ts'
import { describeRefusal, readAuthorizationRefusal } from './refusal.ts'

export interface AdfsSettings {
  /** The issuer; its path is `/adfs`. */
  readonly authority: string
  readonly assertionAudience?: string | undefined
  readonly assertionKeyId?: boolean
  readonly assertionReuse?: boolean | undefined
}

export function adfsProfile(settings: AdfsSettings): ProviderProfile {
  const { authority: issuer, assertionAudience, assertionKeyId, assertionReuse } = settings
  // The host may be in upper case in the issuer, and is in lower case in the endpoints.
  const tokenEndpoint = `${new URL(issuer).origin}/adfs/oauth2/token/`
  const openId = openIdProfile({ authority: issuer, assertionReuse, assertionKeyId: assertionKeyId ?? true })
  return {
    ...openId,
    metadataUrl: metadataUrlOf(issuer),
    // AD FS finds the certificate by `x5t` alone; `x5t#S256` and PS256 are unknown to it.
    assertion: {
      ...openId.assertion,
      audience: assertionAudience ?? tokenEndpoint,
      algorithm: 'RS256',
      certificateHeader: 'x5t',
    },
    signsOutByPost: false,
    checkMetadata: (json) => checkMetadata(json, { issuer, tokenEndpoint }),
    unprovenClaims: () => [],
    promptFor,
    tokenRequest: onlySpecified,
    // [MS-OIDCE] §2.2.3: `unique_name` is always there, `upn` is optional.
    readIdentity: ({ unique_name: name }) => ({ tenantId: undefined, objectId: undefined, username: textOf(name) }),
    readRefusal: (answer, request) => readAdfsRefusal(answer, request, openId),
    readAuthorizationRefusal: readAdfsAuthorizationRefusal,
  }
}

/** AD FS has `login` and `none`. A choice of the account is a new sign-in; consent is the administrator's there. */
function promptFor(prompts: readonly string[]): string | undefined {
  if (prompts.includes('none')) return 'none'
  return prompts.some((prompt) => prompt === 'login' || prompt === 'select_account') ? 'login' : undefined
}

/**
 * All endpoints are on the host of the issuer, and the token endpoint has a fixed path: the metadata may only agree.
 */
function checkMetadata(
  json: Json,
  { issuer, tokenEndpoint }: { issuer: string; tokenEndpoint: string },
): ProviderMetadata {
  checkIssuer(json, issuer)
  const endpoint = readOwnEndpoint(json, issuer)

  checkRelease(json)
  checkOffers(json)
  checkIdTokenAlgorithms(json)
  const named = endpoint('token_endpoint')
  if (withSlash(new URL(named).href) !== tokenEndpoint) throw untrusted(`token_endpoint is not ${tokenEndpoint}`)
  return {
    issuer,
    jwksUri: endpoint('jwks_uri'),
    authorizationEndpoint: endpoint('authorization_endpoint'),
    tokenEndpoint: named,
    endSessionEndpoint: isAbsent(json.end_session_endpoint) ? undefined : endpoint('end_session_endpoint'),
    // The userinfo endpoint of AD FS returns `sub` alone, so it is not requested.
    userinfoEndpoint: undefined,
    issuerInAnswers: json.authorization_response_iss_parameter_supported === true,
    // No such scope: AD FS issues refresh tokens by the policy of the application.
    offlineAccess: false,
    assertionAlgorithm: 'RS256',
  }
}

/**
 * PKCE came with Windows Server 2019. AD FS checks it without announcing it, so the device authorization endpoint,
 * which came with the same release, shows that it is there.
 */
function checkRelease(json: Json): void {
  const announcesPkce = listOf(json, 'code_challenge_methods_supported')?.includes('S256') ?? false
  if (announcesPkce || !isAbsent(json.device_authorization_endpoint)) return
  throw new BrokerError('provider_unsuitable', {
    detail:
      'AD FS of Windows Server 2019 or later is required, with the farm behavior level of 2019: the metadata has no device_authorization_endpoint, and AD FS of Windows Server 2016 does not check PKCE',
  })
}

function checkOffers(json: Json): void {
  const needed = {
    grant_types_supported: 'authorization_code',
    token_endpoint_auth_methods_supported: 'private_key_jwt',
    token_endpoint_auth_signing_alg_values_supported: 'RS256',
  }
  for (const [name, value] of Object.entries(needed)) {
    if (listOf(json, name)?.includes(value) === false) throw unsuitable(`${value} in ${name}`)
  }
}

function withSlash(url: string): string {
  return url.endsWith('/') ? url : `${url}/`
}

/** Numbers that name a fault of the broker's registration at AD FS, with the remedy for the operator. */
const numbers: Readonly<Record<number, readonly [code: ErrorCode, remedy: string]>> = {
  9321: ['app_registration_invalid', 'permit the API and its scopes: Grant-AdfsApplicationPermission'],
  9602: ['app_registration_invalid', 'register the API as a Web API of the application group, or correct the scopes'],
  9605: ['app_registration_invalid', 'permit the API and its scopes: Grant-AdfsApplicationPermission'],
  9607: ['client_refused', 'check AzureAd__ClientId'],
  9622: ['client_refused', 'register the certificate: Set-AdfsServerApplication -JWTSigningCertificate'],
}

const certificateNumber = 9622

/** @param description `error_description`; untrusted. AD FS has its numbers nowhere else */
function numberOf(description: unknown): number | undefined {
  const digits = typeof description === 'string' ? /^MSIS(\d{4,5}):/.exec(description)?.[1] : undefined
  return digits === undefined ? undefined : Number(digits)
}

/**
 * The number comes from a text, so it may only turn a refusal into a fault of the registration: it ends no session. An
 * `invalid_grant` with the number of a failed client authentication concerns the certificate and not the person.
 */
function readAdfsRefusal(answer: Json, request: TokenRequestKind, openId: ProviderProfile): Refusal {
  const number = numberOf(answer.error_description)
  const known = number === undefined ? undefined : numbers[number]
  if (!known) return openId.readRefusal(answer, request)
  const [code, remedy] = known
  return {
    error: new BrokerError(code, { detail: `${describeRefusal(answer)} MSIS${String(number)}: ${remedy}` }),
    blamesCertificate: number === certificateNumber,
  }
}

/** AD FS sends `access_denied` for a missing permission; it has no button that cancels a sign-in. */
function readAdfsAuthorizationRefusal(refusal: AuthorizationRefusal): BrokerError {
  const number = numberOf(refusal.description)
  const known = number === undefined ? undefined : numbers[number]
  if (known) return new BrokerError(known[0], { detail: `MSIS${String(number)}: ${known[1]}` })
  if (refusal.error === 'access_denied' && number !== undefined) {
    return new BrokerError('provider_refused', { detail: `access_denied MSIS${String(number)}` })
  }
  return readAuthorizationRefusal(refusal)
}
