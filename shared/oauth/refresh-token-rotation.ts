/**
 * The rotation of a refresh token: each use seals the session under the secret of the next token, so a used token
 * cannot open it (RFC 9700 §4.14.2).
 *
 * An answer can be lost, so a used token is accepted once more within its grace, from the same web origin, and receives
 * the same successor. Requests that arrived before the first use was written count as one use with it.
 */
import { createHash } from 'node:crypto'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { deriveKey, open, seal } from '../crypto/sealing.ts'
import { BrokerError } from '../errors/errors.ts'
import { ringKeyIdOf, rotationOf, withRotation } from '../session/session-row.ts'
import type { Rotation, SessionKey } from '../session/session-row.ts'
import type { ReadSession, Sessions } from '../session/sessions.ts'
import type { Store, StoredRow } from '../store/store.ts'
import { newGrantSecret } from './grant-key.ts'

interface RotationOptions {
  readonly store: Pick<Store, 'find' | 'replace'>
  readonly ring: KeyRing
  readonly sessions: Pick<Sessions, 'replace' | 'touched'>
  readonly clock: Clock
}

/** The circumstances of a use. */
export interface RotationUse {
  /** The header Origin; undefined where no browser sent the request. */
  readonly origin: string | undefined
  /** Milliseconds since the epoch. */
  readonly arrivedAt: number
}

interface Repeat<Answer> {
  readonly answer: Answer
  /** False for a request that arrived before the first use was written: the two are one use. */
  readonly isCounted: boolean
}

const graceMilliseconds = 30_000
/** The most attempts to note a repeat, which competes with the writes of other requests. */
const mostAttempts = 20
/** A refresh token that was used up to this many uses ago is still recognised as used. */
const remembered = 200
/** Of the newest `repeatWindow` refresh tokens, at most `maxRepeats` may be repeated: lost answers are rare. */
const [repeatWindow, maxRepeats] = [10, 2]

/**
 * Uses a refresh token up: the session is sealed under the next one.
 *
 * @returns the key of the next refresh token; undefined where another request wrote the row first
 */
export async function rotate(
  read: ReadSession,
  origin: string | undefined,
  { ring, sessions, clock }: RotationOptions,
): Promise<SessionKey | undefined> {
  const { key } = read.session
  const next = { ...key, secret: newGrantSecret() }
  const ringKey = await ring.current()
  const before = rotationOf(read.row)
  const rotation: Rotation = {
    used: [refreshTokenHash(key), ...(before?.used ?? [])].slice(0, remembered),
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

/** @returns true where the row remembers this refresh token as used */
export function isUsed(row: StoredRow, key: SessionKey): boolean {
  return rotationOf(row)?.used.includes(refreshTokenHash(key)) === true
}

/**
 * A repeat of a used refresh token that is accepted. It is stored before it is answered, so that the second one is
 * refused on every instance, and after the answer is complete: a fault leaves it to the next request.
 *
 * @param answerBy makes the answer by the successor; undefined where that opens no session
 * @returns undefined where the use is a reuse
 * @throws {BrokerError} `renewal_pending` where other requests write the row again and again, and what `answerBy`
 *   throws
 */
export async function repeatOf<Answer>(
  key: SessionKey,
  use: RotationUse,
  answerBy: (successor: SessionKey) => Promise<Answer | undefined>,
  { store, ring, clock }: RotationOptions,
): Promise<Repeat<Answer> | undefined> {
  const name = refreshTokenHash(key)
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const row = await store.find('sessions', key.rowKey)
    const rotation = row && rotationOf(row)
    if (!row || rotation?.used[0] !== name) return undefined
    if (clock() >= rotation.graceEnd || rotation.origin !== originHash(key, use.origin)) return undefined
    const isCounted = use.arrivedAt >= rotation.usedAt
    if (isCounted && rotation.repeated.includes(name)) return undefined
    const recent = rotation.repeated.filter((one) => rotation.used.slice(0, repeatWindow).includes(one))
    if (isCounted && recent.length >= maxRepeats) return undefined
    const successor = await openSuccessor(row, rotation, key, ring)
    const answer = successor && (await answerBy(successor))
    if (answer === undefined) return undefined
    if (!isCounted) return { answer, isCounted }
    const marked = withRotation(row, { ...rotation, repeated: [name, ...recent] })
    const written = await store.replace('sessions', marked, row.etag)
    if (written !== undefined) return { answer, isCounted }
  }
  throw new BrokerError('renewal_pending', { retryAfterSeconds: 2 })
}

/** @returns undefined where it does not open: the row was changed, or the ring has lost its key */
async function openSuccessor(
  row: StoredRow,
  { successor }: Rotation,
  key: SessionKey,
  ring: KeyRing,
): Promise<SessionKey | undefined> {
  const ringKey = await ring.find(ringKeyIdOf(row))
  const secret = ringKey && open(successorKey(ringKey.session, key), successor, contextOf(key, ringKey.id))
  return secret === undefined ? undefined : { ...key, secret: Buffer.from(secret, 'base64url') }
}

/** With the front end: at another client the same token is unknown. */
export function refreshTokenHash({ frontEndId, secret }: SessionKey): string {
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
