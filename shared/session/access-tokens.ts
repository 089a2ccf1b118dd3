/**
 * Access tokens for the APIs of a front end. A token near its end is renewed by the session's refresh token: one request
 * of one instance holds a lease on the row and renews, and the other requests take its result.
 */
import { hash, randomBytes } from 'node:crypto'
import { BrokerError, asBrokerError, isPassingFault } from '../errors/errors.ts'
import type { FrontEnds } from '../front-ends/front-ends.ts'
import { claimNamesOf } from '../provider/front-end-identity.ts'
import { readRenewedClaims } from '../provider/id-token.ts'
import type { IdentityProvider, Providers } from '../provider/provider.ts'
import { ownClaims } from '../provider/front-end-identity.ts'
import { renewClaims } from '../provider/registered-claims.ts'
import type { RegisteredClaims } from '../provider/registered-claims.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import { wait, withDeadline } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { defined } from '../json/json.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import { singleFlight } from '../async/single-flight.ts'
import type { StoredRow } from '../store/store.ts'
import { leaseOf } from './session-row.ts'
import type { AccessToken, Lease, Session, SessionKey } from './session-row.ts'
import type { ReadSession, Sessions } from './sessions.ts'

export interface AccessTokens {
  /**
   * @param scopes those of the API, or fewer of them
   * @param challenge a claims challenge of the API, checked: the kept token was rejected, and a new one is requested by it
   * @throws {BrokerError} `signed_out` where there is no session or the provider ended it; `interaction_required` with the
   *   challenge, and the session stays; `renewal_pending`, and the errors of the provider, the store and the credential
   */
  get(key: SessionKey | undefined, scopes: readonly string[], challenge?: string): Promise<AccessToken>
}

export interface AccessTokensOptions {
  readonly sessions: Sessions
  readonly providers: Pick<Providers, 'find' | 'ofFrontEnd'>
  readonly frontEnds: Pick<FrontEnds, 'find'>
  readonly clock: Clock
  readonly idleSeconds: number
  readonly flowEvents: FlowEvents
  readonly onFault: (error: unknown) => void
}

/** Must exceed the provider timeout (10 s); otherwise a second instance could renew while the first one still waits. */
const leaseMilliseconds = 15_000
/** A request waits this long for the renewal of another request. */
const patienceMilliseconds = 10_000
const pollMilliseconds = 100
/** The keys of the provider are usually kept. A renewal that waits longer could lose its lease, and its refresh token. */
const claimsDeadline = 2_000
/** Pages that receive the same challenge in this time share one token for it. */
const answersChallengeMilliseconds = 30_000
/** The most tokens that one session keeps: one for each API, and a few narrower ones. */
const maxKept = 16

/** The name under which a session keeps a token: the requested scopes, sorted. */
export function accessTokenKey(scopes: readonly string[]): string {
  return [...new Set(scopes)].sort().join(' ')
}

