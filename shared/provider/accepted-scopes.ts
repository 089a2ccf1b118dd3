/** The scopes of OpenID Connect that a provider accepts: a strict one refuses the request for the others. */
import { openidScopes, registeredScopes } from '../settings/openid-scopes.ts'
import type { ProviderMetadata } from './provider.ts'

/**
 * Without a setting, `openid`, `profile` and `email` are sent to all providers, since providers leave scopes out of
 * their lists that they have.
 *
 * @param scope one of OpenID Connect, or of an API, which is always sent
 */
export function acceptsScope(
  { scopes = [], openIdScopes, offlineAccess }: Pick<ProviderMetadata, 'scopes' | 'openIdScopes' | 'offlineAccess'>,
  scope: string,
): boolean {
  if (scope === 'offline_access') return offlineAccess
  if (openIdScopes && openidScopes.includes(scope)) return openIdScopes.includes(scope)
  return !registeredScopes.includes(scope) || scopes.includes(scope)
}
