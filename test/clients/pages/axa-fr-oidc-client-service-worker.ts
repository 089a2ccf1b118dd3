import { OidcClient } from '@axa-fr/oidc-client'
import { broker, here, scope, show } from './show.ts'

const configuration = {
  client_id: 'app',
  redirect_uri: `${here}/callback`,
  scope,
  authority: broker,
  service_worker_relative_url: '/OidcServiceWorker.js',
  service_worker_only: true,
}
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
