/** The request that sends a browser to the identity provider: what a front end may ask for, and the URL. RFC 6749 §4.1.1. */
import { BrokerError } from '../errors.ts'
import { hasControlCharacter } from '../front-ends/front-ends.ts'
import type { FrontEnd } from '../front-ends/front-ends.ts'
import type { ProviderMetadata } from '../provider/identity-provider.ts'
import { codeChallengeOf } from './transaction.ts'
import type { Transaction } from './transaction.ts'

/** What a front end may pass on to the provider, checked. */
export interface Hints {
  readonly prompt: string | undefined
  readonly loginHint: string | undefined
  readonly domainHint: string | undefined
  readonly claims: string | undefined
  readonly uiLocales: string | undefined
  /** Beyond what is asked for anyway; each is registered for one of the front end's APIs. */
  readonly extraScopes: readonly string[]
}

/** Every parameter of `/login`; others are refused by name instead of being dropped in silence. */
const loginParameters = [
  'frontend',
  'return_url',
  'prompt',
  'login_hint',
  'domain_hint',
  'claims',
  'ui_locales',
  'scope',
] as const
export type LoginParameters = Readonly<Partial<Record<(typeof loginParameters)[number], string>>>

/** How long each may be; docs/openapi.json says the same. */
export const loginParameterLimits: Readonly<Record<(typeof loginParameters)[number], number>> = {
  frontend: 64,
  return_url: 4096,
  prompt: 32,
  login_hint: 512,
  domain_hint: 255,
  claims: 4096,
  ui_locales: 100,
  scope: 2048,
}

/**
 * @param query of `/login`; untrusted
 * @throws {BrokerError} `parameter_repeated`, `parameter_invalid`
 */
export function parseLoginParameters(query: URLSearchParams): LoginParameters {
  const parameters: Record<string, string> = {}
  for (const [name, value] of query) {
    const known = loginParameters.find((parameter) => parameter === name)
    if (!known)
      throw new BrokerError('parameter_invalid', {
        members: { parameter: shown(name), problem: 'not taken by /login' },
      })
    if (parameters[known] !== undefined) throw new BrokerError('parameter_repeated', { members: { parameter: known } })
    if (value.length > loginParameterLimits[known]) {
      throw new BrokerError('parameter_invalid', { members: { parameter: known, problem: 'too long' } })
    }
    if (hasControlCharacter(value)) {
      throw new BrokerError('parameter_invalid', { members: { parameter: known, problem: 'control characters' } })
    }
    parameters[known] = value
  }
  return parameters
}

/** @throws {BrokerError} `prompt_not_registered`, `scope_not_registered`, `claims_not_allowed`, `parameter_invalid` */
export function checkHints(parameters: LoginParameters, frontEnd: FrontEnd): Hints {
  const { prompt, ui_locales: uiLocales, domain_hint: domainHint } = parameters
  if (prompt !== undefined && !frontEnd.prompts.some((registered) => registered === prompt)) {
    throw new BrokerError('prompt_not_registered')
  }
  if (uiLocales !== undefined && !/^[A-Za-z0-9-]{2,35}( [A-Za-z0-9-]{2,35})*$/.test(uiLocales)) {
    throw new BrokerError('parameter_invalid', { members: { parameter: 'ui_locales', problem: 'not language tags' } })
  }
  if (domainHint !== undefined && !/^[A-Za-z0-9.-]{1,255}$/.test(domainHint)) {
    throw new BrokerError('parameter_invalid', { members: { parameter: 'domain_hint', problem: 'not a domain' } })
  }
  return {
    prompt,
    loginHint: parameters.login_hint,
    domainHint,
    claims: parameters.claims === undefined ? undefined : checkClaims(parameters.claims),
    uiLocales,
    extraScopes: checkScopes(parameters.scope, frontEnd),
  }
}

