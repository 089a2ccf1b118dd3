/**
 * Keys that sign ID tokens: one a month and algorithm, RSA-2048 (RS256) or P-256 (ES256). A key is sealed in a row
 * under a key of the ring, with its row in the context: a writer of the store can remove a key, and cannot plant one.
 * It is published for 24 hours before it signs, so that clients that cache the key set know it, and for some days after
 * the month, until the last token that it signed has expired. It verifies a sign-out's hint for a week longer. OpenID
 * Connect Core §10.1.1, RFC 7517, RFC 7638.
 */
import { createPrivateKey, createPublicKey, generateKeyPair, hash, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import type { KeyRing, RingKey } from '../crypto/key-ring.ts'
import { endOfMonth, monthOf } from '../crypto/months.ts'
import { monthOfKeyId } from '../crypto/ring-key.ts'
import { openSealedRow, sealedValues } from '../crypto/sealed-row.ts'
import type { RowSeal } from '../crypto/sealed-row.ts'
import { asBrokerError, BrokerError } from '../errors/errors.ts'
import type { Row, Store, StoredRow } from '../store/store.ts'

export type SigningAlgorithm = 'RS256' | 'ES256'

interface SigningKey {
  /** The thumbprint of the public key (RFC 7638). */
  readonly id: string
  readonly algorithm: SigningAlgorithm
  readonly privateKey: KeyObject
  readonly publicJwk: Readonly<Record<string, unknown>>
  /** `2026-11`. */
  readonly month: string
  /** Milliseconds since the epoch. */
  readonly createdAt: number
}

export interface SigningKeys {
  /** @returns a compact JWS (RFC 7515) of these claims; it is signed off the event loop */
  sign(claims: Readonly<Record<string, unknown>>, algorithm: SigningAlgorithm): Promise<string>
  /**
   * The published key set: every key that signs, will sign, or may have signed a valid token.
   *
   * @throws {BrokerError} where one of them cannot be read: a client would refuse its tokens
   */
  published(): Promise<readonly Readonly<Record<string, unknown>>[]>
  /**
   * The key of this id, to verify a token of the broker's own; published, or no longer.
   *
   * @throws {BrokerError} where a key that cannot be read may be the one
   */
  find(id: string): Promise<SigningKey | undefined>
  /** @throws {BrokerError} where this instance has no key of the algorithm to sign with */
  check(algorithm: SigningAlgorithm): Promise<void>
}

interface SigningKeysOptions {
  readonly store: Store
  readonly ring: KeyRing
  readonly clock: Clock
  /** The algorithms that the registrations name. */
  readonly algorithms: readonly SigningAlgorithm[]
  readonly onFault: (error: unknown) => void
}

const partition = 'id-token-keys'
const rowSeal: RowSeal = {
  format: '1',
  purpose: 'id-token-key',
  column: 'key',
  keyOf: (ringKey) => ringKey.keyFor('id token key'),
}
const hour = 60 * 60 * 1000
/** How long a key is published before it signs, where another key can sign in that time. */
const publishedFirst = 24 * hour
/** How long after its month a key may sign: an idle month ends without a request that makes the next key. */
const signsAfterMonth = 3 * 24 * hour
/** How long after its month a key stays published: past the last token that it signed. */
const publishedAfterMonth = 4 * 24 * hour
/**
 * How long after its month a key verifies a token that names a session to end: past the longest session, seven days.
 */
const verifiesAfterMonth = 11 * 24 * hour
/** A removed row (an emergency) stops signing within this time, on every instance. */
const rereadAfter = 5 * 60 * 1000
const rereadAfterFault = 10_000

export function createSigningKeys(options: SigningKeysOptions): SigningKeys {
  const { store, ring, clock } = options
  let keys: readonly SigningKey[] = []
  let unread: readonly UnreadRow[] = []
  let validUntil = -Infinity

  /** A row of another month that cannot be read, such as while the vault fails, stops no signature. */
  const load = singleFlight(async (): Promise<readonly SigningKey[]> => {
    const rows = await store.list('service', partition)
    const failed: UnreadRow[] = []
    const opened = await Promise.all(
      rows.map((row) =>
        openAndKeep(row).catch((error: unknown) => {
          failed.push({ row: row.row, error: asBrokerError(error) })
          return undefined
        }),
      ),
    )
    const known = opened.filter((key) => key !== undefined && clock() < endOfMonth(key.month) + verifiesAfterMonth)
    const missing = options.algorithms.filter(
      (algorithm) => !known.some((key) => key?.algorithm === algorithm && key.month === monthOf(clock())),
    )
    const own = failed.find(({ row }) => missing.some((algorithm) => row === nameOf(monthOf(clock()), algorithm)))
    // A new key would take the place of the one that cannot be read.
    if (own) throw own.error
    const made = await Promise.all(missing.map((algorithm) => makeKey(algorithm, rows)))
    keys = [...known, ...made].filter((key) => key !== undefined)
    unread = failed
    for (const { error } of failed) options.onFault(error)
    validUntil = clock() + (failed.length > 0 ? rereadAfterFault : rereadAfter)
    return keys
  })

  /**
   * At the start of a month the ring may still seal with the key of the month before, which ends some days later. Such
   * a row is sealed again with the ring's next key: otherwise it would count as damaged in the middle of its month.
   */
  const openAndKeep = async (row: StoredRow): Promise<SigningKey | undefined> => {
    const key = await openRow(row, ring)
    const sealedIn = monthOfKeyId(String(row.values.ringKey)) ?? ''
    if (!key || sealedIn >= key.month) return key
    try {
      const ringKey = await ring.current()
      if ((monthOfKeyId(ringKey.id) ?? '') > sealedIn) {
        await store.replace('service', toRow(key, ringKey), row.etag)
      }
    } catch (error) {
      // The row opens for some days more.
      options.onFault(error)
    }
    return key
  }

  /** Inserts the month's key. A row that does not open was damaged or planted, and is replaced. */
  const makeKey = async (algorithm: SigningAlgorithm, rows: readonly StoredRow[]): Promise<SigningKey | undefined> => {
    const month = monthOf(clock())
    const key = toSigningKey(await newPrivateKey(algorithm), algorithm, month, clock())
    const row = toRow(key, await ring.current())
    const damaged = rows.find((one) => one.row === row.row)
    const written = damaged ? await store.replace('service', row, damaged.etag) : await store.insert('service', row)
    if (written !== undefined) return key
    // Another instance was first.
    const theirs = await store.find('service', row)
    return theirs && openRow(theirs, ring)
  }

  const current = async (): Promise<readonly SigningKey[]> => {
    // In both directions: a clock that jumped back must not keep a removed key for longer.
    const isFresh = clock() < validUntil && validUntil <= clock() + rereadAfter
    const hasMonth = options.algorithms.every((algorithm) =>
      keys.some((key) => key.algorithm === algorithm && key.month === monthOf(clock())),
    )
    if (isFresh && hasMonth) return keys
    try {
      return await load()
    } catch (error) {
      if (keys.length === 0) throw error
      // A fault of the store must not prevent sign-ins: the keys in memory stay valid for a while.
      options.onFault(error)
      validUntil = clock() + rereadAfterFault
      return keys
    }
  }

  const signer = async (algorithm: SigningAlgorithm): Promise<SigningKey> => {
    const key = signingKey(await current(), algorithm, clock())
    if (!key) throw new BrokerError('store_unavailable', { detail: `no ${algorithm} key for ID tokens` })
    return key
  }
  const isPublished = (month: string) => clock() < endOfMonth(month) + publishedAfterMonth

  return {
    sign: async (claims, algorithm) => signToken(claims, await signer(algorithm)),
    check: async (algorithm) => {
      await signer(algorithm)
    },
    published: async () => {
      const all = await current()
      const hidden = unread.find(({ row }) => isPublished(row.slice(0, 7)))
      if (hidden) throw hidden.error
      return all.filter(({ month }) => isPublished(month)).map(({ publicJwk }) => publicJwk)
    },
    find: async (id) => {
      const found = (await current()).find((key) => key.id === id)
      if (!found && unread[0]) throw unread[0].error
      return found
    },
  }
}

/** A row that the ring cannot open now. */
interface UnreadRow {
  readonly row: string
  readonly error: BrokerError
}

function nameOf(month: string, algorithm: SigningAlgorithm): string {
  return `${month}-${algorithm}`
}

/** The newest key that was published for long enough; without one, the oldest. */
function signingKey(keys: readonly SigningKey[], algorithm: SigningAlgorithm, now: number): SigningKey | undefined {
  const able = keys
    .filter((key) => key.algorithm === algorithm && now < endOfMonth(key.month) + signsAfterMonth)
    .sort((a, b) => b.createdAt - a.createdAt)
  return able.find(({ createdAt }) => createdAt <= now - publishedFirst) ?? able.at(-1)
}

async function signToken(claims: Readonly<Record<string, unknown>>, key: SigningKey): Promise<string> {
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')
  const input = `${encode({ alg: key.algorithm, typ: 'JWT', kid: key.id })}.${encode(claims)}`
  const signature = await promisify(sign)('sha256', Buffer.from(input), signatureKey(key))
  return `${input}.${signature.toString('base64url')}`
}

/** RFC 7518 §3.4: an ES256 signature is R and S, not DER. */
function signatureKey({ algorithm, privateKey }: SigningKey) {
  return algorithm === 'ES256' ? { key: privateKey, dsaEncoding: 'ieee-p1363' as const } : { key: privateKey }
}

function toRow({ privateKey, algorithm, month, createdAt }: SigningKey, ringKey: RingKey): Row {
  const rowKey = { partition, row: nameOf(month, algorithm) }
  const content = { pkcs8: privateKey.export({ format: 'der', type: 'pkcs8' }).toString('base64'), createdAt }

  return {
    ...rowKey,
    sweepAfter: new Date(endOfMonth(month) + verifiesAfterMonth),
    values: sealedValues(JSON.stringify(content), rowKey, ringKey, rowSeal),
  }
}

async function newPrivateKey(algorithm: SigningAlgorithm): Promise<KeyObject> {
  const generate = promisify(generateKeyPair)
  const { privateKey } =
    algorithm === 'RS256'
      ? await generate('rsa', { modulusLength: 2048 })
      : await generate('ec', { namedCurve: 'P-256' })
  return privateKey
}

/** @returns undefined where the row does not open, or has another name @throws {BrokerError} the errors of the ring */
async function openRow(row: StoredRow, ring: KeyRing): Promise<SigningKey | undefined> {
  const [, month, algorithm] = /^(\d{4}-\d{2})-(RS256|ES256)$/.exec(row.row) ?? []
  const opened = month === undefined ? undefined : await openSealedRow(row, ring, rowSeal)
  if (month === undefined || opened === undefined) return undefined
  const { pkcs8, createdAt } = JSON.parse(opened) as { pkcs8: string; createdAt: number }
  const privateKey = createPrivateKey({ key: Buffer.from(pkcs8, 'base64'), format: 'der', type: 'pkcs8' })
  return toSigningKey(privateKey, algorithm as SigningAlgorithm, month, createdAt)
}

function toSigningKey(
  privateKey: KeyObject,
  algorithm: SigningAlgorithm,
  month: string,
  createdAt: number,
): SigningKey {
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
  const id = thumbprint(jwk)
  return { id, algorithm, privateKey, month, createdAt, publicJwk: { ...jwk, kid: id, use: 'sig', alg: algorithm } }
}

/** RFC 7638 §3: the required members in alphabetical order. */
function thumbprint({ crv, e, kty, n, x, y }: Record<string, unknown>): string {
  const members = kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y }
  return hash('sha256', JSON.stringify(members), 'base64url')
}
