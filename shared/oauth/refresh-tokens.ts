/**
 * Refresh tokens of OAuth clients: opaque handles of a session, each for one use (RFC 9700 §4.14.2).
 * refresh-token-rotation.ts decides which repeats of a used token are accepted. Every other use of a used token ends
 * the session, and so does a session in which repeats become frequent: a thief who follows the owner's refreshes has to
 * repeat every token.
 */
import { BrokerError } from '../errors/errors.ts'
import type { AccessTokens } from '../session/access-tokens.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { isRenewing } from '../session/session-row.ts'
import type { AccessToken, SessionKey } from '../session/session-row.ts'
import type { ReadSession, Sessions } from '../session/sessions.ts'
import type { Identity } from '../provider/identity.ts'
import type { RowKey, Store } from '../store/store.ts'
import { wait } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import type { FrontEnd } from '../front-ends/front-ends.ts'
import { areRegistered, scopesOfOneApi } from '../front-ends/scopes.ts'
import { parseRefreshToken, toRefreshToken } from './grant-key.ts'
import { isUsed, refreshTokenHash, repeatOf, rotate } from './refresh-token-rotation.ts'
import type { RotationUse } from './refresh-token-rotation.ts'
import type { PrepareAnswer } from './prepare-answer.ts'
import type { EndForReuse } from './reuse.ts'

interface UsedRefreshToken {
  readonly token: AccessToken
  /** The next one; the same one where a renewal prevents the rotation. */
  readonly refreshToken: string
  /** True for a used refresh token that came again within its grace. */
  readonly isRepeat: boolean
  readonly identity: Identity
  /** Granted OpenID scopes. */
  readonly openid: readonly string[]
  /** The session's row. */
  readonly rowKey: RowKey
}

/** The part of a front end's registration that its refresh tokens depend on. */
type Client = Pick<FrontEnd, 'id' | 'apis'>

/** A refresh request, parsed; untrusted, except that the client is registered. */
interface RefreshRequest {
  readonly refreshToken: string
  /** The client as it is registered now: an API that it has lost is refused, granted or not. */
  readonly client: Client
  /**
   * The granted scopes or fewer; all of them where left out (RFC 6749 §6). The access token is for one API among them.
   */
  readonly scopes: readonly string[] | undefined
  /** RFC 8707 §2.2; undefined where the request names none. */
  readonly resource?: string | undefined
  /** A claims challenge of the API, checked. */
  readonly challenge?: string | undefined
  /** The header Origin; undefined where no browser sent the request. */
  readonly origin: string | undefined
  readonly prepare: PrepareAnswer
}

export interface RefreshTokens {
  /** The first refresh token of a session. */
  first(key: SessionKey): string
  /**
   * @returns an access token and the next refresh token; a repeat within the grace receives the same one
   * @throws {BrokerError} `grant_invalid`, `scope_not_registered`, and the errors of `AccessTokens`
   */
  use(request: RefreshRequest): Promise<UsedRefreshToken>
  /** The session of a refresh token of this front end, used or not; undefined for anything else. RFC 7009 §2.2. */
  findKey(refreshToken: string, frontEndId: string): Promise<SessionKey | undefined>
}

interface RefreshTokensOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly sessions: Sessions
  readonly accessTokens: AccessTokens
  readonly endForReuse: EndForReuse
  readonly clock: Clock
}

const pollMilliseconds = 100
/** The most attempts of a rotation, which competes with the writes of other requests. */
const mostAttempts = 20

