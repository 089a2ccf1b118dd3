/**
 * Sessions in the store: created at sign-in, read with the cookie, prolonged by use, ended.
 *
 * This folder owns sessions: their rows (session-row.ts) and labels, access tokens for APIs (access-tokens.ts) and
 * their renewal (token-renewal.ts), the end of many at once (end-sessions.ts), and an operator's view
 * (session-administration.ts). It does not own codes and refresh tokens of OAuth clients (oauth/), or the sign-outs
 * that end a session (sign-out/).
 */
import { BrokerError } from '../errors/errors.ts'
import type { RequestCookies } from '../http/cookies.ts'
import { sessionCookieName } from '../http/cookies.ts'
import type { Identity } from '../provider/identity.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing, RingKey } from '../crypto/key-ring.ts'
import {
  fromCookieValue,
  newSessionKey,
  openOwner,
  openProviderSession,
  openTokens,
  ownerColumns,
  providerSessionColumns,
  ringKeyIdOf,
  rotationOf,
  toCookieValue,
  toRow,
} from './session-row.ts'
import type {
  GrantName,
  ProviderSession,
  RowState,
  Session,
  SessionKey,
  SessionOwner,
  SessionTokens,
} from './session-row.ts'
import type { RowKey, Store, StoredRow } from '../store/store.ts'

/** A session together with the row that it was read from: a write succeeds only while that row is unchanged. */
export interface ReadSession {
  readonly session: Session
  readonly row: StoredRow
}

export interface Sessions {
  /** @returns the value of the session cookie: random, so that no earlier cookie opens the session */
  begin(frontEndId: string, identity: Identity, tokens: SessionTokens): Promise<string>
  /** OAuth clients: creates a session in the row and under the secret of `key`. */
  beginGrant(
    key: SessionKey,
    identity: Identity,
    tokens: SessionTokens,
    granted: Pick<SessionOwner, 'grantedScopes' | 'openid'>,
  ): Promise<void>
  /** @param cookies of the request @returns the session's key, where the browser holds one that can be one */
  keyOf(frontEndId: string, cookies: RequestCookies): SessionKey | undefined
  /**
   * Reads the owner alone; the answer may be as old as the cache allows.
   *
   * @returns undefined where there is no session
   */
  findOwner(key: SessionKey): Promise<SessionOwner | undefined>
  find(key: SessionKey): Promise<ReadSession | undefined>
  /**
   * @returns false where the front end no longer takes the person's provider, or the tenant has lost its access: then
   *   no session of this person begins, and none goes on
   */
  admits(frontEndId: string, identity: Identity): Promise<boolean>
  /**
   * Writes the changed session. The rotation of a refresh token stays unless `state` has a new one; a lease does not.
   *
   * @returns undefined where another request has written or ended the session since
   */
  replace(read: ReadSession, next: Session, state?: RowState): Promise<ReadSession | undefined>
  /** The same session with its idle end moved by this use; the absolute end stays. */
  touched(session: Session): Session
  /** For a sign-out that has no secret of the session. @returns undefined where the row keeps nothing for it */
  findProviderSession(name: GrantName): Promise<ProviderSession | undefined>
  /** @param etag limits the end to this version of the row @returns false where it was gone, or changed */
  end(key: Pick<SessionKey, 'rowKey'>, etag?: string): Promise<boolean>
}

