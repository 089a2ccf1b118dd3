/** The scopes that a front end may request: those of its registered APIs, one API at a time. */
import { BrokerError } from '../errors/errors.ts'
import type { FrontEnd } from './front-ends.ts'

/** Scopes of a sign-in: those of the ID token, and those of one API, since some providers issue an access token for one API at a time. */
export function signInScopes(frontEnd: FrontEnd, extraScopes: readonly string[]): readonly string[] {
  const [first] = frontEnd.apis
  if (!first) return ['openid', 'profile']
  const wanted = extraScopes.length > 0 ? extraScopes : first.scopes
  return ['openid', 'profile', 'offline_access', ...wanted]
}

/** @returns the scopes of a sign-in that belong to the API */
export function apiScopesOf(scopes: readonly string[]): readonly string[] {
  return scopes.filter((scope) => !['openid', 'profile', 'offline_access'].includes(scope))
}

/**
 * Finds the scopes of a request for an access token.
 *
 * @param apiName as the request names it; untrusted
 * @param scope fewer of the API's scopes, space-separated; untrusted
 * @throws {BrokerError} `api_unknown`, `scope_not_registered`
 */
export function scopesOf(frontEnd: FrontEnd, apiName: string, scope: string | undefined): readonly string[] {
  const api = frontEnd.apis.find(({ name }) => name === apiName)
  if (!api) throw new BrokerError('api_unknown')
  const wanted = (scope ?? '').split(' ').filter(Boolean)
  if (wanted.some((one) => !api.scopes.includes(one))) throw new BrokerError('scope_not_registered')
  return wanted.length > 0 ? wanted : api.scopes
}

/**
 * Scopes of one registered API; those of the first where none are named.
 *
 * @throws {BrokerError} `scope_not_registered`; nothing is widened or dropped in silence (RFC 6749 §3.3)
 */
export function scopesOfOneApi(frontEnd: FrontEnd, scope: string | undefined): readonly string[] {
  const wanted = [...new Set((scope ?? '').split(' ').filter(Boolean))]
  const api =
    wanted.length === 0
      ? frontEnd.apis[0]
      : frontEnd.apis.find(({ scopes }) => wanted.every((one) => scopes.includes(one)))
  if (!api) throw new BrokerError('scope_not_registered')
  return wanted.length === 0 ? api.scopes : wanted
}

/** True where all of these scopes belong to one API of the front end, as it is registered now. */
export function areRegistered(scopes: readonly string[], { apis }: Pick<FrontEnd, 'apis'>): boolean {
  return scopes.length === 0 || apis.some((api) => scopes.every((one) => api.scopes.includes(one)))
}
