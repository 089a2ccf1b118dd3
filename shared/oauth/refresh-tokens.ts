/**
 * Refresh tokens of the OAuth client: opaque handles of a session, each good for one use (RFC 9700 §4.14.2). Using one
 * seals the session anew under the next one's secret, so a used handle opens nothing; within a short grace it still
 * gives the same next handle, since an answer can be lost; after that its use ends the session.
 */
import { createHash, randomBytes } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import { isRenewing } from '../session/access-tokens.ts'
import type { AccessTokens } from '../session/access-tokens.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { deriveKey, open, seal } from '../crypto/sealing.ts'
import { ringKeyIdOf } from '../session/session-row.ts'
import type { AccessToken, SessionKey } from '../session/session-row.ts'
import type { ReadSession, Sessions } from '../session/sessions.ts'
import type { Store, StoredRow } from '../store/store.ts'
import { wait } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import type { FrontEnd } from '../front-ends/front-ends.ts'
import type { EndForReuse } from './reuse.ts'

export interface UsedHandle {
  readonly token: AccessToken
  /** The next one; the same one where a renewal stands in the way of a change. */
  readonly handle: string
}

/** The part of a front end's registration that its handles depend on. */
export type Client = Pick<FrontEnd, 'id' | 'apis'>

/** What a handle is used for. */
interface Use {
  readonly client: Client
  readonly scopes: readonly string[] | undefined
}

export interface RefreshHandles {
  /** The first handle of a session. */
  first(key: SessionKey): string
  /**
   * @param handle as the client sent it; untrusted
   * @param client whose request it is, as it is registered now: what it no longer has is not given, granted or not
   * @param scopes what was granted or fewer of it; all of it where left out (RFC 6749 §6)
   * @returns an access token and the next handle: the same one for a repeat within the grace
   * @throws {BrokerError} `grant_invalid`, `scope_not_registered`, and what `AccessTokens` throws
   */
  use(handle: string, client: Client, scopes: readonly string[] | undefined): Promise<UsedHandle>
  /** The session of a handle, used or not, of this front end; undefined for anything else. RFC 7009 §2.2. */
  findKey(handle: string, frontEndId: string): Promise<SessionKey | undefined>
}

export interface RefreshHandlesOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly sessions: Sessions
  readonly accessTokens: AccessTokens
  readonly endForReuse: EndForReuse
  readonly clock: Clock
}

const graceMilliseconds = 30_000
const pollMilliseconds = 100
/** How often a write is tried against somebody else's. */
const patience = 20
/** A handle that was used this many times ago is still recognised as used. */
const remembered = 200
const [partitionBytes, rowBytes, secretBytes] = [12, 16, 24]

export function newGrantRow(): string {
  return randomBytes(rowBytes).toString('base64url')
}

export function newGrantSecret(): Buffer {
  return randomBytes(secretBytes)
}

