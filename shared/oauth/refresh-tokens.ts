/**
 * Refresh tokens of OAuth clients: opaque handles of a session, each for one use (RFC 9700 §4.14.2). Each use seals the
 * session under the secret of the next token, so a used token cannot open it.
 *
 * An answer can be lost, so a used token is accepted once more within its grace, from the same web origin, and receives
 * the same successor. Requests that arrived before the first use was written count as one use with it. Every other use
 * of a used token ends the session, and so does a session in which repeats become a habit: a thief who follows the
 * owner's refreshes has to repeat every token.
 */
import { createHash } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { AccessTokens } from '../session/access-tokens.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { deriveKey, open, seal } from '../crypto/sealing.ts'
import { isRenewing, ringKeyIdOf, rotationOf, withRotation } from '../session/session-row.ts'
import type { AccessToken, Rotation, SessionKey } from '../session/session-row.ts'
import type { ReadSession, Sessions } from '../session/sessions.ts'
import type { Identity } from '../provider/identity.ts'
import type { RowKey, Store, StoredRow } from '../store/store.ts'
import { wait } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import type { FrontEnd } from '../front-ends/front-ends.ts'
import { areRegistered, scopesOfOneApi } from '../front-ends/scopes.ts'
import { newGrantSecret, parseRefreshToken, toRefreshToken } from './grant-key.ts'
import type { EndForReuse } from './reuse.ts'

export interface UsedRefreshToken {
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
export type Client = Pick<FrontEnd, 'id' | 'apis'>

/** A refresh request, parsed; untrusted, except that the client is registered. */
export interface RefreshRequest {
  readonly refreshToken: string
  /** The client as it is registered now: an API that it has lost is refused, granted or not. */
  readonly client: Client
  /** The granted scopes or fewer; all of them where left out (RFC 6749 §6). The access token is for one API among them. */
  readonly scopes: readonly string[] | undefined
  /** RFC 8707 §2.2; undefined where the request names none. */
  readonly resource?: string | undefined
  /** A claims challenge of the API, checked. */
  readonly challenge?: string | undefined
  /** The header Origin; undefined where no browser sent the request. */
  readonly origin: string | undefined
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

export interface RefreshTokensOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly sessions: Sessions
  readonly accessTokens: AccessTokens
  readonly endForReuse: EndForReuse
  readonly clock: Clock
}

const graceMilliseconds = 30_000
const pollMilliseconds = 100
/** The most attempts of a write that competes with the writes of other requests. */
const patience = 20
/** A refresh token that was used up to this many uses ago is still recognised as used. */
const remembered = 200
/** Of the newest `repeatWindow` refresh tokens, at most `maxRepeats` may be repeated: lost answers are rare. */
const [repeatWindow, maxRepeats] = [10, 2]

export function createRefreshTokens(options: RefreshTokensOptions): RefreshTokens {
  const { store, ring, sessions, accessTokens, clock } = options

  /** @returns undefined where another request rotated first */
  const rotate = async (read: ReadSession, origin: string | undefined): Promise<SessionKey | undefined> => {
    const { key } = read.session
    const next = { ...key, secret: newGrantSecret() }
    const ringKey = await ring.current()
    const before = rotationOf(read.row)
    const rotation: Rotation = {
      used: [hashOf(key), ...(before?.used ?? [])].slice(0, remembered),
      repeated: before?.repeated ?? [],
      successor: seal(
        successorKey(ringKey.session, key),
        Buffer.from(next.secret).toString('base64url'),
        contextOf(key, ringKey.id),
      ),
      usedAt: clock(),
      graceEnd: clock() + graceMilliseconds,
      origin: originHash(key, origin),
    }
    const written = await sessions.replace(read, sessions.touched({ ...read.session, key: next }), { rotation })
    return written && next
  }

  /** @returns undefined where it does not open: the row was changed, or the ring has lost its key */
  const openSuccessor = async (row: StoredRow, { successor }: Rotation, key: SessionKey) => {
    const ringKey = await ring.find(ringKeyIdOf(row))
    const secret = ringKey && open(successorKey(ringKey.session, key), successor, contextOf(key, ringKey.id))
    return secret === undefined ? undefined : { ...key, secret: Buffer.from(secret, 'base64url') }
  }

  /**
   * The successor of a used refresh token, for a request that may still receive it. A repeat is written down first, so
   * that the second one is refused on every instance.
   *
   * @returns undefined where the use is a reuse
   */
  const successorFor = async (key: SessionKey, use: Use): Promise<Successor | undefined> => {
    for (let attempt = 0; attempt < patience; attempt++) {
      const row = await store.find('sessions', key.rowKey)
      const rotation = row && rotationOf(row)
      const name = hashOf(key)
      if (!row || rotation?.used[0] !== name) return undefined
      if (clock() >= rotation.graceEnd || rotation.origin !== originHash(key, use.origin)) return undefined
      const successor = await openSuccessor(row, rotation, key)
      if (!successor) return undefined
      if (use.arrivedAt < rotation.usedAt) return { key: successor, isRepeat: false }
      if (rotation.repeated.includes(name)) return undefined
      const recent = rotation.repeated.filter((one) => rotation.used.slice(0, repeatWindow).includes(one))
      if (recent.length >= maxRepeats) return undefined
      const marked = withRotation(row, { ...rotation, repeated: [name, ...recent] })
      const written = await store.replace('sessions', marked, row.etag)
      if (written !== undefined) return { key: successor, isRepeat: true }
    }
    throw new BrokerError('renewal_pending', { retryAfterSeconds: 2 })
  }

  /** For a refresh token that does not open its session: a repeat, a theft, or a text that was never issued. */
  const afterUse = async (key: SessionKey, use: Use): Promise<UsedRefreshToken> => {
    const row = await store.find('sessions', key.rowKey)
    if (!row || !rotationOf(row)?.used.includes(hashOf(key))) throw invalid('unknown, or its session is over')
    const successor = await successorFor(key, use)
    const read = successor && (await sessions.find(successor.key))
    if (!read) {
      await options.endForReuse(key)
      throw invalid('used before: its session is ended')
    }
    const { token } = await tokenFor(read, use).catch(unlessSignedOut)
    if (!token) throw invalid('its session is over')
    return {
      token,
      refreshToken: toRefreshToken(successor.key),
      isRepeat: successor.isRepeat,
      ...grantOf(read),
    }
  }

  const tokenFor = async (read: ReadSession, { client, scopes, resource, challenge }: Use) => {
    const { key, owner } = read.session
    const { grantedScopes } = owner
    const requested = scopes ?? grantedScopes
    // Granted scopes too: the registration may have lost them since.
    if (!areRegistered(requested, client) || requested.some((one) => !grantedScopes.includes(one)))
      throw new BrokerError('scope_not_registered')
    const wanted = scopesOfOneApi(requested, resource, client)
    try {
      return { token: await accessTokens.get(key, wanted, challenge) }
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'interaction_required') throw error
      // The API that needs the person comes first: the sign-in is for it, and the new grant has the others too.
      const scope = [...new Set([...wanted, ...grantedScopes])].join(' ')
      throw error.with({ members: { ...error.members, scope } })
    }
  }

