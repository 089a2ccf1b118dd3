import '@angular/compiler'
import { provideHttpClient } from '@angular/common/http'
import { provideZonelessChangeDetection } from '@angular/core'
import { createApplication } from '@angular/platform-browser'
import { provideRouter } from '@angular/router'
import { OidcSecurityService, provideAuth } from 'angular-auth-oidc-client'
import { firstValueFrom } from 'rxjs'
import { broker, here, scope, show } from './show.ts'

const { injector } = await createApplication({
  providers: [
    provideZonelessChangeDetection(),
    provideHttpClient(),
    provideRouter([]),
    provideAuth({
      config: {
        authority: broker,
        redirectUrl: `${here}/callback`,
        postLogoutRedirectUri: `${here}/`,
        clientId: 'app',
        scope,
        responseType: 'code',
        silentRenew: true,
        useRefreshToken: true,
        triggerAuthorizationResultEvent: true,
      },
    }),
  ],
})
const oidc = injector.get(OidcSecurityService)
const { isAuthenticated } = await firstValueFrom(oidc.checkAuth())
const claims = isAuthenticated ? ((await firstValueFrom(oidc.getPayloadFromIdToken())) as { name: string }) : undefined
show(claims?.name, {
  signIn: () => oidc.authorize(),
  renew: () => oidc.forceRefreshSession().subscribe(),
  signOut: () => oidc.logoff().subscribe(),
})
