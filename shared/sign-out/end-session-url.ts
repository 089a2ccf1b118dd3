/** The request to the provider's sign-out. OpenID Connect RP-Initiated Logout 1.0 §2. */
import { withParameters } from '../http/url-parameters.ts'
import { defined } from '../json/json.ts'
import type { IdentityProvider } from '../provider/provider.ts'
import type { EndSessionForm } from './end-session-form.ts'

/** Servers and proxies commonly accept 8 KB of request line, some less. A longer request goes by POST. */
const mostUrlCharacters = 7_000

export interface EndSessionParameters {
  readonly state: string
  readonly idToken: string | undefined
  readonly logoutHint: string | undefined
}

/**
 * @param endpoint of the provider's metadata; its own query stays
 * @returns the URL, or the form where the URL would be too long. §2 requires providers to support both
 */
export function endSessionRequest(
  endpoint: string,
  provider: Pick<IdentityProvider, 'clientId' | 'postLogoutRedirectUri' | 'profile'>,
  parameters: EndSessionParameters,
): { readonly url: string } | { readonly form: EndSessionForm } {
  const { clientId, postLogoutRedirectUri, profile } = provider
  const { state, idToken, logoutHint } = parameters
  const fields = {
    client_id: clientId,
    post_logout_redirect_uri: postLogoutRedirectUri,
    state,
    ...defined({ logout_hint: logoutHint, id_token_hint: idToken }),
  }
  const url = withParameters(endpoint, fields)
  if (url.length <= mostUrlCharacters) return { url }
  if (profile.signsOutByPost) return { form: { action: endpoint, fields } }
  // The provider's session ends also without the hint; the browser may then stay on the provider's page.
  return { url: withParameters(endpoint, { ...fields, id_token_hint: undefined }) }
}