  /** @returns undefined where the refresh token opens no session, perhaps since a moment ago */
  const useCurrent = async (key: SessionKey, use: Use): Promise<UsedRefreshToken | undefined> => {
    let read = await sessions.find(key)
    if (!read) return undefined
    const { token } = await tokenFor(read, use).catch(unlessSignedOut)
    for (let attempt = 0; token && read && attempt < patience; attempt++) {
      if (isRenewing(read.row, clock())) await wait(pollMilliseconds)
      const next = isRenewing(read.row, clock()) ? undefined : await rotate(read, use.origin)
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
    // A renewal that hangs, or the pause after a failed one, holds the row: this token stays the current one. That is no
    // reuse, and a fault ends no session.
    return token && read ? { token, refreshToken: toRefreshToken(key), isRepeat: false, ...grantOf(read) } : undefined
  }

  /** Tabs that refresh at the same time count as one use. */
  const useOnce = singleFlight(
    async ({ key, use }: { key: SessionKey; use: Use }) => (await useCurrent(key, use)) ?? (await afterUse(key, use)),
    ({ key, use: { scopes, resource, challenge, origin } }) =>
      JSON.stringify([hashOf(key), key.rowKey.row, scopes, resource, challenge, origin].map((part) => part ?? null)),
  )

  return {
    first: toRefreshToken,

    use: async ({ refreshToken, client, scopes, resource, challenge, origin }) => {
      const key = parseRefreshToken(refreshToken, client.id)
      if (!key) throw invalid('not a refresh token')
      return useOnce({ key, use: { client, scopes, resource, challenge, origin, arrivedAt: clock() } })
    },

    findKey: async (refreshToken, frontEndId) => {
      const key = parseRefreshToken(refreshToken, frontEndId)
      if (!key) return undefined
      if (await sessions.findOwner(key)) return key
      const row = await store.find('sessions', key.rowKey)
      return row && rotationOf(row)?.used.includes(hashOf(key)) ? key : undefined
    },
  }
}

function grantOf({ session: { key, owner } }: ReadSession): Pick<UsedRefreshToken, 'identity' | 'openid' | 'rowKey'> {
  return { identity: owner.identity, openid: owner.openid ?? [], rowKey: key.rowKey }
}

interface Successor {
  readonly key: SessionKey
  readonly isRepeat: boolean
}

interface Use {
  readonly client: Client
  readonly scopes: readonly string[] | undefined
  readonly resource: string | undefined
  readonly challenge: string | undefined
  readonly origin: string | undefined
  /** Milliseconds since the epoch. */
  readonly arrivedAt: number
}

/** Signed out, or sealed under the next token in the meantime: the row is read again. */
function unlessSignedOut(error: unknown): { token: undefined } {
  if (error instanceof BrokerError && error.code === 'signed_out') return { token: undefined }
  throw error
}

/** With the front end: at another client the same token is unknown. */
function hashOf({ frontEndId, secret }: SessionKey): string {
  return createHash('sha256').update(frontEndId).update('\0').update(secret).digest('base64url').slice(0, 22)
}

/** Keyed by the refresh token: a reader of the store does not see which site it was. */
function originHash({ secret }: SessionKey, origin: string | undefined): string {
  return createHash('sha256')
    .update(secret)
    .update(`\0origin\0${origin ?? ''}`)
    .digest('base64url')
    .slice(0, 22)
}

function successorKey(root: Parameters<typeof deriveKey>[0], { secret }: SessionKey) {
  return deriveKey(root, secret, 'successor')
}

function contextOf({ frontEndId, rowKey }: SessionKey, ringKeyId: string): string {
  return JSON.stringify(['1', 'successor', ringKeyId, rowKey.partition, rowKey.row, frontEndId])
}

function invalid(detail: string): BrokerError {
  return new BrokerError('grant_invalid', { detail })
}
