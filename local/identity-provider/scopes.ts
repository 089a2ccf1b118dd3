/** Scopes as Entra reads them: the part before the last slash names the API, and one token serves one API. */
import { EntraError } from './entra-error.ts'

export interface Api {
  /** The application id URI, `api://demo`; the `aud` of its tokens. */
  readonly audience: string
  /** Short names, `orders.read`; requested as `api://demo/orders.read`. */
  readonly scopes: readonly string[]
}

/** The result of a token request: the first API that is named, with all of its scopes that were named. */
export interface ResolvedScopes {
  readonly openid: boolean
  readonly audience: string
  readonly names: readonly string[]
  /** In the form of the answer's `scope`. */
  readonly full: readonly string[]
}

/** The audience of a token when only OpenID's own scopes are requested. */
const microsoftGraph: Api = { audience: 'https://graph.microsoft.com', scopes: ['User.Read'] }

const openidScopes = ['openid', 'profile', 'email', 'offline_access'] as const

/** Every scope that may be requested, in full; oidc-provider drops others silently. */
export function allScopes(apis: readonly Api[]): string[] {
  const named = apis.flatMap(({ audience, scopes }) => [...scopes, '.default'].map((name) => `${audience}/${name}`))
  return [...openidScopes, ...microsoftGraph.scopes, ...named]
}

/** @throws {EntraError} 500011 for an unknown API, 650053 for a scope that it does not have */
export function resolveScopes(requested: readonly string[], apis: readonly Api[]): ResolvedScopes {
  const parsed = requested.filter((scope) => !isOpenidScope(scope)).map((scope) => parseScope(scope, apis))
  const openid = requested.includes('openid')
  const [first] = parsed
  if (!first) {
    const names = requested.filter((scope) => scope !== 'offline_access')
    return { openid, audience: microsoftGraph.audience, names, full: names }
  }
  const names = [
    ...new Set(parsed.filter(({ audience }) => audience === first.audience).flatMap((scope) => scope.names)),
  ]
  const full = first.audience === microsoftGraph.audience ? names : names.map((name) => `${first.audience}/${name}`)
  return { openid, audience: first.audience, names, full }
}

export function splitScope(scope: string | undefined): string[] {
  return (scope ?? '').split(' ').filter(Boolean)
}

function isOpenidScope(scope: string): boolean {
  return (openidScopes as readonly string[]).includes(scope)
}

function parseScope(scope: string, apis: readonly Api[]): { audience: string; names: readonly string[] } {
  const slash = scope.lastIndexOf('/')
  const audience = slash === -1 ? microsoftGraph.audience : scope.slice(0, slash)
  const name = scope.slice(slash + 1)
  const api = [...apis, microsoftGraph].find((candidate) => candidate.audience === audience)
  if (!api) throw new EntraError('resource_unknown', `[${audience}]`)
  if (name === '.default') return { audience, names: api.scopes }
  if (!api.scopes.includes(name)) throw new EntraError('scope_unknown', `[${scope}]`)
  return { audience, names: [name] }
}
