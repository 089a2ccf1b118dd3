/** The scopes that a front end may request: those of its registered APIs. An access token is for one API. */
import { BrokerError } from '../errors/errors.ts'
import type { FrontEnd } from './front-ends.ts'

/** Scopes about the person and the session, and of no API. OpenID Connect Core §5.4, §11. */
const openidScopes: readonly string[] = ['openid', 'profile', 'email', 'offline_access']

/**
 * The scopes of the request to the identity provider: those of the ID token, and those of one API, since some providers
 * issue an access token for one API at a time.
 *
 * @param apiScopes requested ones; left empty, those of the front end's first API
 * @param clientScopes OpenID scopes that an OAuth client requests
 */
export function signInScopes(
  frontEnd: FrontEnd,
  apiScopes: readonly string[],
  clientScopes: readonly string[] = [],
): readonly string[] {
  const isEmailWanted =
    clientScopes.includes('email') || frontEnd.claims?.some((name) => /^email(_verified)?$/.test(name))
  const person = ['openid', 'profile', ...(isEmailWanted ? ['email'] : [])]
  const [first] = frontEnd.apis
  if (!first) return person
  return [...person, 'offline_access', ...(apiScopes.length > 0 ? apiScopes : first.scopes)]
}

/** @returns the scopes of a sign-in that belong to the API */
export function apiScopesOf(scopes: readonly string[]): readonly string[] {
  return scopes.filter((scope) => !openidScopes.includes(scope))
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

/** The `scope` of an OAuth client, taken apart. */
interface ClientScopes {
  /** OpenID scopes, in the order of the specification; without `openid` they have no effect on the answer. */
  readonly openid: readonly string[]
  /** Scopes of registered APIs; undefined where the client names none. */
  readonly api: readonly string[] | undefined
}

/**
 * @param scope space-separated; untrusted
 * @throws {BrokerError} `scope_not_registered`; no scope is widened or silently dropped (RFC 6749 §3.3)
 */
export function parseClientScopes(frontEnd: FrontEnd, scope: string | undefined): ClientScopes {
  const wanted = [...new Set((scope ?? '').split(' ').filter(Boolean))]
  const api = apiScopesOf(wanted)
  if (!areRegistered(api, frontEnd)) throw new BrokerError('scope_not_registered')
  return { openid: openidScopes.filter((one) => wanted.includes(one)), api: api.length === 0 ? undefined : api }
}

/** @returns OpenID scopes with more of them, in the order of the specification */
export function withScopes(scopes: readonly string[], more: readonly string[]): readonly string[] {
  return openidScopes.filter((one) => scopes.includes(one) || more.includes(one))
}

/** The API scopes of an OAuth client's grant. An access token is for one API, so they are taken apart. */
interface GrantedScopes {
  /** Of the API that the sign-in is for: the first access token has these. */
  readonly scopes: readonly string[]
  /** Of other APIs: a refresh may select them. */
  readonly otherScopes: readonly string[]
}

/**
 * The API scopes of an authorization request: those that it names, else those of the APIs of its resources, else those
 * of the first API.
 *
 * @param resources values of `resource` (RFC 8707 §2), the API of the first access token first; untrusted
 * @throws {BrokerError} `target_invalid`; `scope_not_registered` for a client without an API that does not request
 *   `openid` either
 */
export function grantedApiScopes(
  frontEnd: FrontEnd,
  { openid, api }: ClientScopes,
  resources: readonly string[],
): GrantedScopes {
  const { apis } = frontEnd
  const named = resources.length > 0 ? resources.flatMap((one) => findByResource(apis, one)) : apis.slice(0, 1)
  const all = api ?? [...new Set(named.flatMap(({ scopes }) => scopes))]
  for (const resource of resources) scopesOfOneApi(all, resource, frontEnd)
  const scopes = scopesOfOneApi(all, resources[0], frontEnd)
  if (scopes.length === 0 && !openid.includes('openid')) throw new BrokerError('scope_not_registered')
  return { scopes, otherScopes: all.filter((one) => !scopes.includes(one)) }
}

/** True where each of these scopes belongs to an API of the front end, as it is registered now. */
export function areRegistered(scopes: readonly string[], { apis }: Pick<FrontEnd, 'apis'>): boolean {
  return scopes.every((one) => apis.some((api) => api.scopes.includes(one)))
}

/**
 * Selects the API of an access token.
 *
 * @param scopes registered ones
 * @param resource RFC 8707 §2; untrusted; undefined where the request names none
 * @returns those of the API of the resource, else of the API of the first scope;
 *   the most where several APIs share a scope
 * @throws {BrokerError} `target_invalid`
 */
export function scopesOfOneApi(
  scopes: readonly string[],
  resource: string | undefined,
  { apis }: Pick<FrontEnd, 'apis'>,
): readonly string[] {
  const selected = resource === undefined ? apis : findByResource(apis, resource)
  const [most = []] = selected
    .map((api) => scopes.filter((one) => api.scopes.includes(one)))
    .filter(([first]) => first !== undefined && (resource !== undefined || first === scopes[0]))
    .sort((a, b) => b.length - a.length)
  if (most.length === 0 && resource !== undefined) throw new BrokerError('target_invalid')
  return most
}

/** By its registered resources; without any, by the part of its scopes before the last slash. */
function findByResource(apis: FrontEnd['apis'], resource: string): FrontEnd['apis'] {
  return apis.filter(({ resources, scopes }) =>
    resources
      ? resources.includes(resource)
      : scopes.some((scope) => scope.includes('/') && scope.slice(0, scope.lastIndexOf('/')) === resource),
  )
}
