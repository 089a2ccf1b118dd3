/**
 * Renews an access token by the session's refresh token (RFC 6749 §6). A lease on the row decides among requests and
 * instances: one renews, and the others take its result.
 */
import { wait, withDeadline } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import { randomValue } from '../crypto/random.ts'
import { BrokerError, asBrokerError, isPassingFault } from '../errors/errors.ts'
import type { FrontEnds } from '../front-ends/front-ends.ts'
import { defined } from '../json/json.ts'
import { claimNamesOf, ownClaims } from '../provider/front-end-identity.ts'
import { readRenewedClaims } from '../provider/id-token.ts'
import type { IdentityProvider, Providers } from '../provider/provider.ts'
import { renewClaims } from '../provider/registered-claims.ts'
import type { RegisteredClaims } from '../provider/registered-claims.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import { accessTokenKey, challengeHash, isValid, withRenewedTokens } from './kept-access-token.ts'
import type { RenewedTokens } from './kept-access-token.ts'
import { newerIdToken } from './kept-id-token.ts'
import { isRenewing, leaseMilliseconds, leaseOf } from './session-row.ts'
import type { AccessToken, Lease, Session } from './session-row.ts'
import type { ReadSession, Sessions } from './sessions.ts'

interface TokenRenewal {
  /** @returns true while another request renews this session, and its result is in the row soon */
  isHeld(read: ReadSession): boolean
  /**
   * @param current a token that a passing fault does not make useless;
   *   undefined where there is none, or the API rejects it
   * @returns the new token, or `current` after a passing fault; undefined where another request wrote the row first
   * @throws {BrokerError} as `AccessTokens.get`
   */
  renew(read: ReadSession, request: RenewalRequest, current: AccessToken | undefined): Promise<AccessToken | undefined>
}

export interface RenewalRequest {
  readonly scopes: readonly string[]
  /** A claims challenge of the API, checked. */
  readonly challenge: string | undefined
}

interface TokenRenewalOptions {
  readonly sessions: Pick<Sessions, 'find' | 'replace' | 'touched' | 'end'>
  readonly providers: Pick<Providers, 'find'>
  readonly frontEnds: Pick<FrontEnds, 'find'>
  readonly clock: Clock
  readonly flowEvents: FlowEvents
  readonly onFault: (error: unknown) => void
}

const mostWrites = 5
const firstPauseMilliseconds = 100
/**
 * The keys of the provider are usually kept. A renewal that waits longer could lose its lease, and its refresh token.
 */
const claimsDeadline = 2_000

export function createTokenRenewal(options: TokenRenewalOptions): TokenRenewal {
  const { sessions, clock, flowEvents } = options
  /** Leases of this instance whose write was not confirmed: the row may carry one, but no renewal follows. */
  const unconfirmed = new BoundedMap<string, true>(1000)

  return {
    isHeld: ({ row }) => {
      const lease = leaseOf(row)
      return isRenewing(row, clock()) && !(lease && unconfirmed.has(lease.id))
    },

    renew: async (read, request, current) => {
      const { session } = read
      const { refreshToken } = session.tokens
      if (refreshToken === undefined) {
        if (isValid(current, clock())) return current
        throw new BrokerError('interaction_required', { detail: 'no refresh token' })
      }
      const provider = providerFor(session, request, options)
      const lease: Lease = { id: randomValue(9).toString('base64url'), end: clock() + leaseMilliseconds }
      let leased: ReadSession | undefined
      try {
        leased = await sessions.replace(read, session, { lease })
      } catch (thrown) {
        // The write may have succeeded although every answer was lost; such a lease must not block an expired token.
        unconfirmed.set(lease.id, true)
        return currentAfter(asBrokerError(thrown), current, options)
      }
      if (!leased) return undefined

      const step = flowEvents.begin('renewal', { frontEnd: session.key.frontEndId, provider: provider.id })
      try {
        const renewed = await requestTokens(session, refreshToken, request, provider, options)
        await storeRenewed(leased, renewed, lease.end, options)
        step.end()
        return renewed.token
      } catch (thrown) {
        const error = asBrokerError(thrown).with({ provider: provider.id })
        return await afterFailure(leased, step.fail(error), current, options)
      }
    },
  }
}

/** @throws {BrokerError} `interaction_required` where the person has to sign in for the new token */
function providerFor(
  { owner }: Session,
  { challenge }: RenewalRequest,
  { providers }: TokenRenewalOptions,
): IdentityProvider {
  // The settings name another provider now: the session stays, and the person signs in there.
  const provider = providers.find(owner.identity.issuer)
  if (!provider) throw new BrokerError('interaction_required', { detail: 'the provider is no longer configured' })
  if (challenge !== undefined && !provider.profile.refreshesByChallenge) {
    throw new BrokerError('interaction_required', { detail: 'the provider answers no challenge at a refresh' })
  }
  return provider
}

