/**
 * Responses of the token endpoint: their checks, and the tokens in them.
 * RFC 6749 §5, OpenID Connect Core §3.1.3.3 and §12.2.
 */
import type { Clock } from '../async/deadline.ts'
import { BrokerError } from '../errors/errors.ts'
import type { NetworkAnswer } from '../http/network.ts'
import { isAbsent, isText, secondsOf } from '../json/json.ts'
import { checkAudience } from './id-token.ts'
import { tokenIssuerOf } from './identity.ts'
import type { Identity } from './identity.ts'
import type { IdentityProvider, Json, ProviderProfile } from './provider.ts'
import { readClaims } from './signed-token.ts'
import type { ProviderTokens } from './token-endpoint.ts'

/** The longest lifetime of an access token that the broker believes. */
const longestLifeSeconds = 86_400

/**
 * An access token of an API that evaluates access continuously lives up to 28 hours. The provider reports a block to
 * the broker only at a renewal, so such a token is renewed as often as the usual one of an hour.
 */
const renewalSeconds = 3600

/**
 * The lifetime of an access token whose response names none (RFC 6749 §5.1). Short, since an expired token would reach
 * an API: with a refresh token it costs one more renewal, without one the API's own answer sends the person to sign in.
 */
const unnamedLifeSeconds = 600

/**
 * RFC 6749 §5.2 requires status 400 for an error, and some providers send 200 with it. It has 401 for `invalid_client`
 * alone, which Okta sends in a form of its own (`errorCode`) where the client is unknown.
 *
 * @param refuse makes the error of an error response
 * @throws the error of `refuse`; BrokerError `provider_answer_invalid` for another status without an error
 */
export function checkStatus({ status, json }: NetworkAnswer, refuse: (answer: Json) => BrokerError): void {
  const isSuccess = status >= 200 && status < 300
  if (isText(json.error) && !(isSuccess && isText(json.access_token))) throw refuse(json)
  if (status === 401) throw refuse({ ...json, error: 'invalid_client' })
  if (!isSuccess) throw invalid(`status ${status} without an error`)
}

/** RFC 6749 §5.1, strictly: MSAL would succeed with an empty token. @throws {BrokerError} `provider_answer_invalid` */
export function checkTokenAnswer(answer: Json): void {
  const { access_token, token_type } = answer
  if (!isText(access_token) || access_token.length > 64 * 1024) throw invalid('access_token')
  if (typeof token_type !== 'string' || token_type.toLowerCase() !== 'bearer') throw invalid('token_type')
  if (!((lifeSecondsOf(answer) ?? 0) > 0)) throw invalid('expires_in')
}

/** RFC 6749 §3.3: a text. Some providers send a list of texts. */
function scopeOf({ scope }: Json): string | undefined {
  if (Array.isArray(scope) && scope.length > 0 && scope.every(isText)) return scope.join(' ')
  return isText(scope) ? scope : undefined
}

/** @returns undefined where `expires_in` is neither a number, nor its digits as text, nor absent */
export function lifeSecondsOf({ expires_in: named }: Json): number | undefined {
  return isAbsent(named) ? unnamedLifeSeconds : secondsOf(named)
}

/**
 * OpenID Connect Core §3.1.3.3.
 *
 * @throws {BrokerError} `provider_answer_invalid`; `app_registration_invalid` where the client is registered for
 *   encrypted ID tokens (RFC 7516 §7.1: five parts)
 */
export function checkSignInAnswer(answer: Json): void {
  checkTokenAnswer(answer)
  const { id_token } = answer
  if (!isText(id_token)) throw invalid('id_token')
  if (id_token.split('.').length === 5) {
    throw new BrokerError('app_registration_invalid', { detail: 'the ID token is encrypted' })
  }
}

/** The person of a session, whom the tokens of a refresh have to be about. */
type Owner = Pick<Identity, 'issuer' | 'tokenIssuer' | 'subject' | 'tenantId' | 'objectId'>

/**
 * OpenID Connect Core §12.2: with an ID token about another person, or for another client, the tokens of the answer are
 * not this session's. Its signature proves no more than the connection that it came by (§3.1.3.7, 6). One that cannot
 * be read names no person, and the broker does not use it.
 *
 * @throws {BrokerError} `provider_answer_invalid`, `id_token_refused`
 */
export function checkRefreshAnswer(
  answer: Json,
  of: Owner,
  { profile, clientId }: Pick<IdentityProvider, 'profile' | 'clientId'>,
): void {
  checkTokenAnswer(answer)
  const claims = isText(answer.id_token) ? readClaims(answer.id_token) : undefined
  if (!claims) return
  const refuse = (claim: string) => new BrokerError('id_token_refused', { detail: `refresh: ${claim}` })
  if (claims.iss !== tokenIssuerOf(of)) throw refuse('iss')
  if (claims.sub !== of.subject) throw refuse('sub')
  if (claims.aud !== undefined) checkAudience(claims, clientId, refuse)
  profile.checkSamePerson(claims, of, refuse)
}

/**
 * @param answer checked by one of the functions above
 * @param requested the scope of the request, which is the one of an answer that names none (RFC 6749 §5.1)
 */
export function tokensOf(
  answer: Json,
  requested: readonly string[],
  { profile, clock }: { readonly profile: Pick<ProviderProfile, 'clientCapabilities'>; readonly clock: Clock },
): ProviderTokens {
  const life = Math.min(lifeSecondsOf(answer) ?? 0, longestLifeSeconds)
  const isContinuous = profile.clientCapabilities.length > 0 && life > 2 * renewalSeconds
  return {
    accessToken: answer.access_token as string,
    accessTokenExpires: clock() + life * 1000,
    ...(isContinuous ? { renewAfter: clock() + renewalSeconds * 1000 } : {}),
    scope: scopeOf(answer) ?? requested.join(' '),
    refreshToken: isText(answer.refresh_token) ? answer.refresh_token : undefined,
  }
}

function invalid(what: string): BrokerError {
  return new BrokerError('provider_answer_invalid', { detail: `token answer: ${what}` })
}
