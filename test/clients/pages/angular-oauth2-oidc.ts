import '@angular/compiler'
import { provideHttpClient } from '@angular/common/http'
import { provideZonelessChangeDetection } from '@angular/core'
import { createApplication } from '@angular/platform-browser'
import { OAuthService, provideOAuthClient } from 'angular-oauth2-oidc'
import { broker, here, scope, show } from './show.ts'

const { injector } = await createApplication({
  providers: [provideZonelessChangeDetection(), provideHttpClient(), provideOAuthClient()],
})
const oauth = injector.get(OAuthService)
oauth.configure({
  issuer: broker,
  redirectUri: `${here}/callback`,
  postLogoutRedirectUri: `${here}/`,
  clientId: 'app',
  responseType: 'code',
  scope,
})
await oauth.loadDiscoveryDocumentAndTryLogin()
show((oauth.getIdentityClaims() as { name: string } | null)?.name, {
  signIn: () => oauth.initCodeFlow(),
  renew: () => oauth.refreshToken(),
  signOut: () => oauth.logOut(),
})
