/**
 * The authorization request of an OAuth client at `/login` (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 9207). An error is a
 * page until the client and its redirect URI are known; after that it goes to the redirect URI.
 */
import { parseRequestedClaims } from './requested-claims.ts'
import type { ClaimConditions } from './claim-conditions.ts'
import { withClientRedirect } from './client-answer.ts'
import type { AnswerTarget, ClientResponseMode } from './client-answer.ts'
import { BrokerError, parameterInvalid, parameterRepeated } from '../errors/errors.ts'
import { checkHints, hasControlCharacter, supportedPreferences } from '../front-ends/login-parameters.ts'
import type { Hints } from '../front-ends/login-parameters.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { defined } from '../json/json.ts'
import { grantedApiScopes, openidScopesOf, parseClientScopes } from '../front-ends/scopes.ts'
import { readClaims } from '../provider/signed-token.ts'
import { isRegisteredRedirectUri } from '../front-ends/redirect-uri.ts'
import { optional, required } from './parameter.ts'

/** The parts that the answer to the client needs; the transaction keeps them. */
export interface ClientRequest extends AnswerTarget {
  readonly codeChallenge: string
  /** Requested OpenID scopes; an ID token is issued where `openid` is among them. */
  readonly openid?: readonly string[]
  /** Requested scopes of other APIs than the one of the sign-in. */
  readonly otherScopes?: readonly string[] | undefined
  /** For the ID token: the client recognises its own request by it (OpenID Connect Core §15.5.2). */
  readonly nonce?: string | undefined
  /** The most seconds since the person authenticated (OpenID Connect Core §3.1.2.1). */
  readonly maxAge?: number | undefined
  /** Conditions of the parameter `claims`. */
  readonly claims?: ClaimConditions | undefined
}

interface AuthorizationRequest {
  readonly frontEnd: FrontEnd
  readonly client: ClientRequest
  /** Scopes of one API of the front end; those of others are in `client`. */
  readonly scopes: readonly string[]
  readonly hints: Hints
  /** The parameter `provider`, an extension; untrusted. */
  readonly provider: string | undefined
}

/** The accepted parameters and their longest values; docs/openapi.json has the same. */
export const clientParameterLimits = {
  client_id: 64,
  redirect_uri: 1024,
  response_type: 32,
  response_mode: 32,
  // Servers keep the address of their page in it: ASP.NET Core needs 1,072 characters for an address of 500.
  state: 2048,
  scope: 2048,
  resource: 512,
  max_age: 9,
  code_challenge: 128,
  code_challenge_method: 16,
  prompt: 64,
  login_hint: 512,
  domain_hint: 255,
  claims: 4096,
  acr_values: 512,
  ui_locales: 100,
  nonce: 512,
  provider: 32,
} as const

const limits: Readonly<Record<string, number>> = clientParameterLimits

/** As many as a front end may register APIs. */
const mostResources = 50

const clientResponseModes: readonly ClientResponseMode[] = ['fragment', 'form_post']

/** Percent-encoded. Servers and browsers accept URLs of 8 KB. */
const longestReturnedState = 6 * 1024

/**
 * Known parameters that the broker does not support. They are refused, because a client relies on their effect. The
 * first three have an error value of their own (OpenID Connect Core §6.1, §6.2, §7.2.1).
 */
const unsupported: Readonly<Record<string, () => BrokerError>> = {
  request: () => new BrokerError('request_not_supported'),
  request_uri: () => new BrokerError('request_uri_not_supported'),
  registration: () => new BrokerError('registration_not_supported'),
  authorization_details: () => parameterInvalid('authorization_details', 'not accepted by /login'),
  dpop_jkt: () => parameterInvalid('dpop_jkt', 'not accepted by /login'),
}

/**
 * @param query of `/login`; untrusted
 * @param issuer the broker's own
 * @throws {BrokerError} while client or redirect URI are in doubt: `client_unknown`, `redirect_uri_not_registered`, …
 * @throws {BrokerError} with `redirectTo` for everything else
 */
export function parseAuthorizationRequest(
  query: URLSearchParams,
  frontEnds: FrontEnds,
  issuer: string,
): AuthorizationRequest {
  const clientId = required(query, 'client_id', limits.client_id)
  const redirectUri = optional(query, 'redirect_uri', limits.redirect_uri)
  const frontEnd = frontEnds.find(clientId)
  if (frontEnd?.kind !== 'oauth') throw new BrokerError('client_unknown')
  // Required, because an answer goes only to an address that the request names and the registration has.
  if (redirectUri === undefined || !isRegisteredRedirectUri(redirectUri, frontEnd)) {
    throw new BrokerError('redirect_uri_not_registered')
  }
  const responseMode = clientResponseModes.find((mode) => mode === query.get('response_mode'))
  const target: AnswerTarget = { redirectUri, state: returnableState(query), responseMode }

  try {
    return { frontEnd, ...checkRequest(query, frontEnd, target, { issuer, frontEnds }) }
  } catch (error) {
    throw error instanceof BrokerError ? withClientRedirect(error, target, issuer) : error
  }
}

