/**
 * Access tokens for the APIs of a front end, renewed by the refresh token when near their end: by one request of one
 * instance at a time, which holds a lease on the row; the others take what it got.
 */
import { randomBytes } from 'node:crypto'
import { BrokerError, asBrokerError, isPassingFault } from '../errors/errors.ts'
import type { Providers } from '../provider/provider.ts'
import type { Funnel } from '../telemetry/flow-events.ts'
import { wait } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import type { AccessToken, Session, SessionKey } from './session-row.ts'
import type { ReadSession, Sessions } from './sessions.ts'

export interface AccessTokens {
  /**
   * @param scopes those of the API, or fewer of them
   * @throws {BrokerError} `signed_out` where there is no session or the provider ended it; `interaction_required`, with
   *   the session left as it is; `renewal_pending` and what the provider, the store or the credential lacks
   */
  get(key: SessionKey | undefined, scopes: readonly string[]): Promise<AccessToken>
}

export interface AccessTokensOptions {
  readonly sessions: Sessions
  readonly providers: Pick<Providers, 'find'>
  readonly clock: Clock
  readonly idleSeconds: number
  readonly funnel: Funnel
  readonly onFault: (error: unknown) => void
}

/** Longer than a call to the provider may take: nobody begins a second renewal beside one that is still under way. */
const leaseMilliseconds = 15_000
/** How long a request waits for somebody else's renewal. */
const patienceMilliseconds = 10_000
const pollMilliseconds = 100
/** How many tokens one session keeps: each API, and a few narrower requests. */
const maxKept = 16

/** The name under which a session keeps a token: the scopes that were asked for. */
export function accessTokenKey(scopes: readonly string[]): string {
  return [...new Set(scopes)].sort().join(' ')
}

export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { sessions, clock } = options

  const isValid = (token: AccessToken | undefined): token is AccessToken =>
    token !== undefined && clock() < token.expires - 5_000
  /** Near its end: five minutes, or a fifth of a short life. */
  const isNearEnd = ({ expires, obtainedAt }: AccessToken) =>
    clock() > expires - Math.min(300_000, (expires - obtainedAt) / 5)
  const isFresh = (token: AccessToken | undefined): token is AccessToken => isValid(token) && !isNearEnd(token)

  const serve = async ({ key, scopes }: { key: SessionKey; scopes: readonly string[] }): Promise<AccessToken> => {
    const name = accessTokenKey(scopes)
    const patience = clock() + patienceMilliseconds
    for (;;) {
      const read = await sessions.find(key)
      if (!read) throw new BrokerError('signed_out')
      const token = read.session.tokens.accessTokens[name]
      if (isFresh(token)) {
        await keepAlive(read)
        return token
      }
      if (!isRenewing(read, clock())) {
        const renewed = await renew(read, scopes, token)
        if (renewed) return renewed
      } else if (isValid(token)) return token
      // Somebody else renews, or wrote in between: what they got is in the row in a moment.
      if (clock() > patience) throw new BrokerError('renewal_pending', { retryAfterSeconds: 2 })
      await wait(pollMilliseconds)
    }
  }

  /** @returns undefined when another request was quicker */
  const renew = async (
    read: ReadSession,
    scopes: readonly string[],
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
    const leaseEnd = clock() + leaseMilliseconds
    const lease = `${randomBytes(9).toString('base64url')} ${leaseEnd}`
    let leased: ReadSession | undefined
    try {
      leased = await sessions.replace(read, read.session, { lease })
    } catch (thrown) {
      return stillGood(current, asBrokerError(thrown))
    }
    if (!leased) return undefined

    const step = options.funnel.begin('renewal', { frontEnd: read.session.key.frontEndId })
    try {
      const tokens = await (await provider.tokenEndpoint()).refresh(refreshToken, scopes, read.session.owner.identity)
      const token = {
        token: tokens.accessToken,
        scope: tokens.scope,
        obtainedAt: clock(),
        expires: tokens.accessTokenExpires,
      }
      await keep(leased, {
        token,
        name: accessTokenKey(scopes),
        refreshToken: tokens.refreshToken ?? refreshToken,
        leaseEnd,
      })
      step.end()
      return token
    } catch (thrown) {
      return await afterFailure(leased, asBrokerError(step.fail(thrown)), current)
    }
  }

  /** A fault that may pass is no reason to refuse a token that is still good. */
  const stillGood = (current: AccessToken | undefined, error: BrokerError): AccessToken => {
    if (!isPassingFault(error) || !isValid(current)) throw error
    options.onFault(error)
    return current
  }

  /** The provider may have rotated: what it gave is written until it stands, the session is gone, or the lease has ended. */
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
    // Signed out meanwhile: a token for a session that is over is not handed out.
    if (!read) throw new BrokerError('signed_out')
    options.onFault(new BrokerError('store_unavailable', { detail: 'a renewed token could not be written' }))
  }

  /** @returns undefined when somebody else's renewal stands, and is to be looked at */
  const afterFailure = async (
    leased: ReadSession,
    error: BrokerError,
    current: AccessToken | undefined,
  ): Promise<AccessToken | undefined> => {
    if (error.code === 'signed_out') {
      // The provider's word about this person; but where another wrote since, theirs may be the good refresh token.
      const ended = await sessions.end(leased.session.key, leased.row.etag)
      if (!ended) return undefined
      throw error
    }
    // With time left the lease stays as a pause: a provider that hangs is not waited for by every request.
    const mayPause = isPassingFault(error) && current !== undefined && clock() < current.expires - leaseMilliseconds
    if (!mayPause) await sessions.replace(leased, leased.session).catch(options.onFault)
    return stillGood(current, error)
  }

  /** Use moves the idle end; written once a tenth of it has passed, so that most uses write nothing. */
  const keepAlive = async (read: ReadSession): Promise<void> => {
    const next = sessions.touched(read.session)
    const moved = next.owner.idleEnd - read.session.owner.idleEnd
    if (moved < options.idleSeconds * 100 || isRenewing(read, clock())) return
    // A conflict means that somebody else used it, or ended it: neither is this request's matter.
    await sessions.replace(read, next).catch(options.onFault)
  }

  const serveOnce = singleFlight(serve, ({ key, scopes }) =>
    // The secret too: who holds another one for the same row has proved nothing.
    JSON.stringify([
      key.frontEndId,
      key.place.row,
      Buffer.from(key.secret).toString('base64url'),
      accessTokenKey(scopes),
    ]),
  )

  return {
    get: async (key, scopes) => {
      if (!key) throw new BrokerError('signed_out')
      return serveOnce({ key, scopes })
    },
  }
}

interface Renewed {
  readonly token: AccessToken
  readonly name: string
  readonly refreshToken: string
  readonly leaseEnd: number
}

/** Whether a renewal is under way somewhere, whose result a write would lose. */
export function isRenewing({ row }: ReadSession, now: number): boolean {
  const until = Number(typeof row.values.lease === 'string' ? row.values.lease.split(' ')[1] : 0)
  // A lease from a clock that is far ahead would hold for ever.
  return now < until && until < now + 2 * leaseMilliseconds
}

function withToken(session: Session, { name, token, refreshToken }: Renewed): Session {
  const kept = Object.entries(session.tokens.accessTokens)
    .filter(([other]) => other !== name)
    .sort(([, a], [, b]) => b.obtainedAt - a.obtainedAt)
    .slice(0, maxKept - 1)
  return { ...session, tokens: { refreshToken, accessTokens: { ...Object.fromEntries(kept), [name]: token } } }
}
