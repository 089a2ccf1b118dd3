/**
 * Scopes as AD FS 2019 reads them: `resource/scope`, of one resource for each request, which `resource` may name too.
 */
import type { Api } from '../scopes.ts'
import { splitScope } from '../scopes.ts'
import { AdfsError } from './adfs-error.ts'

/** Scope descriptions of AD FS. It ignores `offline_access`, which MSAL sends always. */
const scopeDescriptions = [
  ...['openid', 'profile', 'email', 'allatclaims', 'aza', 'user_impersonation', 'logon_cert'],
  ...['winhello_cert', 'vpn_cert', 'offline_access'],
]

/** The resource of a request that names none: its tokens have no API. */
const userinfoResource = 'urn:microsoft:userinfo'

interface AdfsScopes {
  readonly resource: string
  readonly names: readonly string[]
  readonly openid: boolean
}

/** @throws {AdfsError} for an unknown resource, several ones, and a scope that is not permitted */
export function readAdfsScopes(
  { scope, resource }: Readonly<Record<string, string | undefined>>,
  apis: readonly Api[],
): AdfsScopes {
  const requested = splitScope(scope)
  const named = requested.filter((one) => !scopeDescriptions.includes(one))
  const parsed = named.map((one) => ({
    resource: one.includes('/') ? one.slice(0, one.lastIndexOf('/')) : (resource ?? userinfoResource),
    name: one.slice(one.lastIndexOf('/') + 1),
  }))
  const resources = new Set([...(resource === undefined ? [] : [resource]), ...parsed.map((one) => one.resource)])
  if (resources.size > 1) throw new AdfsError('resources_many')
  const [only = userinfoResource] = resources
  const api = apis.find(({ audience }) => audience === only)
  if (only !== userinfoResource && !api) throw new AdfsError('resource_unknown')
  if (parsed.some(({ name }) => !api?.scopes.includes(name))) throw new AdfsError('not_permitted')
  return { resource: only, names: parsed.map(({ name }) => name), openid: requested.includes('openid') }
}
