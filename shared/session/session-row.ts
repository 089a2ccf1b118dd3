/**
 * A session and its row in the store. This file is the only one that knows the columns: the owner and the tokens are
 * sealed by the cookie's secret and the key ring together; times, a lease of a renewal and the rotation of a refresh
 * token are stored beside them unencrypted, and labels as keyed hashes (session-labels.ts):
 * they cannot open the session.
 */
import { hash } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { tokenIssuerOf } from '../provider/identity.ts'
import type { Identity } from '../provider/identity.ts'
import type { RingKey } from '../crypto/key-ring.ts'
import { randomValue } from '../crypto/random.ts'
import { deriveKey, open, seal } from '../crypto/sealing.ts'
import { wordsOf } from '../front-ends/space-separated.ts'
import type { Row, RowKey, StoredRow } from '../store/store.ts'
import { labelNames, labelsOf } from './session-labels.ts'
import type { LabelName } from './session-labels.ts'

/** The person of a session, and its ends. Times are milliseconds since the epoch. */
export interface SessionOwner {
  readonly identity: Identity
  readonly signedInAt: number
  readonly idleEnd: number
  readonly absoluteEnd: number
  /**
   * OAuth clients: the granted scopes, of several APIs where it requested them; a refresh may request these or fewer
   * (RFC 6749 §6). Empty for a session front end.
   */
  readonly grantedScopes: readonly string[]
  /** OAuth clients: the granted OpenID scopes; a refresh issues an ID token where `openid` is among them. */
  readonly openid?: readonly string[] | undefined
}

export interface AccessToken {
  readonly token: string
  /** As the provider named it; space-separated. */
  readonly scope: string
  readonly obtainedAt: number
  readonly expires: number
  /** Set where it is renewed long before its end. */
  readonly renewAfter?: number | undefined
  /** A hash of the claims challenge that it was requested with. */
  readonly challenge?: string | undefined
}

/**
 * The part of a grant that a sign-out by ID token needs (RP-Initiated Logout 1.0 §2). That request has no refresh
 * token, so this part is sealed by the key ring alone.
 */
export interface ProviderSession {
  /** `issuer` of the identity. */
  readonly issuer: string
  readonly idToken?: string | undefined
  readonly logoutHint?: string | undefined
}

/** Never leaves the broker, except for one access token at a time. */
export interface SessionTokens {
  /** For the provider's sign-out; undefined where the provider needs none, and in rows of an earlier release. */
  readonly idToken?: string | undefined
  readonly refreshToken: string | undefined
  /** By the requested scopes, so that a narrower request never receives a wider token. */
  readonly accessTokens: Readonly<Record<string, AccessToken>>
}

export interface Session {
  readonly key: SessionKey
  readonly owner: SessionOwner
  readonly tokens: SessionTokens
}

/** A cookie, or a refresh token, parsed: where the row is, and the secret that opens it with the key ring. */
export interface SessionKey {
  readonly frontEndId: string
  readonly rowKey: RowKey
  /** Only in the cookie or the refresh token. */
  readonly secret: Uint8Array
}

/** One instance renews the session's tokens. Another one waits for its result. */
export interface Lease {
  /** Random, so that an instance recognises its own. */
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly end: number
}

/**
 * The used refresh tokens of a session, and the circumstances of the last use. Times are milliseconds since the epoch.
 */
export interface Rotation {
  /** Hashes of used refresh tokens, the newest first. */
  readonly used: readonly string[]
  /** Those of them that were also repeated within their grace. */
  readonly repeated: readonly string[]
  /** The successor of the newest one, sealed by it. */
  readonly successor: Uint8Array
  readonly usedAt: number
  readonly graceEnd: number
  /** A keyed hash of the web origin that used it. */
  readonly origin: string
}

/** The parts of a row that are not sealed. */
export interface RowState {
  readonly lease?: Lease | undefined
  readonly rotation?: Rotation | undefined
}

type Columns =
  | LabelName
  | 'format'
  | 'ringKey'
  | 'absoluteEnd'
  | 'signedInAt'
  | 'owner'
  | 'tokens'
  | 'providerSession'
  | 'lease'
  | 'leaseEnd'
  | 'handleUsed'
  | 'handleRepeated'
  | 'handleSuccessor'
  | 'handleUsedAt'
  | 'handleGraceEnd'
  | 'handleOrigin'

type RowValues = Readonly<Partial<Record<Columns, string | Uint8Array>>>