function checkScopes(text: string | undefined, frontEnd: FrontEnd): readonly string[] {
  const scopes = (text ?? '').split(' ').filter(Boolean)
  const registered = new Set(frontEnd.apis.flatMap((api) => api.scopes))
  if (scopes.some((scope) => !registered.has(scope))) throw new BrokerError('scope_not_registered')
  // One access token is for one API: a mixture would be refused by the provider, after the person has signed in.
  if (scopes.length > 0 && !frontEnd.apis.some((api) => scopes.every((scope) => api.scopes.includes(scope)))) {
    throw new BrokerError('parameter_invalid', {
      members: { parameter: 'scope', problem: 'scopes of more than one API' },
    })
  }
  return scopes
}

/** Claims about the access token that a conditional access challenge may ask for; Entra itself asks by `capolids`. */
const claimNames = new Set(['acrs', 'xms_cc', 'xms_rp_ipaddr', 'nbf', 'capolids', 'polids', 'cnf', 'deviceid'])

/**
 * A claims challenge (OpenID Connect Core §5.5), by an allow-list: a forged one could ask for anything about a person.
 *
 * @returns the challenge, written anew from what was understood
 */
function checkClaims(text: string): string {
  const refuse = () => new BrokerError('claims_not_allowed')
  const challenge = parseObject(text, refuse)
  if (Object.keys(challenge).some((member) => member !== 'access_token')) throw refuse()
  const asked = asObject(challenge.access_token, refuse)
  for (const [name, wanted] of Object.entries(asked)) {
    if (!claimNames.has(name)) throw refuse()
    if (wanted === null) continue
    for (const [member, value] of Object.entries(asObject(wanted, refuse))) {
      const isSound =
        (member === 'essential' && typeof value === 'boolean') ||
        (member === 'value' && isShortText(value)) ||
        // Entra's documentation spells it both ways.
        (/^[vV]alues$/.test(member) && Array.isArray(value) && value.length <= 20 && value.every(isShortText))
      if (!isSound) throw refuse()
    }
  }
  return JSON.stringify({ access_token: asked })
}

function parseObject(text: string, refuse: () => BrokerError): Record<string, unknown> {
  try {
    return asObject(JSON.parse(text), refuse)
  } catch {
    throw refuse()
  }
}

function asObject(value: unknown, refuse: () => BrokerError): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw refuse()
  return value as Record<string, unknown>
}

function isShortText(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 512
}

/** Scopes of a sign-in: who it is, and what the front end's first API needs; Entra gives tokens for one API at a time. */
export function signInScopes(frontEnd: FrontEnd, extraScopes: readonly string[]): readonly string[] {
  const [first] = frontEnd.apis
  if (!first) return ['openid', 'profile']
  const wanted = extraScopes.length > 0 ? extraScopes : first.scopes
  return ['openid', 'profile', 'offline_access', ...wanted]
}

/** Of the scopes of a sign-in, those of the API. */
export function apiScopesOf(scopes: readonly string[]): readonly string[] {
  return scopes.filter((scope) => !['openid', 'profile', 'offline_access'].includes(scope))
}

/** @returns the URL to send the browser to; each parameter once, with our values */
export function authorizationUrl(
  metadata: ProviderMetadata,
  transaction: Transaction,
  redirectUri: string,
  hints: Hints,
): string {
  const url = new URL(metadata.authorizationEndpoint)
  const parameters: Readonly<Record<string, string | undefined>> = {
    client_id: transaction.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    response_mode: transaction.responseMode,
    scope: transaction.scopes.join(' '),
    state: transaction.state,
    nonce: transaction.nonce,
    code_challenge: codeChallengeOf(transaction.codeVerifier),
    code_challenge_method: 'S256',
    prompt: hints.prompt,
    login_hint: hints.loginHint,
    domain_hint: hints.domainHint,
    claims: hints.claims,
    ui_locales: hints.uiLocales,
  }
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
  return url.href
}

/** A parameter's name, where it is one; somebody's markup is not repeated. */
function shown(name: string): string {
  return /^[\w.-]{1,40}$/.test(name) ? name : 'an unknown one'
}
