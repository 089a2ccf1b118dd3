/** The page of an application with @axa-fr/oidc-client, by its quick start, with or without its service worker. */
import { OidcClient } from '@axa-fr/oidc-client'
import type { OidcConfiguration } from '@axa-fr/oidc-client'
import { broker, here, scope, show } from './show.ts'

export async function showAxaFr(more: Partial<OidcConfiguration> = {}): Promise<void> {
  const configuration = { client_id: 'app', redirect_uri: `${here}/callback`, scope, authority: broker, ...more }
  const href = location.href
  const oidcClient = OidcClient.getOrCreate(() => fetch)(configuration)

  await oidcClient.tryKeepExistingSessionAsync()
  if (href.includes(configuration.redirect_uri)) {
    await oidcClient.loginCallbackAsync()
    history.replaceState(null, '', '/')
  }
  show((oidcClient.tokens as { idTokenPayload?: { name: string } } | null)?.idTokenPayload?.name, {
    signIn: () => oidcClient.loginAsync('/'),
    renew: () => oidcClient.renewTokensAsync(),
    signOut: () => oidcClient.logoutAsync('/'),
  })
}
