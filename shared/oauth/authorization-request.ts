/**
 * An OAuth client's authorization request at `/login` (RFC 6749 §4.1.1, RFC 7636 §4.3, RFC 9207). Until client and
 * redirect URI are beyond doubt an error is a page; afterwards it goes to the client.
 */
import { BrokerError, oauthErrorOf } from '../errors/errors.ts'
import { checkHints } from '../front-ends/login-parameters.ts'
import type { Hints } from '../front-ends/login-parameters.ts'
import { hasControlCharacter } from '../front-ends/front-ends.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { scopesOfOneApi } from '../front-ends/scopes.ts'
import { isRegisteredRedirectUri } from '../front-ends/redirect-uri.ts'

/** What the answer to the client needs, kept in the transaction. */
export interface ClientRequest {
  readonly redirectUri: string
  readonly state: string | undefined
  readonly codeChallenge: string
}

export interface AuthorizationRequest {
  readonly frontEnd: FrontEnd
  readonly client: ClientRequest
  /** Of one API of the front end. */
  readonly scopes: readonly string[]
  readonly hints: Hints
}

/** What is understood, and how long each may be; docs/openapi.json says the same. */
export const clientParameterLimits = {
  client_id: 64,
  redirect_uri: 1024,
  response_type: 32,
  response_mode: 32,
  state: 1024,
  scope: 2048,
  code_challenge: 128,
  code_challenge_method: 16,
  prompt: 64,
  login_hint: 512,
  domain_hint: 255,
  claims: 4096,
  ui_locales: 100,
  // Taken and without effect: no ID token goes to the client, and the provider gets a nonce of the broker's.
  nonce: 512,
} as const

const limits: Readonly<Record<string, number>> = clientParameterLimits

/** Known, and asking for something that the answer would then lack: refused, since dropping it would look like a yes. */
const notDone: ReadonlySet<string> = new Set([
  'request',
  'request_uri',
  'max_age',
  'acr_values',
  'resource',
  'authorization_details',
  'dpop_jkt',
])

/**
 * Adds to an error the redirect that reports it to the client (RFC 6749 §4.1.2.1).
 *
 * @param client whose redirect URI is registered
 * @param issuer the broker's own
 */
export function withClientRedirect(
  error: BrokerError,
  client: Pick<ClientRequest, 'redirectUri' | 'state'>,
  issuer: string,
): BrokerError {
  return error.with({
    redirectTo: answerUrl(client, issuer, { error: oauthErrorOf(error.code), error_description: error.code }),
  })
}

/** RFC 6749 §4.1.2 with RFC 9207: `state` and `iss` are in every answer. */
export function answerUrl(
  { redirectUri, state }: Pick<ClientRequest, 'redirectUri' | 'state'>,
  issuer: string,
  parameters: Readonly<Record<string, string>>,
): string {
  const url = new URL(redirectUri)
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  if (state !== undefined) url.searchParams.set('state', state)
  url.searchParams.set('iss', issuer)
  return url.href
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
  const clientId = one(query, 'client_id')
  const redirectUri = one(query, 'redirect_uri')
  const frontEnd = frontEnds.find(clientId ?? '')
  if (frontEnd?.kind !== 'oauth') throw new BrokerError('client_unknown')
  // Left out, it would have to be guessed; and an answer goes only to what is beyond doubt.
  if (redirectUri === undefined || !isRegisteredRedirectUri(redirectUri, frontEnd)) {
    throw new BrokerError('redirect_uri_not_registered')
  }
  const states = query.getAll('state')
  const state = states.length === 1 && isSound('state', states[0] ?? '') ? states[0] : undefined

  try {
    return { frontEnd, ...checkRequest(query, frontEnd, redirectUri, state) }
  } catch (error) {
    throw error instanceof BrokerError ? withClientRedirect(error, { redirectUri, state }, issuer) : error
  }
}

function checkRequest(query: URLSearchParams, frontEnd: FrontEnd, redirectUri: string, state: string | undefined) {
  const parameters: Record<string, string> = {}
  for (const name of new Set(query.keys())) {
    if (notDone.has(name)) throw invalid(name, 'not taken by /login')
    if (query.getAll(name).length > 1) throw new BrokerError('parameter_repeated')
    // RFC 6749 §3.1: what nobody here knows is ignored, or a library that adds a parameter of its own would be shut out.
    if (!Object.hasOwn(limits, name)) continue
    const value = one(query, name)
    if (value !== undefined) parameters[name] = value
  }

  if (parameters.response_type !== 'code') throw new BrokerError('response_type_unsupported')
  if (parameters.response_mode !== undefined && parameters.response_mode !== 'query') {
    throw new BrokerError('response_type_unsupported')
  }
  const { code_challenge: codeChallenge, code_challenge_method: method } = parameters
  // RFC 7636 §4.2: the base64url of a SHA-256. `plain` protects nothing that TLS does not.
  if (codeChallenge === undefined || method !== 'S256' || !/^[\w-]{43}$/.test(codeChallenge)) {
    throw new BrokerError('code_challenge_missing')
  }
  const scopes = scopesOfOneApi(frontEnd, parameters.scope)
  const { login_hint, domain_hint, claims, ui_locales, prompt } = parameters
  const hints = checkHints(
    Object.fromEntries(
      Object.entries({ login_hint, domain_hint, claims, ui_locales, prompt }).filter(
        ([, value]) => value !== undefined,
      ),
    ),
    frontEnd,
  )
  return { client: { redirectUri, state, codeChallenge }, scopes, hints }
}

function one(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name)
  if (values.length > 1) throw new BrokerError('parameter_repeated', { members: { parameter: name } })
  const [value] = values
  if (value !== undefined && !isSound(name, value)) throw invalid(name, 'too long, or with control characters')
  return value
}

function isSound(name: string, value: string): boolean {
  return value.length <= (limits[name] ?? 0) && !hasControlCharacter(value)
}

function invalid(parameter: string, problem: string): BrokerError {
  return new BrokerError('parameter_invalid', { members: { parameter, problem } })
}