export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { sessions, clock } = options
  /** Leases of this instance whose write was not confirmed: the row may carry one, but no renewal follows. */
  const unconfirmed = new BoundedMap<string, true>(1000)

  const isHeld = ({ row }: ReadSession) => {
    const lease = leaseOf(row)
    return isRenewing(row, clock()) && !(lease && unconfirmed.has(lease.id))
  }
  const isValid = (token: AccessToken | undefined): token is AccessToken =>
    token !== undefined && clock() < token.expires - 5_000
  /** Near its end: five minutes, or a fifth of a short life. */
  const isNearEnd = ({ expires, obtainedAt, renewAfter = Infinity }: AccessToken) =>
    clock() > Math.min(renewAfter, expires - Math.min(300_000, (expires - obtainedAt) / 5))
  const isFresh = (token: AccessToken | undefined): token is AccessToken => isValid(token) && !isNearEnd(token)

  /** The API has rejected every token that was not requested by its challenge. */
  const isRejected = (token: AccessToken | undefined, challenge: string | undefined) =>
    challenge !== undefined &&
    !(token?.challenge === hashOf(challenge) && Math.abs(clock() - token.obtainedAt) < answersChallengeMilliseconds)

  const serve = async ({ key, scopes, challenge }: TokenRequest): Promise<AccessToken> => {
    const name = accessTokenKey(scopes)
    const patience = clock() + patienceMilliseconds
    for (;;) {
      const read = await sessions.find(key)
      if (!read) throw new BrokerError('signed_out')
      const kept = read.session.tokens.accessTokens[name]
      const token = isRejected(kept, challenge) ? undefined : kept
      if (isFresh(token)) {
        await keepAlive(read)
        return token
      }
      if (!isHeld(read)) {
        const renewed = await renew(read, { scopes, challenge }, token).catch((error: unknown) => {
          throw forSession(error, read)
        })
        if (renewed) return renewed
      } else if (isValid(token)) return token
      // Another request renews, or has just written: its result is in the row soon.
      if (clock() > patience) throw new BrokerError('renewal_pending', { retryAfterSeconds: 2 })
      await wait(pollMilliseconds)
    }
  }

  /** @returns undefined where another request wrote first */
  const renew = async (
    read: ReadSession,
    { scopes, challenge }: Omit<TokenRequest, 'key'>,
    current: AccessToken | undefined,
  ): Promise<AccessToken | undefined> => {
    const { refreshToken } = read.session.tokens
    if (refreshToken === undefined) {
      if (isValid(current)) return current
      throw new BrokerError('interaction_required', { detail: 'no refresh token' })
    }
    // The settings name another provider now: the session stays, and the person signs in there.
    const provider = options.providers.find(read.session.owner.identity.issuer)
    if (!provider) throw new BrokerError('interaction_required', { detail: 'the provider is no longer configured' })
    if (challenge !== undefined && !provider.profile.refreshesByChallenge) {
      throw new BrokerError('interaction_required', { detail: 'the provider answers no challenge at a refresh' })
    }
    const lease: Lease = { id: randomBytes(9).toString('base64url'), end: clock() + leaseMilliseconds }
    let leased: ReadSession | undefined
    try {
      leased = await sessions.replace(read, read.session, { lease })
    } catch (thrown) {
      // The write may have happened although every answer was lost; without this the lease would block an expired token.
      unconfirmed.set(lease.id, true)
      return stillGood(current, asBrokerError(thrown))
    }
    if (!leased) return undefined

    const step = options.flowEvents.begin('renewal', { frontEnd: read.session.key.frontEndId, provider: provider.id })
    try {
      const { identity } = read.session.owner
      const tokens = await (await provider.tokenEndpoint()).refresh(refreshToken, scopes, identity, challenge)
      const token = {
        token: tokens.accessToken,
        scope: tokens.scope,
        obtainedAt: clock(),
        expires: tokens.accessTokenExpires,
        ...defined({ renewAfter: tokens.renewAfter, challenge: challenge && hashOf(challenge) }),
      }
      await keep(leased, {
        token,
        name: accessTokenKey(scopes),
        refreshToken: tokens.refreshToken ?? refreshToken,
        leaseEnd: lease.end,
        claims: await renewedClaims(read.session, tokens.idToken, provider),
      })
      step.end()
      return token
    } catch (thrown) {
      const error = asBrokerError(thrown).with({ provider: provider.id })
      return await afterFailure(leased, step.fail(error), current)
    }
  }

  /** At a front end of several providers, the person answers at the one of the session. */
  const forSession = (thrown: unknown, { session: { key, owner } }: ReadSession): BrokerError => {
    const error = asBrokerError(thrown)
    const frontEnd = options.frontEnds.find(key.frontEndId)
    const isOneOfMany = frontEnd !== undefined && options.providers.ofFrontEnd(frontEnd).length > 1
    const provider = isOneOfMany ? options.providers.find(owner.identity.issuer) : undefined
    if (error.code !== 'interaction_required' || !provider) return error
    return error.with({ members: { ...error.members, provider: provider.id } })
  }

  /** @returns undefined where they stay: none are registered, or no ID token came that verifies */
  const renewedClaims = async (
    { key, owner }: Session,
    idToken: string | undefined,
    provider: IdentityProvider,
  ): Promise<RegisteredClaims | undefined> => {
    const names = claimNamesOf(provider, options.frontEnds.find(key.frontEndId)?.claims)
    if (names.length === 0 || idToken === undefined) return undefined
    try {
      const late = () => new BrokerError('provider_unavailable', { detail: 'keys for the claims of a renewal' })
      const renewed = await withDeadline(
        readRenewedClaims(idToken, owner.identity, names, { provider, clock }),
        claimsDeadline,
        late,
      )
      const { identity } = owner
      const own = identity.provider === undefined ? renewed : ownClaims(renewed, provider.domains)
      return renewClaims(identity.claims, own)
    } catch (error) {
      options.onFault(error)
      return undefined
    }
  }

  /** A passing fault does not make a valid token useless: it is served, and the fault is logged. */
  const stillGood = (current: AccessToken | undefined, error: BrokerError): AccessToken => {
    if (!isPassingFault(error) || !isValid(current)) throw error
    options.onFault(error)
    return current
  }

  /** The provider may have rotated the refresh token: the write is repeated until it succeeds, the session or the lease ends. */
  const keep = async (leased: ReadSession, renewed: Renewed): Promise<void> => {
    let read: ReadSession | undefined = leased
    for (let attempt = 0; read && attempt < 5 && clock() < renewed.leaseEnd; attempt++) {
      const next = sessions.touched(withToken(read.session, renewed))
      const written = await sessions.replace(read, next).catch(async (error: unknown) => {
        options.onFault(error)
        await wait(pollMilliseconds * 2 ** attempt)
        return undefined
      })
      if (written) return
      read = await sessions.find(leased.session.key).catch((error: unknown) => {
        options.onFault(error)
        return leased
      })
    }
    // Signed out in the meantime: no token is handed out for a session that is over.
    if (!read) throw new BrokerError('signed_out')
    options.onFault(new BrokerError('store_unavailable', { detail: 'a renewed token could not be written' }))
  }

  /** @returns undefined where another request has written since: the row is read again */
  const afterFailure = async (
    leased: ReadSession,
    error: BrokerError,
    current: AccessToken | undefined,
  ): Promise<AccessToken | undefined> => {
    if (error.code === 'signed_out') {
      // The provider has ended the session; unless another request wrote since, whose refresh token may be the good one.
      const ended = await sessions.end(leased.session.key, leased.row.etag)
      if (!ended) return undefined
      throw error
    }
    if (error.code === 'id_token_refused') {
      // The refresh token returns tokens of another person, so it is not used again: from here on the answer is
      // interaction_required, and the person renews the session by signing in.
      const { session } = leased
      await sessions
        .replace(leased, { ...session, tokens: { ...session.tokens, refreshToken: undefined } })
        .catch(options.onFault)
      return stillGood(current, error)
    }
    // While the token is valid the lease stays as a pause: not every request waits for a provider that hangs.
    const mayPause = isPassingFault(error) && current !== undefined && clock() < current.expires - leaseMilliseconds
    if (!mayPause) await sessions.replace(leased, leased.session).catch(options.onFault)
    return stillGood(current, error)
  }

  /** Use moves the idle end. It is written only after a tenth of the idle time, so that most uses cause no write. */
  const keepAlive = async (read: ReadSession): Promise<void> => {
    const next = sessions.touched(read.session)
    const moved = next.owner.idleEnd - read.session.owner.idleEnd
    if (moved < options.idleSeconds * 100 || isRenewing(read.row, clock())) return
    // A conflict means that another request used or ended the session; this one need not act on it.
    await sessions.replace(read, next).catch(options.onFault)
  }

  /** Where the provider names no challenge of its own, the person answers that of the API. */
  const serveChallenge = (request: TokenRequest) =>
    serve(request).catch((error: unknown) => {
      const { challenge: claims } = request
      const isOpen = error instanceof BrokerError && error.code === 'interaction_required'
      if (!isOpen || claims === undefined || error.members.claims !== undefined) throw error
      throw error.with({ members: { ...error.members, claims } })
    })

  const serveOnce = singleFlight(serveChallenge, ({ key, scopes, challenge }) =>
    // With the secret: a request with another secret for the same row is not authenticated by this one.
    JSON.stringify([
      key.frontEndId,
      key.rowKey.row,
      Buffer.from(key.secret).toString('base64url'),
      accessTokenKey(scopes),
      challenge ?? null,
    ]),
  )

  return {
    get: async (key, scopes, challenge) => {
      if (!key) throw new BrokerError('signed_out')
      return serveOnce({ key, scopes, challenge })
    },
  }
}

