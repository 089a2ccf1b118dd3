/** The URL of the provider's sign-out. OpenID Connect RP-Initiated Logout 1.0 §2. */
import type { IdentityProvider } from '../provider/provider.ts'

/**
 * Servers and proxies commonly accept 8 KB of request line, some less; a longer URL would end the person's sign-out on an
 * error page of the provider. Without the hint, the provider shows the person a question.
 */
const mostUrlCharacters = 7_000
/** A longer one would never fit the URL, so it is not kept either. */
const mostTokenCharacters = 6_000

/** @returns the ID token that the session keeps for the sign-out; undefined where the provider needs none */
export function keptIdToken({ profile }: Pick<IdentityProvider, 'profile'>, idToken: string): string | undefined {
  return profile.usesIdTokenHint && idToken.length <= mostTokenCharacters ? idToken : undefined
}

export interface EndSessionParameters {
  readonly state: string
  readonly idToken: string | undefined
  readonly logoutHint: string | undefined
}

/** @param endpoint of the provider's metadata; its own query stays */
export function endSessionUrl(
  endpoint: string,
  { clientId, postLogoutRedirectUri }: Pick<IdentityProvider, 'clientId' | 'postLogoutRedirectUri'>,
  { state, idToken, logoutHint }: EndSessionParameters,
): string {
  const url = new URL(endpoint)
  url.searchParams.set('client_id', clientId)
  url.searchParams.set('post_logout_redirect_uri', postLogoutRedirectUri)
  url.searchParams.set('state', state)
  if (logoutHint !== undefined) url.searchParams.set('logout_hint', logoutHint)
  if (idToken === undefined) return url.href
  const withHint = new URL(url)
  withHint.searchParams.set('id_token_hint', idToken)
  return withHint.href.length <= mostUrlCharacters ? withHint.href : url.href
}