export function createRefreshHandles(options: RefreshHandlesOptions): RefreshHandles {
  const { store, ring, sessions, accessTokens, clock } = options

  /** @returns undefined when another request rotated first */
  const rotate = async (read: ReadSession): Promise<string | undefined> => {
    const { key } = read.session
    const next = { ...key, secret: newGrantSecret() }
    const ringKey = await ring.current()
    const successor = seal(
      successorKey(ringKey.session, key),
      Buffer.from(next.secret).toString('base64url'),
      contextOf(key, ringKey.id),
    )
    const used = [hashOf(key), ...usedHashes(read.row)].slice(0, remembered)
    const written = await sessions.replace(read, sessions.touched({ ...read.session, key: next }), {
      handleUsed: used.join(' '),
      handleSuccessor: successor,
      handleGraceEnd: String(clock() + graceMilliseconds),
    })
    return written && toHandle(next)
  }

  /** The handle that followed this one, while it may still be told. */
  const successorOf = async (row: StoredRow, key: SessionKey): Promise<SessionKey | undefined> => {
    const { handleSuccessor, handleGraceEnd } = row.values
    if (usedHashes(row)[0] !== hashOf(key) || !(handleSuccessor instanceof Uint8Array)) return undefined
    if (clock() >= Number(handleGraceEnd)) return undefined
    const ringKey = await ring.find(ringKeyIdOf(row))
    const secret = ringKey && open(successorKey(ringKey.session, key), handleSuccessor, contextOf(key, ringKey.id))
    return secret === undefined ? undefined : { ...key, secret: Buffer.from(secret, 'base64url') }
  }

  /** For a handle that does not open its session: a repeat, a theft, or nothing that was ever given out. */
  const afterUse = async (key: SessionKey, wanted: Use): Promise<UsedHandle> => {
    const row = await store.find('sessions', key.place)
    if (!row || !usedHashes(row).includes(hashOf(key))) throw invalid('unknown, or its session is over')
    const successor = await successorOf(row, key)
    const read = successor && (await sessions.find(successor))
    if (!read) {
      await options.endForReuse(key)
      throw invalid('used before: its session is ended')
    }
    const { token } = await tokenFor(read, wanted).catch(unlessSignedOut)
    if (!token) throw invalid('its session is over')
    return { token, handle: toHandle(successor) }
  }

  const tokenFor = async (read: ReadSession, { client, scopes }: Use) => {
    const { key, owner } = read.session
    const wanted = scopes ?? owner.grantedScopes
    // Also what was granted, since it may have been taken out of the settings meanwhile.
    const isRegistered = client.apis.some((api) => wanted.every((one) => api.scopes.includes(one)))
    if (!isRegistered || wanted.some((one) => !owner.grantedScopes.includes(one)))
      throw new BrokerError('scope_not_registered')
    try {
      return { token: await accessTokens.get(key, wanted) }
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'interaction_required') throw error
      // Which scopes it was about is known here only, where the client named none.
      throw error.with({ members: { ...error.members, scope: wanted.join(' ') } })
    }
  }

  /** @returns undefined where the handle opens nothing, perhaps since a moment ago */
  const useCurrent = async (key: SessionKey, wanted: Use): Promise<UsedHandle | undefined> => {
    let read = await sessions.find(key)
    if (!read) return undefined
    const { token } = await tokenFor(read, wanted).catch(unlessSignedOut)
    for (let attempt = 0; token && read && attempt < patience; attempt++) {
      if (isRenewing(read, clock())) await wait(pollMilliseconds)
      const next = isRenewing(read, clock()) ? undefined : await rotate(read)
      if (next !== undefined) return { token, handle: next }
      // Somebody wrote in between: a renewal, or a use of the same handle, after which it opens nothing.
      read = await sessions.find(key)
    }
    // Still held by a renewal that hangs, or by the pause after one that failed: this handle stays the current one. That
    // is no reuse, and a fault signs nobody out.
    return token && read ? { token, handle: toHandle(key) } : undefined
  }

  return {
    first: toHandle,

    use: async (handle, client, scopes) => {
      const key = fromHandle(handle, client.id)
      if (!key) throw invalid('not a refresh token')
      const wanted = { client, scopes }
      return (await useCurrent(key, wanted)) ?? (await afterUse(key, wanted))
    },

    findKey: async (handle, frontEndId) => {
      const key = fromHandle(handle, frontEndId)
      if (!key) return undefined
      if (await sessions.findOwner(key)) return key
      const row = await store.find('sessions', key.place)
      return row && usedHashes(row).includes(hashOf(key)) ? key : undefined
    },
  }
}

/** Signed out, or sealed under the next handle meanwhile: looked at again. */
function unlessSignedOut(error: unknown): { token: undefined } {
  if (error instanceof BrokerError && error.code === 'signed_out') return { token: undefined }
  throw error
}

function toHandle({ place, secret }: SessionKey): string {
  return Buffer.concat([
    Buffer.from(place.partition, 'base64url'),
    Buffer.from(place.row, 'base64url'),
    secret,
  ]).toString('base64url')
}

function fromHandle(handle: string, frontEndId: string): SessionKey | undefined {
  const bytes = Buffer.from(handle, 'base64url')
  const isHandle = bytes.length === partitionBytes + rowBytes + secretBytes && bytes.toString('base64url') === handle
  if (!isHandle) return undefined
  return {
    frontEndId,
    place: {
      partition: bytes.subarray(0, partitionBytes).toString('base64url'),
      row: bytes.subarray(partitionBytes, partitionBytes + rowBytes).toString('base64url'),
    },
    secret: bytes.subarray(partitionBytes + rowBytes),
  }
}

/** Of the front end too: a handle in another client's hands is nothing. */
function hashOf({ frontEndId, secret }: SessionKey): string {
  return createHash('sha256').update(frontEndId).update('\0').update(secret).digest('base64url').slice(0, 22)
}

function usedHashes(row: StoredRow): readonly string[] {
  const { handleUsed } = row.values
  return typeof handleUsed === 'string' && handleUsed !== '' ? handleUsed.split(' ') : []
}

function successorKey(root: Parameters<typeof deriveKey>[0], { secret }: SessionKey) {
  return deriveKey(root, secret, 'successor')
}

function contextOf({ frontEndId, place }: SessionKey, ringKeyId: string): string {
  return JSON.stringify(['1', 'successor', ringKeyId, place.partition, place.row, frontEndId])
}

function invalid(detail: string): BrokerError {
  return new BrokerError('grant_invalid', { detail })
}