interface TokenRequest {
  readonly key: SessionKey
  readonly scopes: readonly string[]
  readonly challenge: string | undefined
}

/** Enough to recognise a challenge; the row need not keep its text. */
function hashOf(challenge: string): string {
  return hash('sha256', challenge, 'base64url').slice(0, 22)
}

interface Renewed {
  readonly token: AccessToken
  readonly name: string
  readonly refreshToken: string
  readonly leaseEnd: number
  readonly claims: RegisteredClaims | undefined
}

/** True while a renewal is under way on some instance: another write would lose its result. */
export function isRenewing(row: StoredRow, now: number): boolean {
  const end = leaseOf(row)?.end ?? 0
  // A lease by a clock that is far ahead would never end.
  return now < end && end < now + 2 * leaseMilliseconds
}

function withToken(session: Session, { name, token, refreshToken, claims }: Renewed): Session {
  const kept = Object.entries(session.tokens.accessTokens)
    .filter(([other]) => other !== name)
    .sort(([, a], [, b]) => b.obtainedAt - a.obtainedAt)
    .slice(0, maxKept - 1)
  const accessTokens = { ...Object.fromEntries(kept), [name]: token }
  const { owner } = session
  return {
    ...session,
    owner: claims ? { ...owner, identity: { ...owner.identity, claims } } : owner,
    tokens: { ...session.tokens, refreshToken, accessTokens },
  }
}
