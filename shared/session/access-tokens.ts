/**
 * Access tokens for the APIs of a front end: those that the session keeps, renewed near their end (token-renewal.ts).
 */
import { wait } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { BrokerError, asBrokerError } from '../errors/errors.ts'
import type { FrontEnds } from '../front-ends/front-ends.ts'
import type { Providers } from '../provider/provider.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import { accessTokenKey, answersChallenge, isFresh, isValid } from './kept-access-token.ts'
import { isRenewing } from './session-row.ts'
import type { AccessToken, SessionKey } from './session-row.ts'
import type { ReadSession, Sessions } from './sessions.ts'
import { createTokenRenewal } from './token-renewal.ts'
import type { RenewalRequest } from './token-renewal.ts'

export interface AccessTokens {
  /**
   * @param scopes those of the API, or fewer of them
   * @param challenge a claims challenge of the API, checked:
   *   the kept token was rejected, and a new one is requested by it
   * @throws {BrokerError} `signed_out` where there is no session or the provider ended it; `interaction_required` with
   *   the challenge, and the session stays; `renewal_pending`, and the errors of the provider, the store and the
   *   credential
   */
  get(key: SessionKey | undefined, scopes: readonly string[], challenge?: string): Promise<AccessToken>
}

interface AccessTokensOptions {
  readonly sessions: Sessions
  readonly providers: Pick<Providers, 'find' | 'ofFrontEnd'>
  readonly frontEnds: Pick<FrontEnds, 'find'>
  readonly clock: Clock
  readonly idleSeconds: number
  readonly flowEvents: FlowEvents
  readonly onFault: (error: unknown) => void
}

interface TokenRequest extends RenewalRequest {
  readonly key: SessionKey
}

/** A request waits this long for the renewal of another request. */
const patienceMilliseconds = 10_000
const pollMilliseconds = 100

export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { sessions, clock } = options
  const renewal = createTokenRenewal(options)

  const serve = async ({ key, scopes, challenge }: TokenRequest): Promise<AccessToken> => {
    const name = accessTokenKey(scopes)
    const patience = clock() + patienceMilliseconds
    for (;;) {
      const read = await sessions.find(key)
      if (!read) throw new BrokerError('signed_out')
      const kept = read.session.tokens.accessTokens[name]
      const token = challenge === undefined || answersChallenge(kept, challenge, clock()) ? kept : undefined
      if (isFresh(token, clock())) {
        await keepAlive(read, options)
        return token
      }
      if (!renewal.isHeld(read)) {
        const renewed = await renewal.renew(read, { scopes, challenge }, token).catch((error: unknown) => {
          throw withProvider(asBrokerError(error), read, options)
        })
        if (renewed) return renewed
      } else if (isValid(token, clock())) return token
      // Another request renews, or has just written: its result is in the row soon.
      if (clock() > patience) throw new BrokerError('renewal_pending', { retryAfterSeconds: 2 })
      await wait(pollMilliseconds)
    }
  }

  const serveOnce = singleFlight(
    (request: TokenRequest) =>
      serve(request).catch((error: unknown) => {
        throw withChallenge(error, request.challenge)
      }),
    nameOf,
  )

  return {
    get: async (key, scopes, challenge) => {
      if (!key) throw new BrokerError('signed_out')
      return serveOnce({ key, scopes, challenge })
    },
  }
}

/** With the secret: a request with another secret for the same row is not authenticated by this one. */
function nameOf({ key, scopes, challenge }: TokenRequest): string {
  const secret = Buffer.from(key.secret).toString('base64url')
  return JSON.stringify([key.frontEndId, key.rowKey.row, secret, accessTokenKey(scopes), challenge ?? null])
}

/** Use moves the idle end. It is written only after a tenth of the idle time, so that most uses cause no write. */
async function keepAlive(
  read: ReadSession,
  { sessions, clock, idleSeconds, onFault }: AccessTokensOptions,
): Promise<void> {
  const next = sessions.touched(read.session)
  const moved = next.owner.idleEnd - read.session.owner.idleEnd
  if (moved < idleSeconds * 100 || isRenewing(read.row, clock())) return
  // A conflict means that another request used or ended the session; this one need not act on it.
  await sessions.replace(read, next).catch(onFault)
}

/** At a front end of several providers, the person answers at the one of the session. */
function withProvider(
  error: BrokerError,
  { session: { key, owner } }: ReadSession,
  { frontEnds, providers }: AccessTokensOptions,
): BrokerError {
  const frontEnd = frontEnds.find(key.frontEndId)
  const isOneOfMany = frontEnd !== undefined && providers.ofFrontEnd(frontEnd).length > 1
  const provider = isOneOfMany ? providers.find(owner.identity.issuer) : undefined
  if (error.code !== 'interaction_required' || !provider) return error
  return error.with({ members: { ...error.members, provider: provider.id } })
}

/** Where the provider names no challenge of its own, the person answers that of the API. */
function withChallenge(error: unknown, claims: string | undefined): unknown {
  const isOpen = error instanceof BrokerError && error.code === 'interaction_required'
  if (!isOpen || claims === undefined || error.members.claims !== undefined) return error
  return error.with({ members: { ...error.members, claims } })
}