async function requestTokens(
  session: Session,
  refreshToken: string,
  { scopes, challenge }: RenewalRequest,
  provider: IdentityProvider,
  options: TokenRenewalOptions,
): Promise<RenewedTokens> {
  const endpoint = await provider.tokenEndpoint()
  const tokens = await endpoint.refresh(refreshToken, scopes, session.owner.identity, challenge)
  return {
    name: accessTokenKey(scopes),
    token: {
      token: tokens.accessToken,
      scope: tokens.scope,
      obtainedAt: options.clock(),
      expires: tokens.accessTokenExpires,
      ...defined({ renewAfter: tokens.renewAfter, challenge: challenge && challengeHash(challenge) }),
    },
    refreshToken: tokens.refreshToken ?? refreshToken,
    idToken: newerIdToken(session, tokens.idToken, provider),
    claims: await renewedClaims(session, tokens.idToken, provider, options),
  }
}

/** @returns undefined where the claims stay: none are registered, or the response has no ID token that verifies */
async function renewedClaims(
  { key, owner: { identity } }: Session,
  idToken: string | undefined,
  provider: IdentityProvider,
  { frontEnds, clock, onFault }: TokenRenewalOptions,
): Promise<RegisteredClaims | undefined> {
  const names = claimNamesOf(provider, frontEnds.find(key.frontEndId)?.claims)
  if (names.length === 0 || idToken === undefined) return undefined
  try {
    const late = () => new BrokerError('provider_unavailable', { detail: 'keys for the claims of a renewal' })
    const reading = readRenewedClaims(idToken, identity, names, { provider, clock })
    const renewed = await withDeadline(reading, claimsDeadline, late)
    const own = identity.provider === undefined ? renewed : ownClaims(renewed, provider.domains)
    return renewClaims(identity.claims, own)
  } catch (error) {
    onFault(error)
    return undefined
  }
}

/**
 * The provider may have rotated the refresh token, so the write is repeated until it succeeds, or the session or the
 * lease ends.
 *
 * @throws {BrokerError} `signed_out` where the session ended in the meantime: it receives no token
 */
async function storeRenewed(
  leased: ReadSession,
  renewed: RenewedTokens,
  leaseEnd: number,
  { sessions, clock, onFault }: TokenRenewalOptions,
): Promise<void> {
  let read: ReadSession | undefined = leased
  // The first write succeeds only while the row has this lease, so it is made also after the end of the lease.
  for (let attempt = 0; read && attempt < mostWrites && (attempt === 0 || clock() < leaseEnd); attempt++) {
    const next = sessions.touched(withRenewedTokens(read.session, renewed))
    const written = await sessions.replace(read, next).catch(async (error: unknown) => {
      onFault(error)
      await wait(firstPauseMilliseconds * 2 ** attempt)
      return undefined
    })
    if (written) return
    read = await sessions.find(leased.session.key).catch((error: unknown) => {
      onFault(error)
      return leased
    })
  }
  if (!read) throw new BrokerError('signed_out')
  onFault(new BrokerError('store_unavailable', { detail: 'a renewed token could not be written' }))
}

/** @returns undefined where another request has written since: the row is read again */
async function afterFailure(
  leased: ReadSession,
  error: BrokerError,
  current: AccessToken | undefined,
  options: TokenRenewalOptions,
): Promise<AccessToken | undefined> {
  const { sessions, clock, onFault } = options
  const { session } = leased
  if (error.code === 'signed_out') {
    // The provider has ended the session; unless another request wrote since, whose refresh token may be the valid one.
    const ended = await sessions.end(session.key, leased.row.etag)
    if (!ended) return undefined
    throw error
  }
  if (error.code === 'id_token_refused') {
    // The refresh token returns tokens of another person, so it is not used again. Later requests fail with
    // `interaction_required`, and the person renews the session by signing in.
    const tokens = { ...session.tokens, refreshToken: undefined }
    await sessions.replace(leased, { ...session, tokens }).catch(onFault)
    return currentAfter(error, current, options)
  }
  // While the token is valid, the lease stays as a pause: not every request waits for a provider that hangs.
  const mayPause = isPassingFault(error) && current !== undefined && clock() < current.expires - leaseMilliseconds
  if (!mayPause) await sessions.replace(leased, session).catch(onFault)
  return currentAfter(error, current, options)
}

/** A passing fault does not make a valid token useless: it is returned, and the fault is logged. */
function currentAfter(
  error: BrokerError,
  current: AccessToken | undefined,
  { clock, onFault }: TokenRenewalOptions,
): AccessToken {
  if (!isPassingFault(error) || !isValid(current, clock())) throw error
  onFault(error)
  return current
}
