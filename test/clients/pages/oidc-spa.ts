import { createOidc, oidcEarlyInit } from 'oidc-spa/core'
import { broker, scope, show } from './show.ts'

if (!oidcEarlyInit({ BASE_URL: '/' }).shouldLoadApp) await new Promise(() => undefined)
const oidc = await createOidc({
  issuerUri: broker,
  clientId: 'app',
  scopes: scope.split(' ').slice(1),
})
if (oidc.isUserLoggedIn) {
  show(oidc.getDecodedIdToken().name, {
    signIn: () => undefined,
    renew: () => oidc.renewTokens(),
    signOut: () => oidc.logout({ redirectTo: 'home' }),
  })
} else {
  show(undefined, {
    signIn: () => oidc.login({ doesCurrentHrefRequiresAuth: false }),
    renew: () => undefined,
    signOut: () => undefined,
  })
}
