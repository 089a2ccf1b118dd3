/**
 * The keys that seal sessions and transactions: one a month, wrapped by a Key Vault key, shared through the store.
 *
 * A warm instance never waits for the vault: it goes on with the newest key it has while the month's key is fetched.
 * An instance that can read no key says so; it never makes one of its own beside a row that is there.
 */
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import type { KeyWrapper } from '../vault/vault.ts'
import { deriveKey } from './sealing.ts'
import type { Store, StoredRow } from '../store/store.ts'

/** One month's keys, each for one purpose. */
export interface RingKey {
  /**
   * The month, and what tells this key from another of the same month, `2026-11-5f0c2a91`; stands in clear beside what
   * it sealed. Where a row was lost and made anew, nobody takes what the other key sealed for a forgery.
   */
  readonly id: string
  readonly transaction: KeyObject
  readonly session: KeyObject
  /** For a value that must be found again without being readable. @returns 96 bits, base64url */
  blindIndex(text: string): string
}

export interface KeyRing {
  /** The key to seal with. */
  current(): Promise<RingKey>
  /** The key that sealed something; undefined when no such key is in the ring. */
  find(id: string): Promise<RingKey | undefined>
  /** Every key that may have sealed what still opens here: the ring's, and lost ones that this instance has in memory. */
  keys(): Promise<readonly RingKey[]>
}

const partition = 'key-ring'
const format = '1'
const rereadUnknownAfter = 30_000
const retryAfter = 5_000
/** How long into the next month a key may go on sealing where that month's key can't be had; its row stays for longer. */
const overtime = 7 * 24 * 60 * 60 * 1000
/** By how much another instance's clock may be ahead: there the next month has begun, and its key seals. */
const clockTolerance = 5 * 60 * 1000

export interface KeyRingOptions {
  readonly store: Store
  readonly wrapper: KeyWrapper
  readonly clock: Clock
  /** How long something sealed in the last second of a month must still open. */
  readonly neededForSeconds: number
  /** For the log: a warm instance that can't get the month's key goes on, and somebody should know. */
  readonly onFault: (error: unknown) => void
}

