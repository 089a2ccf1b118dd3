/** A logout token: the provider says, server to server, that a session or a person is signed out. Back-Channel Logout 1.0 §2.6. */
import { createHash } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { RowKey, Store } from '../store/store.ts'
import type { Clock } from '../async/deadline.ts'
import type { Providers } from './provider.ts'
import { readClaims, verifySignedToken } from './signed-token.ts'

/** One of them at least. */
export interface SignedOut {
  readonly issuer: string
  readonly sessionId: string | undefined
  readonly subject: string | undefined
  /** To be called once what the token says is done: the same token is refused then. */
  readonly remember: () => Promise<void>
}

export interface LogoutTokenOptions {
  readonly providers: Pick<Providers, 'find'>
  readonly store: Store
  readonly clock: Clock
}

const event = 'http://schemas.openid.net/event/backchannel-logout'
const toleranceSeconds = 300
/** An old one was recorded by somebody; §2.6 lets the receiver say what is old. */
const oldAfterSeconds = 600

/**
 * @param token as it was posted; untrusted
 * @throws {BrokerError} `logout_token_refused` with the check that failed in its detail; `provider_…`, `store_unavailable`
 */
export async function checkLogoutToken(token: string, options: LogoutTokenOptions): Promise<SignedOut> {
  // Chosen by an unverified claim, and safe: the keys of that provider then have to verify the signature.
  const named = readClaims(token)?.iss
  const provider = typeof named === 'string' ? options.providers.find(named) : undefined
  if (!provider) throw refuse('iss')
  const { issuer, clientId } = provider
  const { header, claims } = await verifySignedToken(token, provider, refuse)
  const now = options.clock() / 1000

  // An ID token says that somebody signed in; its type, where it has one, and its nonce tell it apart.
  if (typeof header.typ === 'string' && !/^(application\/)?logout\+jwt$/i.test(header.typ)) throw refuse('typ')
  if (claims.nonce !== undefined) throw refuse('nonce')
  if (claims.iss !== issuer) throw refuse('iss')
  const audience = Array.isArray(claims.aud) && claims.aud.length === 1 ? (claims.aud[0] as unknown) : claims.aud
  if (audience !== clientId) throw refuse('aud')
  if (!isTime(claims.iat) || claims.iat > now + toleranceSeconds || claims.iat < now - oldAfterSeconds)
    throw refuse('iat')
  if (claims.exp !== undefined && (!isTime(claims.exp) || claims.exp <= now - toleranceSeconds)) throw refuse('exp')
  if (!isObject(claims.events) || !isObject(claims.events[event])) throw refuse('events')

  const sessionId = textOf(claims.sid)
  const subject = textOf(claims.sub)
  if (sessionId === undefined && subject === undefined) throw refuse('neither sid nor sub')
  if (typeof claims.jti !== 'string' || claims.jti === '' || claims.jti.length > 512) throw refuse('jti')
  const key = keyOf(claims.jti, issuer)
  if (await options.store.find('states', key)) throw refuse('jti came before')
  return { issuer, sessionId, subject, remember: () => remember(key, options) }
}

function keyOf(jti: string, issuer: string): RowKey {
  const hash = createHash('sha256')
    .update(JSON.stringify(['logout', issuer, jti]))
    .digest('base64url')
  return { partition: hash.slice(0, 2), row: hash }
}

/**
 * For as long as the token would pass. Afterwards and not before: a provider repeats a token that a fault met here, and
 * it must not be refused with the sessions still there. Ending them twice, where two are checked at once, does no harm.
 */
async function remember(key: RowKey, { store, clock }: LogoutTokenOptions): Promise<void> {
  const sweepAfter = new Date(clock() + 2 * (oldAfterSeconds + toleranceSeconds) * 1000)
  await store.insert('states', { ...key, sweepAfter, values: {} })
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= 1024 ? value : undefined
}

function refuse(check: string): BrokerError {
  return new BrokerError('logout_token_refused', { detail: check })
}
