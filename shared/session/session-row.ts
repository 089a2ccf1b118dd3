/** A session: what it holds, and the sealed row that it is kept in. */
import { hash, randomBytes } from 'node:crypto'
import type { Identity } from '../provider/identity.ts'
import type { RingKey } from '../crypto/key-ring.ts'
import { deriveKey, open, seal } from '../crypto/sealing.ts'
import type { Row, RowKey, StoredRow, Values } from '../store/store.ts'

/** Who is signed in, until when. Times are milliseconds since the epoch. */
export interface SessionOwner {
  readonly identity: Identity
  readonly signedInAt: number
  readonly idleEnd: number
  readonly absoluteEnd: number
  /** OAuth clients: what was granted; a refresh may ask for these or fewer (RFC 6749 §6). Empty for a session front end. */
  readonly grantedScopes: readonly string[]
}

export interface AccessToken {
  readonly token: string
  /** As the provider said; space-separated. */
  readonly scope: string
  readonly obtainedAt: number
  readonly expires: number
}

/** Never leaves the broker, but for one access token at a time. */
export interface SessionTokens {
  readonly refreshToken: string | undefined
  /** By the scopes that were asked for, so that a narrower request never gets a wider token. */
  readonly accessTokens: Readonly<Record<string, AccessToken>>
}

export interface Session {
  readonly key: SessionKey
  readonly owner: SessionOwner
  readonly tokens: SessionTokens
}

/** What a cookie and the key ring give together: where the row is, and what opens it. */
export interface SessionKey {
  readonly frontEndId: string
  readonly place: RowKey
  /** In the cookie and nowhere else. */
  readonly secret: Uint8Array
}

const format = '1'
const partitionBytes = 12
const secretBytes = 24

/** Which values of a row hold what; `/session` reads the owner's alone. */
export const ownerColumns = ['format', 'ringKey', 'absoluteEnd', 'owner'] as const

/** Found again by the provider's session (or, without one, by the person), so that a sign-out there reads one partition. */
export function partitionOf(
  { issuer, sessionId, subject }: Pick<Identity, 'issuer' | 'sessionId' | 'subject'>,
  ringKey: RingKey,
): string {
  // The two apart: otherwise a person's subject, which is no secret, would pass for a session in an unsigned sign-out.
  const parts = sessionId === undefined ? ['without session', issuer, subject] : [issuer, sessionId]
  return ringKey.blindIndex(JSON.stringify(parts))
}

/** All sessions of a person carry this; unreadable, and another each month. */
export function personOf({ issuer, subject }: Pick<Identity, 'issuer' | 'subject'>, ringKey: RingKey): string {
  return ringKey.blindIndex(JSON.stringify(['person', issuer, subject]))
}

/** A fresh, random key: what a browser had before opens nothing of it. */
export function newSessionKey(frontEndId: string, identity: Identity, ringKey: RingKey): SessionKey {
  const secret = randomBytes(secretBytes)
  return { frontEndId, place: { partition: partitionOf(identity, ringKey), row: rowOf(secret) }, secret }
}

export function toCookieValue({ place, secret }: SessionKey): string {
  return Buffer.concat([Buffer.from(place.partition, 'base64url'), secret]).toString('base64url')
}

/** @param value of the session cookie; untrusted @returns undefined where it can't be one */
export function fromCookieValue(value: string | undefined, frontEndId: string): SessionKey | undefined {
  if (value === undefined || !/^[\w-]{48}$/.test(value)) return undefined
  const bytes = Buffer.from(value, 'base64url')
  const secret = bytes.subarray(partitionBytes)
  const partition = bytes.subarray(0, partitionBytes).toString('base64url')
  return { frontEndId, place: { partition, row: rowOf(secret) }, secret }
}

/** A reader of the store learns the row's name, which does not give the secret. */
function rowOf(secret: Uint8Array): string {
  return hash('sha256', secret, 'base64url')
}

type Part = 'owner' | 'tokens'

/** Where the sealed bytes belong: moved to another row, front end or end, they don't open. */
function contextOf(part: Part, { frontEndId, place }: SessionKey, ringKeyId: string, absoluteEnd: string): string {
  return JSON.stringify([format, part, ringKeyId, place.partition, place.row, frontEndId, absoluteEnd])
}

/** @param extra values beside the sealed ones (a lease) */
export function toRow({ key, owner, tokens }: Session, ringKey: RingKey, extra: Values = {}): Row {
  const sealingKey = deriveKey(ringKey.session, key.secret, 'session')
  const absoluteEnd = String(owner.absoluteEnd)
  const sealed = (part: Part, content: object) =>
    seal(sealingKey, JSON.stringify(content), contextOf(part, key, ringKey.id, absoluteEnd))
  return {
    ...key.place,
    sweepAfter: new Date(Math.min(owner.idleEnd, owner.absoluteEnd)),
    values: {
      ...extra,
      format,
      ringKey: ringKey.id,
      absoluteEnd,
      person: personOf(owner.identity, ringKey),
      owner: sealed('owner', owner),
      tokens: sealed('tokens', tokens),
    },
  }
}

export function ringKeyIdOf(row: StoredRow): string {
  return typeof row.values.ringKey === 'string' ? row.values.ringKey : ''
}

/** @returns undefined when the row was changed, is another's, or has a format that is not known: no session */
export function openOwner(row: StoredRow, key: SessionKey, ringKey: RingKey): SessionOwner | undefined {
  return openPart('owner', row, key, ringKey) as SessionOwner | undefined
}

export function openTokens(row: StoredRow, key: SessionKey, ringKey: RingKey): SessionTokens | undefined {
  return openPart('tokens', row, key, ringKey) as SessionTokens | undefined
}

function openPart(part: Part, row: StoredRow, key: SessionKey, ringKey: RingKey): unknown {
  const { format: rowFormat, absoluteEnd, [part]: sealed } = row.values
  if (rowFormat !== format || typeof absoluteEnd !== 'string' || !(sealed instanceof Uint8Array)) return undefined
  const sealingKey = deriveKey(ringKey.session, key.secret, 'session')
  const opened = open(sealingKey, sealed, contextOf(part, key, ringKey.id, absoluteEnd))
  return opened === undefined ? undefined : JSON.parse(opened)
}
