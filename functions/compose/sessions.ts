/** Composes sessions, codes and access tokens: settings `session` and `keyRing`. */
import { lazy, lazyObject } from '../../shared/async/lazy.ts'
import { createKeyRing } from '../../shared/crypto/key-ring.ts'
import type { KeyRing } from '../../shared/crypto/key-ring.ts'
import type { FrontEnds } from '../../shared/front-ends/front-ends.ts'
import { createAuthorizationCodes } from '../../shared/oauth/authorization-codes.ts'
import type { AuthorizationCodes } from '../../shared/oauth/authorization-codes.ts'
import { createEndForReuse } from '../../shared/oauth/reuse.ts'
import type { EndForReuse } from '../../shared/oauth/reuse.ts'
import { createAccessTokens } from '../../shared/session/access-tokens.ts'
import type { AccessTokens } from '../../shared/session/access-tokens.ts'
import { observeAccessTokens } from '../../shared/session/observed-access-tokens.ts'
import type { SessionAdministration } from '../../shared/session/session-administration.ts'
import { createSessions } from '../../shared/session/sessions.ts'
import type { Sessions } from '../../shared/session/sessions.ts'
import type { FlowEvents } from '../../shared/telemetry/flow-events.ts'
import type { Azure } from './azure.ts'
import type { Providers } from '../../shared/provider/provider.ts'
import type { Base } from './telemetry.ts'
import type { ComposedTenants } from './tenants.ts'

export interface Kept {
  readonly sessions: Sessions
  readonly codes: AuthorizationCodes
  readonly endForReuse: EndForReuse
  readonly accessTokens: AccessTokens
  /** For session front ends. A refresh by an OAuth client is counted by the authorization server. */
  readonly observedAccessTokens: AccessTokens
}

/** Everything that the broker seals is sealed with it: sessions, sign-ins under way, the certificate's row. */
export function composeKeyRing({ settings, clock, onFault }: Base, { vault, store }: Azure): KeyRing {
  return createKeyRing({
    store,
    vault,
    clock,
    neededForSeconds: settings.session.absoluteSeconds,
    acceptUnsignedUntil: settings.keyRing.acceptUnsignedUntil,
    onFault,
  })
}

export function composeSessions(
  { settings, clock, onFault }: Base,
  { store }: Azure,
  ring: KeyRing,
  { providers, frontEnds }: { readonly providers: Providers; readonly frontEnds: FrontEnds },
  flowEvents: FlowEvents,
  { isTenantAllowed }: Pick<ComposedTenants, 'isTenantAllowed'>,
): Kept {
  const { idleSeconds, absoluteSeconds, cacheSeconds } = settings.session
  const sessions = createSessions({
    store,
    ring,
    clock,
    idleSeconds,
    absoluteSeconds,
    cacheSeconds,
    isAllowed: isTenantAllowed,
    accepts: (frontEndId, issuer) => {
      const frontEnd = frontEnds.find(frontEndId)
      return frontEnd === undefined || providers.accepts(frontEnd, issuer)
    },
  })
  const endForReuse = createEndForReuse(sessions, flowEvents)
  const accessTokens = createAccessTokens({ sessions, providers, frontEnds, clock, idleSeconds, flowEvents, onFault })
  return {
    sessions,
    codes: createAuthorizationCodes({ store, ring, clock, endForReuse, admits: (...of) => sessions.admits(...of) }),
    endForReuse,
    accessTokens,
    observedAccessTokens: observeAccessTokens(accessTokens, flowEvents),
  }
}

/** Loaded when an operator calls: no sign-in needs it. */
export function composeSessionAdministration(
  { clock }: Base,
  { store }: Azure,
  ring: KeyRing,
  providers: Providers,
  { all }: FrontEnds,
  flowEvents: FlowEvents,
): SessionAdministration {
  const load = lazy(async () => {
    const { createSessionAdministration } = await import('../../shared/session/session-administration.ts')
    return createSessionAdministration({
      store,
      ring,
      frontEnds: all.map(({ id }) => id),
      issuers: providers.all.map(({ issuer }) => issuer),
      clock,
      flowEvents,
    })
  })
  return lazyObject(load, { list: true, end: true })
}