export function createRefreshTokens(options: RefreshTokensOptions): RefreshTokens {
  const { store, sessions, accessTokens, clock } = options

  /** For a refresh token that does not open its session: a repeat, a theft, or a text that was never issued. */
  const afterUse = async (key: SessionKey, use: Use): Promise<UsedRefreshToken> => {
    const row = await store.find('sessions', key.rowKey)
    if (!row || !isUsed(row, key)) throw invalid('unknown, or its session is over')
    const answerBy = async (next: SessionKey): Promise<Omit<UsedRefreshToken, 'isRepeat'> | undefined> => {
      const read = await sessions.find(next)
      if (!read) return undefined
      const { token } = await tokenFor(read, use, accessTokens).catch(unlessSignedOut)
      if (!token) throw invalid('its session is over')
      return { token, refreshToken: toRefreshToken(next), ...grantOf(read) }
    }
    const repeat = await repeatOf(key, use, answerBy, options)
    if (repeat) return { ...repeat.answer, isRepeat: repeat.isCounted }
    await options.endForReuse(key)
    throw invalid('used before: its session is ended')
  }

  /** @returns undefined where the refresh token opens no session, perhaps since a moment ago */
  const useCurrent = async (key: SessionKey, use: Use): Promise<UsedRefreshToken | undefined> => {
    let read = await sessions.find(key)
    if (!read) return undefined
    const { token } = await tokenFor(read, use, accessTokens).catch(unlessSignedOut)
    for (let attempt = 0; token && read && attempt < mostAttempts; attempt++) {
      if (isRenewing(read.row, clock())) await wait(pollMilliseconds)
      const next = isRenewing(read.row, clock()) ? undefined : await rotate(read, use.origin, options)
      if (next)
        return {
          token,
          refreshToken: toRefreshToken(next),
          isRepeat: false,
          ...grantOf(read),
        }
      // Another request wrote in between: a renewal, or a use of the same token, which can no longer open the row.
      read = await sessions.find(key)
    }
    // A renewal that hangs, or the pause after a failed one, holds the row: this token stays the current one. That is
    // no reuse, and a fault ends no session.
    return token && read ? { token, refreshToken: toRefreshToken(key), isRepeat: false, ...grantOf(read) } : undefined
  }

  /** Tabs that refresh at the same time count as one use. */
  const useOnce = singleFlight(
    async ({ key, use }: { key: SessionKey; use: Use }) => (await useCurrent(key, use)) ?? (await afterUse(key, use)),
    ({ key, use: { scopes, resource, challenge, origin } }) =>
      JSON.stringify(
        [refreshTokenHash(key), key.rowKey.row, scopes, resource, challenge, origin].map((part) => part ?? null),
      ),
  )

  return {
    first: toRefreshToken,

    use: async ({ refreshToken, ...request }) => {
      const key = parseRefreshToken(refreshToken, request.client.id)
      if (!key) throw invalid('not a refresh token')
      return useOnce({ key, use: { ...request, arrivedAt: clock() } })
    },

    findKey: async (refreshToken, frontEndId) => {
      const key = parseRefreshToken(refreshToken, frontEndId)
      if (!key) return undefined
      if (await sessions.findOwner(key)) return key
      const row = await store.find('sessions', key.rowKey)
      return row && isUsed(row, key) ? key : undefined
    },
  }
}

/**
 * Gets everything that can fail before the refresh token is used up.
 *
 * @returns an access token for one API of the grant
 * @throws {BrokerError} `scope_not_registered`, and as `AccessTokens` and `PrepareAnswer`
 */
async function tokenFor(
  read: ReadSession,
  { client, scopes, resource, challenge, prepare }: Use,
  accessTokens: AccessTokens,
): Promise<{ token: AccessToken }> {
  const { key, owner } = read.session
  const { grantedScopes } = owner
  const requested = scopes ?? grantedScopes
  // Granted scopes too: the registration may have lost them since.
  if (!areRegistered(requested, client) || requested.some((one) => !grantedScopes.includes(one)))
    throw new BrokerError('scope_not_registered')
  const wanted = scopesOfOneApi(requested, resource, client)
  await prepare(owner.openid ?? [])
  try {
    return { token: await accessTokens.get(key, wanted, challenge) }
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'interaction_required') throw error
    // The API that needs the person comes first: the sign-in is for it, and the new grant has the others too.
    const scope = [...new Set([...wanted, ...grantedScopes])].join(' ')
    throw error.with({ members: { ...error.members, scope } })
  }
}

function grantOf({ session: { key, owner } }: ReadSession): Pick<UsedRefreshToken, 'identity' | 'openid' | 'rowKey'> {
  return { identity: owner.identity, openid: owner.openid ?? [], rowKey: key.rowKey }
}

/** A request without its token. */
type Use = Omit<RefreshRequest, 'refreshToken'> & RotationUse

/** Signed out, or sealed under the next token in the meantime: the row is read again. */
function unlessSignedOut(error: unknown): { token: undefined } {
  if (error instanceof BrokerError && error.code === 'signed_out') return { token: undefined }
  throw error
}

function invalid(detail: string): BrokerError {
  return new BrokerError('grant_invalid', { detail })
}
