import { ProtocolMode, PublicClientApplication } from '@azure/msal-browser'
import { broker, here, scope, show } from './show.ts'

const msal = new PublicClientApplication({
  auth: {
    clientId: 'app',
    authority: broker,
    knownAuthorities: [new URL(broker).host],
    redirectUri: `${here}/callback`,
    postLogoutRedirectUri: `${here}/`,
  },
  system: { protocolMode: ProtocolMode.OIDC },
})
await msal.initialize()
const result = await msal.handleRedirectPromise()
const account = result?.account ?? msal.getAllAccounts()[0]
const scopes = scope.split(' ')
show(account?.name, {
  signIn: () => msal.loginRedirect({ scopes }),
  renew: () => msal.acquireTokenSilent({ scopes, account: account!, forceRefresh: true }),
  signOut: () => msal.logoutRedirect({ account: account!, idTokenHint: account!.idToken! }),
})
