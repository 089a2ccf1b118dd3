/** Sessions in the store: made at sign-in, read with the cookie, kept alive by use, ended. */
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
  openTokens,
  ownerColumns,
  ringKeyIdOf,
  toCookieValue,
  toRow,
} from './session-row.ts'
import type { Session, SessionKey, SessionOwner, SessionTokens } from './session-row.ts'
import type { Store, StoredRow, Values } from '../store/store.ts'

/** A session as it was read: a write names what it was read as. */
export interface ReadSession {
  readonly session: Session
  readonly row: StoredRow
}

export interface Sessions {
  /** @returns the value of the session cookie; random, so nothing a browser had before opens it */
  begin(frontEndId: string, identity: Identity, tokens: SessionTokens): Promise<string>
  /** OAuth clients: a session at a place and under a secret that are given. */
  beginGrant(
    key: SessionKey,
    identity: Identity,
    tokens: SessionTokens,
    grantedScopes: readonly string[],
  ): Promise<void>
  /** @param cookies of the request @returns the session's key, where the browser holds one that can be one */
  keyOf(frontEndId: string, cookies: RequestCookies): SessionKey | undefined
  /** Who is signed in; may be as old as the cache allows. undefined: nobody. */
  findOwner(key: SessionKey): Promise<SessionOwner | undefined>
  find(key: SessionKey): Promise<ReadSession | undefined>
  /** Writes what changed. @returns undefined when somebody else wrote or ended it since */
  replace(read: ReadSession, next: Session, extra?: Values): Promise<ReadSession | undefined>
  /** The same session with its idle end moved by this use; the absolute end stays. */
  touched(session: Session): Session
  /** @param etag where only what was read may be ended @returns false when it was gone, or changed */
  end(key: Pick<SessionKey, 'place'>, etag?: string): Promise<boolean>
}

export interface SessionsOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly clock: Clock
  readonly idleSeconds: number
  readonly absoluteSeconds: number
  /** How long a read may be served from memory: as long may a sign-out on another instance go unseen. */
  readonly cacheSeconds: number
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, ring, clock } = options
  const cache = new BoundedMap<string, { row: StoredRow; at: number }>(10_000)

  const isLive = ({ idleEnd, absoluteEnd }: SessionOwner) => clock() < idleEnd && clock() < absoluteEnd

  const readOwnerRow = async ({ place }: SessionKey): Promise<StoredRow | undefined> => {
    if (options.cacheSeconds === 0) return store.find('sessions', place, ownerColumns)
    const cached = cache.get(place.row)
    // Either way: a clock that jumped back must not hide a sign-out for longer.
    if (cached && Math.abs(clock() - cached.at) < options.cacheSeconds * 1000) return cached.row
    const row = await store.find('sessions', place, ownerColumns)
    if (row) cache.set(place.row, { row, at: clock() })
    else cache.delete(place.row)
    return row
  }

  const opened = async (
    row: StoredRow | undefined,
    key: SessionKey,
  ): Promise<{ owner: SessionOwner; ringKey: RingKey } | undefined> => {
    if (!row) return undefined
    const ringKey = await ring.find(ringKeyIdOf(row))
    const owner = ringKey && openOwner(row, key, ringKey)
    return owner && isLive(owner) ? { owner, ringKey } : undefined
  }

  const insert: Sessions['beginGrant'] = async (key, identity, tokens, grantedScopes) => {
    const absoluteEnd = clock() + options.absoluteSeconds * 1000
    const owner = { identity, signedInAt: clock(), idleEnd: idleEndFrom(absoluteEnd), absoluteEnd, grantedScopes }
    const made = await store.insert('sessions', toRow({ key, owner, tokens }, await ring.current()))
    if (made === undefined) throw new BrokerError('store_unavailable', { detail: 'a fresh row was already there' })
  }

  const idleEndFrom = (absoluteEnd: number) => Math.min(clock() + options.idleSeconds * 1000, absoluteEnd)

  return {
    begin: async (frontEndId, identity, tokens) => {
      const key = newSessionKey(frontEndId, identity, await ring.current())
      await insert(key, identity, tokens, [])
      return toCookieValue(key)
    },

    beginGrant: insert,

    keyOf: (frontEndId, cookies) => fromCookieValue(cookies.get(sessionCookieName(frontEndId)), frontEndId),

    findOwner: async (key) => (await opened(await readOwnerRow(key), key))?.owner,

    find: async (key) => {
      const row = await store.find('sessions', key.place)
      const found = await opened(row, key)
      const tokens = row && found && openTokens(row, key, found.ringKey)
      return tokens && { row, session: { key, owner: found.owner, tokens } }
    },

    replace: async (read, next, extra = {}) => {
      // Sealed with the month's key again: a session in use does not keep an old one alive.
      const row = toRow(next, await ring.current(), { ...carriedOver(read.row.values), ...extra })
      const etag = await store.replace('sessions', row, read.row.etag)
      cache.delete(next.key.place.row)
      return etag === undefined ? undefined : { session: next, row: { ...row, etag } }
    },

    touched: (session) => ({
      ...session,
      owner: { ...session.owner, idleEnd: idleEndFrom(session.owner.absoluteEnd) },
    }),

    end: async ({ place }, etag) => {
      cache.delete(place.row)
      return store.remove('sessions', place, etag)
    },
  }
}

/** What a refresh handle keeps beside the session stays through every write; a lease does not. */
function carriedOver(values: Values): Values {
  return Object.fromEntries(Object.entries(values).filter(([name]) => name.startsWith('handle')))
}
