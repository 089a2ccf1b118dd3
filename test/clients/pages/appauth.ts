import * as appauth from '@openid/appauth'
import { broker, here, scope, show } from './show.ts'

const requestor = new appauth.FetchRequestor()
const configuration = await appauth.AuthorizationServiceConfiguration.fetchFromIssuer(broker, requestor)
const tokenHandler = new appauth.BaseTokenRequestHandler(requestor)
const redirect_uri = `${here}/callback`
const notifier = new appauth.AuthorizationNotifier()
const handler = new appauth.RedirectRequestHandler()
handler.setAuthorizationNotifier(notifier)

let token: appauth.TokenResponse | undefined
const exchange = async (grant: { code?: string; refresh_token?: string; extras?: Record<string, string> }) => {
  const grant_type = grant.code ? appauth.GRANT_TYPE_AUTHORIZATION_CODE : appauth.GRANT_TYPE_REFRESH_TOKEN
  const request = new appauth.TokenRequest({ client_id: 'app', redirect_uri, grant_type, ...grant })
  token = await tokenHandler.performTokenRequest(configuration, request)
}
const actions = {
  signIn: () =>
    handler.performAuthorizationRequest(
      configuration,
      new appauth.AuthorizationRequest({
        client_id: 'app',
        redirect_uri,
        scope,
        response_type: appauth.AuthorizationRequest.RESPONSE_TYPE_CODE,
        extras: { response_mode: 'fragment' }, // the library reads the answer there
      }),
    ),
  renew: () => exchange({ refresh_token: token!.refreshToken! }),
  signOut: async () => {
    const revocation = new appauth.RevokeTokenRequest({ client_id: 'app', token: token!.refreshToken! })
    await tokenHandler.performRevokeTokenRequest(configuration, revocation)
    show(undefined, actions)
  },
}

notifier.setAuthorizationListener((request, response) => {
  if (!response) return
  const { code_verifier } = request.internal as { code_verifier: string }
  void exchange({ code: response.code, extras: { code_verifier } }).then(() => {
    const [, claims = ''] = token!.idToken!.split('.')
    const { name } = JSON.parse(atob(claims.replace(/-/g, '+').replace(/_/g, '/'))) as { name: string }
    show(name, actions)
  })
})
if (location.pathname === '/callback') await handler.completeAuthorizationRequestIfPossible()
else show(undefined, actions)
