/** Composes the flows: settings `baseUrl`, `signIn`, `session.absoluteSeconds`. */
import { lazy, lazyObject } from '../../shared/async/lazy.ts'
import type { FrontEnds } from '../../shared/front-ends/front-ends.ts'
import type { KeyRing } from '../../shared/crypto/key-ring.ts'
import type { AuthorizationServer } from '../../shared/oauth/authorization-server.ts'
import type { SigningAlgorithm } from '../../shared/oauth/signing-keys.ts'
import type { SignUp } from '../../shared/sign-in/organization-sign-up.ts'
import { createSignIn } from '../../shared/sign-in/sign-in.ts'
import type { SignIn } from '../../shared/sign-in/sign-in.ts'
import type { FindPageLinks } from '../../shared/sign-in/page-links.ts'
import type { ProviderLogout } from '../../shared/sign-out/provider-logout.ts'
import { createSignOut } from '../../shared/sign-out/sign-out.ts'
import type { SignOut } from '../../shared/sign-out/sign-out.ts'
import type { FlowEvents } from '../../shared/telemetry/flow-events.ts'
import type { Azure } from './azure.ts'
import type { Providers } from '../../shared/provider/provider.ts'
import type { Kept } from './sessions.ts'
import type { Base } from './telemetry.ts'
import type { ComposedTenants } from './tenants.ts'

interface Flows {
  readonly signIn: SignIn
  readonly signUp: SignUp
  /** Finds the links of a page whose error carries none. */
  readonly findPageLinks: FindPageLinks
  readonly signOut: SignOut
  readonly providerLogout: ProviderLogout
  readonly authorizationServer: AuthorizationServer
}

type Parts = Pick<Azure, 'store' | 'network'> &
  Pick<ComposedTenants, 'tenantsOf' | 'signUpProviders' | 'admit' | 'isTenantAllowed'> &
  Pick<Kept, 'sessions' | 'codes' | 'accessTokens' | 'endForReuse'> & {
    readonly providers: Providers
    readonly ring: KeyRing
    readonly frontEnds: FrontEnds
    readonly flowEvents: FlowEvents
  }

export function composeFlows(base: Base, parts: Parts): Flows {
  const { settings, clock, onFault } = base
  const { store, providers, ring, sessions, codes, frontEnds, flowEvents, tenantsOf } = parts
  const { baseUrl } = settings

  const signOut = createSignOut({ sessions, store, ring, providers, frontEnds, clock, flowEvents, onFault })
  const signIn = createSignIn({
    frontEnds,
    providers,
    sessions,
    tenantsOf,
    admit: parts.admit,
    store,
    ring,
    codes,
    clock,
    flowEvents,
    baseUrl,
    lifetimeSeconds: settings.signIn.lifetimeSeconds,
    absoluteSeconds: settings.session.absoluteSeconds,
    onFault,
  })
  const pageLinks = lazy(async () => {
    const { createFindPageLinks } = await import('../../shared/sign-in/page-links.ts')
    return createFindPageLinks({ frontEnds, ring, baseUrl })
  })
  return {
    signOut,
    signIn,
    signUp: composeSignUp(base, parts, signIn),
    findPageLinks: async (request) => (await pageLinks())(request),
    providerLogout: lazyObject(
      lazy(async () => {
        const { createProviderLogout } = await import('../../shared/sign-out/provider-logout.ts')
        return createProviderLogout({ store, ring, providers, tenantsOf, frontEnds, sessions, flowEvents, clock })
      }),
      { byFrame: true, byToken: true },
    ),
    authorizationServer: composeAuthorizationServer(base, parts, signOut),
  }
}

function composeSignUp(
  { settings, clock }: Base,
  { frontEnds, providers, ring, signUpProviders }: Parts,
  signIn: Pick<SignIn, 'beginSignUp'>,
): SignUp {
  const load = lazy(async () => {
    const { createSignUp } = await import('./sign-up-chunk.ts')
    return createSignUp({
      frontEnds,
      providers,
      ring,
      clock,
      baseUrl: settings.baseUrl,
      lifetimeSeconds: settings.signIn.lifetimeSeconds,
      signUpProviders,
      beginSignIn: (...of) => signIn.beginSignUp(...of),
    })
  })
  return lazyObject(load, { begin: true, consented: true })
}

function composeAuthorizationServer(
  { settings, clock, onFault }: Base,
  parts: Parts,
  signOut: SignOut,
): AuthorizationServer {
  const { store, network, providers, ring, sessions, codes, accessTokens, endForReuse, frontEnds, flowEvents } = parts
  const { isTenantAllowed } = parts
  const { baseUrl: issuer } = settings
  const load = lazy(async () => {
    const {
      createAuthorizationServer,
      createClientAuthentication,
      createRefreshTokens,
      createSigningKeys,
      createUserinfo,
    } = await import('./oauth-chunk.ts')
    return createAuthorizationServer({
      issuer,
      frontEnds,
      codes,
      refreshTokens: createRefreshTokens({ store, ring, sessions, accessTokens, endForReuse, clock }),
      sessions,
      providers,
      signOut,
      signingKeys: createSigningKeys({ store, ring, clock, algorithms: algorithmsOf(frontEnds), onFault }),
      userinfo: createUserinfo({ store, ring, frontEnds, providers, clock, isTenantAllowed }),
      clientAuthentication: createClientAuthentication({ issuer, frontEnds, store, network, clock, onFault }),
      flowEvents,
      clock,
      onFault,
    })
  })
  // Every method, so that the compiler reports a missing one.
  return lazyObject(load, {
    token: true,
    revoke: true,
    signOut: true,
    findMetadata: true,
    openidConfiguration: true,
    idTokenKeys: true,
    userinfo: true,
    endSession: true,
  })
}

/** RS256 in every case: OpenID Connect requires it, and it is published before the first client needs it. */
function algorithmsOf({ all }: FrontEnds): readonly SigningAlgorithm[] {
  return all.some(({ idTokenAlgorithm }) => idTokenAlgorithm === 'ES256') ? ['RS256', 'ES256'] : ['RS256']
}
