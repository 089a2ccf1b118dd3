/** Composes sessions, codes and access tokens: settings `session`. */
import { createKeyRing } from '../../shared/crypto/key-ring.ts'
import type { KeyRing } from '../../shared/crypto/key-ring.ts'
import { createAuthorizationCodes } from '../../shared/oauth/authorization-codes.ts'
import type { AuthorizationCodes } from '../../shared/oauth/authorization-codes.ts'
import { createRefreshTokens } from '../../shared/oauth/refresh-tokens.ts'
import type { RefreshTokens } from '../../shared/oauth/refresh-tokens.ts'
import { createEndForReuse } from '../../shared/oauth/reuse.ts'
import { createAccessTokens } from '../../shared/session/access-tokens.ts'
import type { AccessTokens } from '../../shared/session/access-tokens.ts'
import { observeAccessTokens } from '../../shared/session/observed-access-tokens.ts'
import { createSessions } from '../../shared/session/sessions.ts'
import type { Sessions } from '../../shared/session/sessions.ts'
import type { Funnel } from '../../shared/telemetry/flow-events.ts'
import type { Azure } from './azure.ts'
import type { Provider } from './provider.ts'
import type { Base } from './telemetry.ts'

export interface Kept {
  readonly ring: KeyRing
  readonly sessions: Sessions
  readonly codes: AuthorizationCodes
  readonly refreshTokens: RefreshTokens
  /** For session front ends. A refresh by an OAuth client is counted by the authorization server. */
  readonly observedAccessTokens: AccessTokens
}

export function composeSessions(
  { settings, clock, onFault }: Base,
  { vault, store }: Azure,
  { providers }: Provider,
  funnel: Funnel,
): Kept {
  const { idleSeconds, absoluteSeconds, cacheSeconds } = settings.session
  const ring = createKeyRing({
    store,
    vault,
    clock,
    neededForSeconds: absoluteSeconds,
    acceptUnsignedUntil: settings.keyRing.acceptUnsignedUntil,
    onFault,
  })
  const sessions = createSessions({ store, ring, clock, idleSeconds, absoluteSeconds, cacheSeconds })
  const endForReuse = createEndForReuse(sessions, funnel)
  const accessTokens = createAccessTokens({ sessions, providers, clock, idleSeconds, funnel, onFault })
  return {
    ring,
    sessions,
    codes: createAuthorizationCodes({ store, ring, clock, endForReuse }),
    refreshTokens: createRefreshTokens({ store, ring, sessions, accessTokens, endForReuse, clock }),
    observedAccessTokens: observeAccessTokens(accessTokens, funnel),
  }
}
