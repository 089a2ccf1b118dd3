import { UserManager } from 'oidc-client-ts'
import { broker, here, scope, show } from './show.ts'

const users = new UserManager({
  authority: broker,
  client_id: 'app',
  redirect_uri: `${here}/callback`,
  post_logout_redirect_uri: `${here}/`,
  scope,
})
if (location.pathname === '/callback') {
  await users.signinCallback()
  history.replaceState(null, '', '/')
}
const user = await users.getUser()
show(user?.profile.name, {
  signIn: () => users.signinRedirect(),
  renew: () => users.signinSilent(),
  signOut: () => users.signoutRedirect(),
})
