/** The scopes that a front end may request: those of its registered APIs. An access token is for one API. */
import { BrokerError, parameterInvalid } from '../errors/errors.ts'
import { claimsOfScope, openidScopes, registeredScopes } from '../settings/openid-scopes.ts'
import type { FrontEnd } from './front-ends.ts'
import { wordsOf, uniqueWordsOf } from './space-separated.ts'

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
  const optional = Object.keys(claimsOfScope).filter(
    (scope) => clientScopes.includes(scope) || hasClaimOf(scope, frontEnd),
  )
  const person = ['openid', 'profile', ...optional]
  const [first] = frontEnd.apis
  if (!first) return person
  return [...person, 'offline_access', ...(apiScopes.length > 0 ? apiScopes : first.scopes)]
}

/** @returns the scopes of a sign-in that belong to the API */
export function apiScopesOf(scopes: readonly string[]): readonly string[] {
  return scopes.filter((scope) => !openidScopes.includes(scope))
}

/** @param scope of a token of the provider, space-separated @returns the same without OpenID scopes */
export function apiScopesIn(scope: string): string {
  return apiScopesOf(wordsOf(scope)).join(' ')
}

/**
 * Finds the scopes of a request for an access token.
 *
 * @param apiName as the request names it; untrusted
 * @param scope fewer of the API's scopes, space-separated; untrusted
 * @throws {BrokerError} `parameter_invalid`, `api_unknown`, `scope_not_registered`
 */
export function scopesOf(
  frontEnd: FrontEnd,
  apiName: string | undefined,
  scope: string | undefined,
): readonly string[] {
  if (apiName === undefined) throw parameterInvalid('api', 'missing')
  const api = frontEnd.apis.find(({ name }) => name === apiName)
  if (!api) throw new BrokerError('api_unknown')
  const wanted = wordsOf(scope)
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
 * Libraries request scopes of other OpenID providers in addition (`groups`, `roles`). With `openid`, such a scope is
 * ignored (OpenID Connect Core §3.1.2.1), and the answer names the scopes that were granted. A scope of an API is never
 * ignored: the client would receive a token that its API rejects.
 *
 * @param scope space-separated; untrusted
 * @param all the registered front ends
 * @throws {BrokerError} `scope_not_registered` for a scope of an API that the front end does not have
 */
export function parseClientScopes(
  frontEnd: FrontEnd,
  scope: string | undefined,
  all: readonly FrontEnd[],
): ClientScopes {
  const wanted = uniqueWordsOf(scope)
  const named = apiScopesOf(wanted)
  const ignored = wanted.includes('openid') ? named.filter((one) => isOfNoApi(one, all)) : []
  const api = named.filter((one) => !ignored.includes(one))
  if (!areRegistered(api, frontEnd)) throw new BrokerError('scope_not_registered')
  return { openid: openidScopesOf(wanted, frontEnd), api: api.length === 0 ? undefined : api }
}

/**
 * A word that no front end has registered. A dot, a colon or a slash separates an API or an object from its permission.
 */
function isOfNoApi(scope: string, all: readonly FrontEnd[]): boolean {
  return /^[\w-]+$/.test(scope) && !all.some((frontEnd) => areRegistered([scope], frontEnd))
}

/**
 * @param scopes requested ones
 * @returns the OpenID scopes that the front end is granted, in the order of the specification
 */
export function openidScopesOf(scopes: readonly string[], frontEnd: FrontEnd): readonly string[] {
  const isGranted = (scope: string) => !registeredScopes.includes(scope) || hasClaimOf(scope, frontEnd)
  return openidScopes.filter((scope) => scopes.includes(scope) && isGranted(scope))
}

function hasClaimOf(scope: string, { claims = [] }: Pick<FrontEnd, 'claims'>): boolean {
  return claims.some((name) => claimsOfScope[scope]?.includes(name))
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
