import { createElement, useContext, useEffect } from 'react'
import { createRoot } from 'react-dom/client'
import { AuthContext, AuthProvider } from 'react-oauth2-code-pkce'
import { broker, here, scope, show } from './show.ts'

function App() {
  const { idTokenData, logIn, logOut, token, loginInProgress, error } = useContext(AuthContext)
  useEffect(() => {
    if (error) throw new Error(error)
    if (loginInProgress) return
    show(token === '' ? undefined : idTokenData?.name, {
      signIn: () => logIn(),
      // The library renews by itself near the end of the access token; an earlier end in its storage makes it due.
      renew: () => {
        sessionStorage.setItem('ROCP_tokenExpire', '0')
        location.reload()
      },
      signOut: () => logOut(),
    })
  })
  return null
}

const authConfig = {
  clientId: 'app',
  authorizationEndpoint: `${broker}/login`,
  tokenEndpoint: `${broker}/token`,
  logoutEndpoint: `${broker}/end-session`,
  redirectUri: `${here}/callback`,
  logoutRedirect: `${here}/`,
  scope,
  decodeToken: false,
  autoLogin: false,
  storage: 'session' as const,
}
createRoot(document.createElement('div')).render(
  createElement(AuthProvider, { authConfig, children: createElement(App) }),
)
