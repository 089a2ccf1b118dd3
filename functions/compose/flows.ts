/** Composes the flows: settings `baseUrl`, `signIn`, `session.absoluteSeconds`, and of `provider` the ids and the response mode. */
import type { FrontEnds } from '../../shared/front-ends/front-ends.ts'
import { createAuthorizationServer } from '../../shared/oauth/authorization-server.ts'
import type { AuthorizationServer } from '../../shared/oauth/authorization-server.ts'
import { isEntra } from '../../shared/provider/metadata.ts'
import { createSignIn } from '../../shared/sign-in/sign-in.ts'
import type { SignIn } from '../../shared/sign-in/sign-in.ts'
import { createSignOutElsewhere } from '../../shared/sign-out/provider-logout.ts'
import type { SignOutElsewhere } from '../../shared/sign-out/provider-logout.ts'
import { createSignOut } from '../../shared/sign-out/sign-out.ts'
import type { SignOut } from '../../shared/sign-out/sign-out.ts'
import type { Funnel } from '../../shared/telemetry/flow-events.ts'
import type { Azure } from './azure.ts'
import type { LazyTokenEndpoint, Provider } from './provider.ts'
import type { Kept } from './sessions.ts'
import type { Base } from './telemetry.ts'

export interface Flows {
  readonly signIn: SignIn
  readonly signOut: SignOut
  readonly signOutElsewhere: SignOutElsewhere
  readonly authorizationServer: AuthorizationServer
}

type Parts = Pick<Azure, 'store'> &
  Pick<Provider, 'provider'> &
  Pick<Kept, 'ring' | 'sessions' | 'codes' | 'handles'> & {
    readonly tokenEndpoint: LazyTokenEndpoint
    readonly frontEnds: FrontEnds
    readonly funnel: Funnel
  }

export function composeFlows({ settings, clock, onFault }: Base, parts: Parts): Flows {
  const { store, provider, ring, sessions, codes, handles, tokenEndpoint, frontEnds, funnel } = parts
  const { baseUrl } = settings
  const { identity, clientId, responseMode } = settings.provider

  const signOut = createSignOut({
    sessions,
    ring,
    provider,
    frontEnds,
    clientId,
    postLogoutRedirectUri: `${baseUrl}/logout/done`,
    clock,
    funnel,
    onFault,
  })
  return {
    signOut,
    signIn: createSignIn({
      frontEnds,
      provider,
      tokenEndpoint,
      sessions,
      store,
      ring,
      codes,
      clock,
      funnel,
      baseUrl,
      clientId,
      tenantId: isEntra(identity) ? identity.tenantId : undefined,
      responseMode,
      lifetimeSeconds: settings.signIn.lifetimeSeconds,
      absoluteSeconds: settings.session.absoluteSeconds,
      onFault,
    }),
    signOutElsewhere: createSignOutElsewhere({ store, ring, provider, clientId, funnel, clock }),
    authorizationServer: createAuthorizationServer({
      issuer: baseUrl,
      frontEnds,
      codes,
      handles,
      sessions,
      signOut,
      funnel,
      clock,
    }),
  }
}
