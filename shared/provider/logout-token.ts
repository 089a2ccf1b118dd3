/**
 * Checks a logout token: the provider reports, server to server, that a session or a person is signed out. Back-Channel
 * Logout 1.0 §2.6.
 */
import { isAbsent, isNumber, isObject } from '../json/json.ts'
import { BrokerError } from '../errors/errors.ts'
import { hashedRowKey } from '../store/hashed-row-key.ts'
import type { RowKey, Store } from '../store/store.ts'
import type { Clock } from '../async/deadline.ts'
import type { Providers } from './provider.ts'
import { checkAudience, textOf } from './id-token.ts'
import { readClaims, verifySignedToken } from './signed-token.ts'

/** Names a session, a person, or both. */
export interface SignedOut {
  /** The provider's key in the registry. */
  readonly issuer: string
  /** `iss` of the token, where it differs from the key. */
  readonly tokenIssuer: string | undefined
  /** The tenant of the token, where the provider is for many. */
  readonly tenantId: string | undefined
  readonly sessionId: string | undefined
  readonly subject: string | undefined
  /** Stores the token's id, so that the same token is refused. To be called once the sessions have ended. */
  readonly remember: () => Promise<void>
}

interface LogoutTokenOptions {
  readonly providers: Pick<Providers, 'findByTokenIssuer' | 'primary'>
  readonly store: Store
  readonly clock: Clock
}

const event = 'http://schemas.openid.net/event/backchannel-logout'
const toleranceSeconds = 300
/** An old token may be a recorded one; §2.6 lets the receiver decide which age is too old. */
const oldAfterSeconds = 600

/**
 * @param token from the request; untrusted
 * @throws {BrokerError} `logout_token_refused` with the check that failed in its detail; `provider_…`,
 *   `store_unavailable`
 */
export async function checkLogoutToken(token: string, options: LogoutTokenOptions): Promise<SignedOut> {
  // Chosen by unverified claims, and safe: the keys of that provider then have to verify the signature, and `iss` and
  // `aud` are compared below.
  const { iss: named, aud } = readClaims(token) ?? {}
  const provider =
    (typeof named === 'string' ? options.providers.findByTokenIssuer(named, aud) : undefined) ??
    options.providers.primary
  const { issuer, clientId } = provider
  const { header, claims } = await verifySignedToken(token, 'anybody', provider, refuse)
  const now = options.clock() / 1000

  if (isOfAnotherType(header.typ)) throw refuse('typ')
  // §2.4: a nonce makes it an ID token.
  if (claims.nonce !== undefined) throw refuse('nonce')
  if (typeof claims.iss !== 'string' || !provider.profile.isTokenIssuer(claims.iss)) throw refuse('iss')
  checkAudience(claims, clientId, refuse)
  if (!isNumber(claims.iat) || claims.iat > now + toleranceSeconds || claims.iat < now - oldAfterSeconds)
    throw refuse('iat')
  if (!isAbsent(claims.exp) && (!isNumber(claims.exp) || claims.exp <= now - toleranceSeconds)) throw refuse('exp')
  if (!isObject(claims.events) || !isObject(claims.events[event])) throw refuse('events')

  const sessionId = textOf(claims.sid)
  const subject = textOf(claims.sub)
  if (sessionId === undefined && subject === undefined) throw refuse('neither sid nor sub')
  if (typeof claims.jti !== 'string' || claims.jti === '' || claims.jti.length > 512) throw refuse('jti')
  const key = hashedRowKey(JSON.stringify(['logout', claims.iss, claims.jti]))
  if (await options.store.find('states', key)) throw refuse('jti came before')
  const tokenIssuer = claims.iss === issuer ? undefined : claims.iss
  const tenantId = provider.profile.tenantOf(claims.iss)
  if (tenantId !== undefined && claims.tid !== undefined && claims.tid !== tenantId) throw refuse('tid')
  return { issuer, tokenIssuer, tenantId, sessionId, subject, remember: () => remember(key, options) }
}

/**
 * §2.4 recommends the type `logout+jwt` and advises against requiring it: deployed providers send `JWT` or none. A type
 * that names another kind of token (`at+jwt`) is refused, RFC 8725 §3.11; an ID token has no `events`.
 */
function isOfAnotherType(typ: unknown): boolean {
  if (isAbsent(typ)) return false
  return typeof typ !== 'string' || !/^(application\/)?(logout\+)?jwt$/i.test(typ)
}

/**
 * For as long as the token would be accepted. Stored afterwards and not before: a provider repeats a token after a
 * fault of the broker, and that repetition must not be refused while the sessions are still there. Two tokens that are
 * checked at once both end the sessions, which does no harm.
 */
async function remember(key: RowKey, { store, clock }: LogoutTokenOptions): Promise<void> {
  const sweepAfter = new Date(clock() + 2 * (oldAfterSeconds + toleranceSeconds) * 1000)
  await store.insert('states', { ...key, sweepAfter, values: {} })
}

function refuse(check: string): BrokerError {
  return new BrokerError('logout_token_refused', { detail: check })
}
