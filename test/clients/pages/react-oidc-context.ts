import { createElement, useEffect } from 'react'
import { createRoot } from 'react-dom/client'
import { AuthProvider, useAuth } from 'react-oidc-context'
import { broker, here, scope, show } from './show.ts'

function App() {
  const auth = useAuth()
  useEffect(() => {
    if (auth.isLoading) return
    if (auth.error) throw auth.error
    show(auth.user?.profile.name, {
      signIn: () => auth.signinRedirect(),
      renew: () => auth.signinSilent(),
      signOut: () => auth.signoutRedirect(),
    })
  })
  return null
}

const settings = {
  authority: broker,
  client_id: 'app',
  redirect_uri: `${here}/callback`,
  post_logout_redirect_uri: `${here}/`,
  scope,
  onSigninCallback: () => history.replaceState(null, '', '/'),
}
createRoot(document.createElement('div')).render(createElement(AuthProvider, settings, createElement(App)))