const format = '1'
const partitionBytes = 12
const secretBytes = 24

/** An operator's list reads these alone. */
export const listedColumns = [
  ...labelNames,
  'ringKey',
  'absoluteEnd',
  'signedInAt',
] as const satisfies readonly Columns[]

/** `GET /session` reads these alone. */
export const ownerColumns = ['format', 'ringKey', 'absoluteEnd', 'owner'] as const satisfies readonly Columns[]

/** A sign-out by ID token reads these alone. */
export const providerSessionColumns = [
  'format',
  'ringKey',
  'absoluteEnd',
  'providerSession',
] as const satisfies readonly Columns[]

/**
 * The partition of a session: a keyed hash of the provider's session, or of the person where the provider names no
 * session. A sign-out at the provider then reads one partition.
 */
export function partitionOf(
  of: Pick<Identity, 'issuer' | 'tokenIssuer' | 'sessionId' | 'subject'>,
  ringKey: RingKey,
): string {
  // The two differ in form: otherwise a person's subject, which is no secret, could be sent as a session in an unsigned
  // sign-out. The issuer of a session is the provider's key: a sign-out in a frame need not name the tenant's issuer.
  const parts =
    of.sessionId === undefined ? ['without session', tokenIssuerOf(of), of.subject] : [of.issuer, of.sessionId]
  return ringKey.blindIndex(JSON.stringify(parts))
}

/** A fresh, random key: no cookie that the browser had before opens it. */
export function newSessionKey(frontEndId: string, identity: Identity, ringKey: RingKey): SessionKey {
  const secret = randomValue(secretBytes)
  return { frontEndId, rowKey: { partition: partitionOf(identity, ringKey), row: rowOf(secret) }, secret }
}

export function toCookieValue({ rowKey, secret }: SessionKey): string {
  return Buffer.concat([Buffer.from(rowKey.partition, 'base64url'), secret]).toString('base64url')
}

/** @param value of the session cookie; untrusted @returns undefined for a value that has another form */
export function fromCookieValue(value: string | undefined, frontEndId: string): SessionKey | undefined {
  if (value === undefined || !/^[\w-]{48}$/.test(value)) return undefined
  const bytes = Buffer.from(value, 'base64url')
  const secret = bytes.subarray(partitionBytes)
  const partition = bytes.subarray(0, partitionBytes).toString('base64url')
  return { frontEndId, rowKey: { partition, row: rowOf(secret) }, secret }
}

/** A reader of the store sees the row's name, which does not reveal the secret. */
function rowOf(secret: Uint8Array): string {
  return hash('sha256', secret, 'base64url')
}

type Part = 'owner' | 'tokens' | 'providerSession'

/** The name of a session, without the secret that opens it. */
export type GrantName = Pick<SessionKey, 'frontEndId' | 'rowKey'>

/** Binds the sealed bytes to their row, front end and end: in any other row they do not open. */
function contextOf(part: Part, { frontEndId, rowKey }: GrantName, ringKeyId: string, absoluteEnd: string): string {
  return JSON.stringify([format, part, ringKeyId, rowKey.partition, rowKey.row, frontEndId, absoluteEnd])
}

/** @param state the lease and the rotation that the row carries from now on */
export function toRow({ key, owner, tokens }: Session, ringKey: RingKey, state: RowState = {}): Row {
  const sealingKey = sealingKeyOf(key, ringKey)
  const absoluteEnd = String(owner.absoluteEnd)
  const sealed = (part: Part, content: object, by = sealingKey) =>
    seal(by, JSON.stringify(content), contextOf(part, key, ringKey.id, absoluteEnd))
  const values: RowValues = {
    ...leaseColumns(state.lease),
    ...rotationColumns(state.rotation),
    format,
    ringKey: ringKey.id,
    absoluteEnd,
    ...labelsOf(owner.identity, key.frontEndId, ringKey),
    // In clear, for the operator's list. `absoluteEnd` reveals the same time.
    signedInAt: String(owner.signedInAt),
    owner: sealed('owner', owner),
    tokens: sealed('tokens', tokens),
    ...(owner.openid?.includes('openid')
      ? { providerSession: sealed('providerSession', providerSessionOf(owner, tokens), providerSessionKeyOf(ringKey)) }
      : {}),
  }
  return {
    ...key.rowKey,
    sweepAfter: new Date(Math.min(owner.idleEnd, owner.absoluteEnd)),
    values,
  }
}