function checkRequest(
  query: URLSearchParams,
  frontEnd: FrontEnd,
  target: AnswerTarget,
  { issuer, frontEnds }: { readonly issuer: string; readonly frontEnds: FrontEnds },
) {
  const parameters: Record<string, string> = {}
  for (const [name, refusal] of Object.entries(unsupported)) if (query.getAll(name).some(Boolean)) throw refusal()
  for (const name of new Set(query.keys())) {
    // RFC 8707 §2 permits several.
    if (name === 'resource') continue
    if (query.getAll(name).length > 1) throw parameterRepeated(name)
    // RFC 6749 §3.1: an unknown parameter is ignored; some libraries add parameters of their own.
    if (!Object.hasOwn(limits, name)) continue
    // A preference that is too long is no error: the values that fit are passed on.
    const value = optional(query, name, name === 'ui_locales' || name === 'acr_values' ? undefined : limits[name])
    if (value !== undefined) parameters[name] = value
  }

  if (parameters.response_type !== 'code') throw new BrokerError('response_type_unsupported')
  if (!['query', ...clientResponseModes, undefined].includes(parameters.response_mode)) {
    throw parameterInvalid('response_mode', 'none of query, fragment, form_post')
  }
  const { code_challenge: codeChallenge, code_challenge_method: method } = parameters
  // RFC 7636 §4.2: the base64url of a SHA-256. `plain` adds no protection to TLS.
  if (codeChallenge === undefined || method !== 'S256' || !/^[\w-]{43}$/.test(codeChallenge)) {
    throw new BrokerError('code_challenge_missing')
  }
  const requested = parseClientScopes(frontEnd, parameters.scope, frontEnds.all)
  const { scopes, otherScopes } = grantedApiScopes(frontEnd, requested, resourcesOf(query))
  const wanted = parameters.claims === undefined ? undefined : parseRequestedClaims(parameters.claims)
  const isOpenid = requested.openid.includes('openid')
  const { login_hint, domain_hint, prompt } = parameters
  const preferences = supportedPreferences(parameters, clientParameterLimits)
  const claims = wanted?.challenge
  const checked = checkHints({ ...preferences, ...defined({ login_hint, domain_hint, claims, prompt }) }, frontEnd)
  const client: ClientRequest = {
    ...target,
    codeChallenge,
    // The scopes of the answer name these, as any scope that was granted (RFC 6749 §5.1).
    openid: isOpenid ? openidScopesOf([...requested.openid, ...(wanted?.scopes ?? [])], frontEnd) : requested.openid,
    ...(isOpenid && wanted ? { claims: wanted.conditions } : {}),
    ...hintedPerson(query.get('id_token_hint') ?? '', frontEnd.id, issuer, wanted?.conditions),
    ...(otherScopes.length > 0 ? { otherScopes } : {}),
    nonce: parameters.nonce,
    maxAge: maxAgeOf(parameters.max_age),
  }
  const idToken = isOpenid ? wanted?.idToken : undefined
  const hints = { ...checked, claims: withIdTokenClaims(checked.claims, idToken) }
  return { client, scopes, hints, provider: parameters.provider }
}

/**
 * OpenID Connect Core §3.1.2.2, 4: a client that sends an ID token is answered for its person only, after a sign-in
 * with a question too. The hint grants nothing, so its signature is not verified. One of another issuer or client is
 * ignored.
 */
function hintedPerson(
  hint: string,
  clientId: string,
  issuer: string,
  conditions: ClaimConditions | undefined,
): Pick<ClientRequest, 'claims'> {
  const { iss, aud, sub } = readClaims(hint) ?? {}
  if (iss !== issuer || aud !== clientId || typeof sub !== 'string') return {}
  // The hint and `claims` name two people: no answer is for both.
  if (conditions?.subject !== undefined && conditions.subject !== sub) throw new BrokerError('login_required')
  return { claims: { ...conditions, subject: sub } }
}

/** @throws {BrokerError} `parameter_invalid` */
function resourcesOf(query: URLSearchParams): readonly string[] {
  const values = query.getAll('resource').filter(Boolean)
  const isSound = values.length <= mostResources && values.every((one) => one.length <= clientParameterLimits.resource)
  if (!isSound || values.some(hasControlCharacter)) throw parameterInvalid('resource', 'too long, or too many')
  return values
}

/** @param challenge checked; a JSON object */
function withIdTokenClaims(challenge: string | undefined, idToken: object | undefined): string | undefined {
  if (!idToken) return challenge
  return JSON.stringify({ ...(JSON.parse(challenge ?? '{}') as object), id_token: idToken })
}

function maxAgeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d+$/.test(text)) throw parameterInvalid('max_age', 'not a number of seconds')
  return Number(text)
}

/**
 * RFC 6749 §4.1.2.1: an error answer repeats `state` exactly, so that the client can find its request, also where
 * `state` itself is the error. A state is left out where it is ambiguous or longer than a URL can carry.
 */
function returnableState(query: URLSearchParams): string | undefined {
  const [state, ...others] = query.getAll('state')
  if (state === undefined || state === '' || others.length > 0) return undefined
  return encodeURIComponent(state.toWellFormed()).length <= longestReturnedState ? state : undefined
}