export interface SessionsOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly clock: Clock
  readonly idleSeconds: number
  readonly absoluteSeconds: number
  /** A read is served from memory for this long. In that time this instance may miss a sign-out at another instance. */
  readonly cacheSeconds: number
  /** False where the person's tenant was suspended or removed since the sign-in: the session has ended. */
  readonly isAllowed: (identity: Identity, frontEndId: string) => Promise<boolean>
  /** False where the front end no longer accepts the provider of the session: then there is no session. */
  readonly accepts: (frontEndId: string, issuer: string) => boolean
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, ring, clock, accepts, isAllowed } = options
  const cache = new BoundedMap<string, { row: StoredRow; at: number }>(10_000)
  let changes = 0
  /** After a write, not before it. A read that began before the write may return the row as it was, and is not kept. */
  const forget = ({ row }: RowKey) => {
    changes += 1
    cache.delete(row)
  }

  const isLive = ({ idleEnd, absoluteEnd }: SessionOwner) => clock() < idleEnd && clock() < absoluteEnd

  const readOwnerRow = async ({ rowKey }: SessionKey): Promise<StoredRow | undefined> => {
    if (options.cacheSeconds === 0) return store.find('sessions', rowKey, ownerColumns)
    const cached = cache.get(rowKey.row)
    // In both directions: a clock that jumped back must not hide a sign-out for longer.
    if (cached && Math.abs(clock() - cached.at) < options.cacheSeconds * 1000) return cached.row
    const before = changes
    const row = await store.find('sessions', rowKey, ownerColumns)
    if (row && changes === before) cache.set(rowKey.row, { row, at: clock() })
    else cache.delete(rowKey.row)
    return row
  }

  const opened = async (
    row: StoredRow | undefined,
    key: SessionKey,
  ): Promise<{ owner: SessionOwner; ringKey: RingKey } | undefined> => {
    if (!row) return undefined
    const ringKey = await ring.find(ringKeyIdOf(row))
    const owner = ringKey && openOwner(row, key, ringKey)
    if (!owner || !isLive(owner) || !accepts(key.frontEndId, owner.identity.issuer)) return undefined
    if (await isAllowed(owner.identity, key.frontEndId)) return { owner, ringKey }
    // If the removal fails, the row is still refused at each read; the sweep removes it at its end.
    await end(key).catch(() => undefined)
    return undefined
  }

  const end: Sessions['end'] = async ({ rowKey }, etag) => {
    try {
      return await store.remove('sessions', rowKey, etag)
    } finally {
      forget(rowKey)
    }
  }

  const insert: Sessions['beginGrant'] = async (key, identity, tokens, granted) => {
    const absoluteEnd = clock() + options.absoluteSeconds * 1000
    const owner = { identity, signedInAt: clock(), idleEnd: idleEndFrom(absoluteEnd), absoluteEnd, ...granted }
    const made = await store.insert('sessions', toRow({ key, owner, tokens }, await ring.current()))
    if (made === undefined)
      throw new BrokerError('store_unavailable', { detail: 'a row with a fresh name was already there' })
  }

  const idleEndFrom = (absoluteEnd: number) => Math.min(clock() + options.idleSeconds * 1000, absoluteEnd)

  return {
    begin: async (frontEndId, identity, tokens) => {
      const key = newSessionKey(frontEndId, identity, await ring.current())
      await insert(key, identity, tokens, { grantedScopes: [] })
      return toCookieValue(key)
    },

    beginGrant: insert,

    keyOf: (frontEndId, cookies) => fromCookieValue(cookies.get(sessionCookieName(frontEndId)), frontEndId),

    findOwner: async (key) => (await opened(await readOwnerRow(key), key))?.owner,

    find: async (key) => {
      const row = await store.find('sessions', key.rowKey)
      const found = await opened(row, key)
      const tokens = row && found && openTokens(row, key, found.ringKey)
      return tokens && { row, session: { key, owner: found.owner, tokens } }
    },

    admits: async (frontEndId, identity) =>
      accepts(frontEndId, identity.issuer) && (await isAllowed(identity, frontEndId)),

    findProviderSession: async (name) => {
      const row = await store.find('sessions', name.rowKey, providerSessionColumns)
      const ringKey = row && (await ring.find(ringKeyIdOf(row)))
      return ringKey && openProviderSession(row, name, ringKey)
    },

    replace: async (read, next, state = {}) => {
      // Sealed with the current month's key: a session in use does not keep an old key alive.
      const row = toRow(next, await ring.current(), { rotation: rotationOf(read.row), ...state })
      const etag = await store.replace('sessions', row, read.row.etag)
      forget(next.key.rowKey)
      return etag === undefined ? undefined : { session: next, row: { ...row, etag } }
    },

    touched: (session) => ({
      ...session,
      owner: { ...session.owner, idleEnd: idleEndFrom(session.owner.absoluteEnd) },
    }),

    end,
  }
}