export function createKeyRing({ store, wrapper, clock, neededForSeconds, onFault }: KeyRingOptions): KeyRing {
  /** By month, what its row holds. */
  const current = new Map<string, { readonly key: RingKey; readonly etag: string }>()
  /** By id, whatever this instance has ever had. */
  const had = new BoundedMap<string, RingKey>(64)
  const failures = new Map<string, { error: unknown; until: number }>()
  let rows: ReadonlyMap<string, StoredRow> | undefined
  let rowsReadAt = -Infinity

  const readRows = singleFlight(async () => {
    const list = await store.list('service', partition)
    rowsReadAt = clock()
    rows = new Map(list.map((row) => [row.row, row]))
    return rows
  })

  /** @param not the etag of a row that is known and was not the one */
  const rowFor = async (month: string, not?: string): Promise<StoredRow | undefined> => {
    const known = (rows ?? (await readRows())).get(month)
    // Either way: a clock that jumped back must not make the pause an hour long.
    const isFresh = Math.abs(clock() - rowsReadAt) < rereadUnknownAfter
    return isFresh || (known && known.etag !== not) ? known : (await readRows()).get(month)
  }

  const unwrapRow = async (row: StoredRow): Promise<RingKey> => {
    const { wrapped, wrappingVersion } = row.values
    if (row.values.format !== format || !(wrapped instanceof Uint8Array) || typeof wrappingVersion !== 'string') {
      throw new BrokerError('key_ring_unreadable', { detail: `row ${row.row} has a format that is not known here` })
    }
    return keep(row.row, await wrapper.unwrap(wrapped, wrappingVersion), row.etag)
  }

  const keep = (month: string, secret: Uint8Array, etag: string): RingKey => {
    if (secret.length !== 32)
      throw new BrokerError('key_ring_unreadable', { detail: `row ${month} has a key of a wrong size` })
    const key = toRingKey(month, secret)
    current.set(month, { key, etag })
    had.set(key.id, key)
    return key
  }

  /** Makes the month's row, or takes the one that another instance made first. */
  const makeRow = async (month: string): Promise<RingKey> => {
    const secret = randomBytes(32)
    const { wrapped, version } = await wrapper.wrap(secret)
    const made = await store.insert('service', {
      partition,
      row: month,
      sweepAfter: new Date(neededUntil(month)),
      values: { format, wrapped, wrappingVersion: version },
    })
    const now = await readRows()
    if (made !== undefined) return keep(month, secret, made)
    const theirs = now.get(month)
    if (!theirs) throw new BrokerError('store_unavailable', { detail: 'the key ring’s row came and went' })
    return unwrapRow(theirs)
  }

  const neededUntil = (month: string) => endOfMonth(month) + overtime + neededForSeconds * 1000
  const hasBegunSomewhere = (month: string) => month === monthOf(clock()) || month === monthOf(clock() + clockTolerance)

  /** The month's key by its row: the first time, or again where another one than the one at hand is asked for. */
  const load = singleFlight(async (month: string): Promise<RingKey | undefined> => {
    const failed = failures.get(month)
    if (failed && clock() < failed.until && failed.until <= clock() + retryAfter) throw failed.error
    const loaded = current.get(month)
    try {
      const row = await rowFor(month, loaded?.etag)
      if (row) return row.etag === loaded?.etag ? loaded.key : await unwrapRow(row)
      if (!loaded) return hasBegunSomewhere(month) ? await makeRow(month) : undefined
      // Who has the key of a lost row goes on with it, until somebody who has not makes the month's row anew.
      if (clock() < neededUntil(month)) {
        onFault(new BrokerError('key_ring_unreadable', { detail: `row ${month} is not there any more` }))
      }
      return loaded.key
    } catch (error) {
      failures.set(month, { error, until: clock() + retryAfter })
      // What was read may be what is wrong, and mended meanwhile.
      rows = undefined
      throw error
    }
  })

  const isInRing = async (month: string) => hasBegunSomewhere(month) || (await rowFor(month)) !== undefined

  return {
    current: async () => {
      const month = monthOf(clock())
      const ready = current.get(month)
      if (ready) return ready.key
      const newest = [...current].sort(([a], [b]) => b.localeCompare(a))[0]
      const loading = load(month)
      // An older one would be swept before what it seals now has ended.
      if (newest && clock() < endOfMonth(newest[0]) + overtime) {
        loading.catch(onFault)
        return newest[1].key
      }
      const key = await loading
      if (!key) throw new BrokerError('key_ring_unreadable', { detail: 'the month changed while its key was made' })
      return key
    },
    find: async (id) => {
      const ready = had.get(id)
      if (ready) return ready
      const [, month] = /^(\d{4}-\d{2})-[0-9a-f]{8}$/.exec(id) ?? []
      // Nobody can know that the month's key is not there: another instance may make it while this one looks away.
      if (month === undefined || !(current.has(month) || (await isInRing(month)))) return undefined
      await load(month)
      return had.get(id)
    },
    keys: async () => {
      const there = await readRows()
      await Promise.all([...there.keys()].map(load))
      const isNeeded = (month: string) => there.has(month) || clock() < neededUntil(month)
      return [...had.values()].filter(({ id }) => isNeeded(id.slice(0, 7)))
    },
  }
}

function toRingKey(month: string, secret: Uint8Array): RingKey {
  const root = createSecretKey(secret)
  const locator = deriveKey(root, '', 'locator')
  return {
    id: `${month}-${deriveKey(root, '', 'name').export().subarray(0, 4).toString('hex')}`,
    transaction: deriveKey(root, '', 'transaction'),
    session: deriveKey(root, '', 'session'),
    blindIndex: (text) => createHmac('sha256', locator).update(text).digest().subarray(0, 12).toString('base64url'),
  }
}

function monthOf(now: number): string {
  return new Date(now).toISOString().slice(0, 7)
}

function endOfMonth(of: string): number {
  const [year, month] = of.split('-').map(Number)
  return Date.UTC(year ?? 0, month ?? 0, 1)
}