export function ringKeyIdOf(row: StoredRow): string {
  return textOf(row, 'ringKey')
}

/**
 * @returns undefined where the row was changed, belongs to another key, or has an unknown format: there is no session
 */
export function openOwner(row: StoredRow, key: SessionKey, ringKey: RingKey): SessionOwner | undefined {
  return openPart('owner', row, key, ringKey, sealingKeyOf(key, ringKey)) as SessionOwner | undefined
}

/** @returns undefined in the same cases as `openOwner` */
export function openTokens(row: StoredRow, key: SessionKey, ringKey: RingKey): SessionTokens | undefined {
  return openPart('tokens', row, key, ringKey, sealingKeyOf(key, ringKey)) as SessionTokens | undefined
}

/** @returns undefined where the row has none, as every row of an earlier release, or where it was changed */
export function openProviderSession(row: StoredRow, name: GrantName, ringKey: RingKey): ProviderSession | undefined {
  return openPart('providerSession', row, name, ringKey, providerSessionKeyOf(ringKey)) as ProviderSession | undefined
}

function providerSessionOf({ identity }: SessionOwner, { idToken }: SessionTokens): ProviderSession {
  return { issuer: identity.issuer, idToken, logoutHint: identity.loginHint }
}

function sealingKeyOf({ secret }: SessionKey, { session }: RingKey): KeyObject {
  return deriveKey(session, secret, 'session')
}

function providerSessionKeyOf({ session }: RingKey): KeyObject {
  return deriveKey(session, '', 'provider session')
}

function openPart(part: Part, row: StoredRow, name: GrantName, ringKey: RingKey, sealingKey: KeyObject): unknown {
  const { format: rowFormat, absoluteEnd, [part]: sealed } = row.values
  if (rowFormat !== format || typeof absoluteEnd !== 'string' || !(sealed instanceof Uint8Array)) return undefined
  const opened = open(sealingKey, sealed, contextOf(part, name, ringKey.id, absoluteEnd))
  return opened === undefined ? undefined : JSON.parse(opened)
}

/** Must exceed the provider timeout (10 s); otherwise a second instance could renew while the first one still waits. */
export const leaseMilliseconds = 15_000

/** @returns undefined where no renewal has marked the row */
export function leaseOf(row: StoredRow): Lease | undefined {
  const [id, end] = [textOf(row, 'lease'), Number(textOf(row, 'leaseEnd'))]
  return id === '' || !Number.isFinite(end) ? undefined : { id, end }
}

/** @returns true while a renewal is under way on some instance: another write would lose its result */
export function isRenewing(row: StoredRow, now: number): boolean {
  const end = leaseOf(row)?.end ?? 0
  // A lease by a clock that is far ahead would never end.
  return now < end && end < now + 2 * leaseMilliseconds
}

/** @returns undefined where no refresh token of the session has been used */
export function rotationOf(row: StoredRow): Rotation | undefined {
  const successor = (row.values as RowValues).handleSuccessor
  const used = hashesOf(row, 'handleUsed')
  if (used.length === 0 || !(successor instanceof Uint8Array)) return undefined
  return {
    used,
    repeated: hashesOf(row, 'handleRepeated'),
    successor,
    usedAt: Number(textOf(row, 'handleUsedAt')),
    graceEnd: Number(textOf(row, 'handleGraceEnd')),
    origin: textOf(row, 'handleOrigin'),
  }
}

/** The same row with another rotation; the sealed parts and the lease stay. */
export function withRotation(row: StoredRow, rotation: Rotation): StoredRow {
  return { ...row, values: { ...row.values, ...rotationColumns(rotation) } }
}

function leaseColumns(lease: Lease | undefined): RowValues {
  return lease ? { lease: lease.id, leaseEnd: String(lease.end) } : {}
}

function rotationColumns(rotation: Rotation | undefined): RowValues {
  if (!rotation) return {}
  return {
    handleUsed: rotation.used.join(' '),
    handleRepeated: rotation.repeated.join(' '),
    handleSuccessor: rotation.successor,
    handleUsedAt: String(rotation.usedAt),
    handleGraceEnd: String(rotation.graceEnd),
    handleOrigin: rotation.origin,
  }
}

function textOf(row: StoredRow, column: Columns): string {
  const value = (row.values as RowValues)[column]
  return typeof value === 'string' ? value : ''
}

function hashesOf(row: StoredRow, column: Columns): readonly string[] {
  return wordsOf(textOf(row, column))
}
