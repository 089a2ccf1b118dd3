/**
 * The keys that seal sessions and transactions: one a month, wrapped by a Key Vault key, shared through the store.
 *
 * A warm instance never waits for the vault: it goes on with the newest key it has while the month's key is fetched.
 * An instance that can read no key says so; it never makes one of its own beside a row that is there.
 */
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BrokerError } from '../errors.ts'
import type { Clock } from '../timing/deadline.ts'
import { singleFlight } from '../timing/single-flight.ts'
import { deriveKey } from './sealing.ts'
import type { Store, StoredRow } from './store.ts'

/** Wraps and unwraps with a key that never leaves the vault. */
export interface KeyWrapper {
  /** @returns the wrapped bytes and the version of the wrapping key that made them */
  wrap(key: Uint8Array): Promise<{ wrapped: Uint8Array; version: string }>
  unwrap(wrapped: Uint8Array, version: string): Promise<Uint8Array>
}

/** One month's keys, each for one purpose. */
export interface RingKey {
  /** The month, `2026-11`; stands in clear beside what it sealed. */
  readonly id: string
  readonly transaction: KeyObject
  readonly session: KeyObject
  /** For a value that must be found again without being readable. @returns 96 bits, base64url */
  locate(text: string): string
}

export interface KeyRing {
  /** The key to seal with. */
  current(): Promise<RingKey>
  /** The key that sealed something; undefined when no such key is in the ring. */
  find(id: string): Promise<RingKey | undefined>
  /** Ids of all keys in the ring, newest first; those that can't be needed any more are the sweep's to remove. */
  ids(): Promise<readonly string[]>
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
  const keys = new Map<string, RingKey>()
  const failures = new Map<string, { error: unknown; until: number }>()
  let rows: ReadonlyMap<string, StoredRow> | undefined
  let rowsReadAt = -Infinity

  const readRows = singleFlight(async () => {
    const list = await store.list('service', partition)
    rowsReadAt = clock()
    rows = new Map(list.map((row) => [row.row, row]))
    return rows
  })

  const rowFor = async (id: string): Promise<StoredRow | undefined> => {
    const known = (rows ?? (await readRows())).get(id)
    if (known || clock() - rowsReadAt < rereadUnknownAfter) return known
    return (await readRows()).get(id)
  }

  const unwrapRow = async (row: StoredRow): Promise<RingKey> => {
    const { wrapped, wrappingVersion } = row.values
    if (row.values.format !== format || !(wrapped instanceof Uint8Array) || typeof wrappingVersion !== 'string') {
      throw new BrokerError('key_ring_unreadable', { detail: `row ${row.row} has a format that is not known here` })
    }
    return keep(row.row, await wrapper.unwrap(wrapped, wrappingVersion))
  }

  const keep = (id: string, secret: Uint8Array): RingKey => {
    if (secret.length !== 32)
      throw new BrokerError('key_ring_unreadable', { detail: `row ${id} has a key of a wrong size` })
    const key = toRingKey(id, secret)
    keys.set(id, key)
    return key
  }

  /** Makes the month's row, or takes the one that another instance made first. */
  const makeRow = async (id: string): Promise<RingKey> => {
    const secret = randomBytes(32)
    const { wrapped, version } = await wrapper.wrap(secret)
    const made = await store.insert('service', {
      partition,
      row: id,
      sweepAfter: new Date(endOfMonth(id) + overtime + neededForSeconds * 1000),
      values: { format, wrapped, wrappingVersion: version },
    })
    const now = await readRows()
    if (made !== undefined) return keep(id, secret)
    const theirs = now.get(id)
    if (!theirs) throw new BrokerError('store_unavailable', { detail: 'the key ring’s row came and went' })
    return unwrapRow(theirs)
  }

  const hasBegunSomewhere = (id: string) => id === monthOf(clock()) || id === monthOf(clock() + clockTolerance)

  const load = singleFlight(async (id: string): Promise<RingKey | undefined> => {
    const failed = failures.get(id)
    if (failed && clock() < failed.until) throw failed.error
    try {
      const row = await rowFor(id)
      if (row) return await unwrapRow(row)
      if (!hasBegunSomewhere(id)) return undefined
      // Nobody has made this month's row as far as this instance knows; insert-if-absent decides.
      return await makeRow(id)
    } catch (error) {
      failures.set(id, { error, until: clock() + retryAfter })
      throw error
    }
  })

  return {
    current: async () => {
      const month = monthOf(clock())
      const ready = keys.get(month)
      if (ready) return ready
      const newest = [...keys.values()].sort((a, b) => b.id.localeCompare(a.id))[0]
      const loading = load(month)
      // An older one would be swept before what it seals now has ended.
      if (newest && clock() < endOfMonth(newest.id) + overtime) {
        loading.catch(onFault)
        return newest
      }
      const key = await loading
      if (!key) throw new BrokerError('key_ring_unreadable', { detail: 'the month changed while its key was made' })
      return key
    },
    find: async (id) => {
      if (!/^\d{4}-\d{2}$/.test(id)) return undefined
      const ready = keys.get(id)
      if (ready) return ready
      // Nobody can know that the month's key is not there: another instance may make it while this one looks away.
      return hasBegunSomewhere(id) || (await rowFor(id)) ? load(id) : undefined
    },
    ids: async () => [...(await readRows()).keys()].sort().reverse(),
  }
}

function toRingKey(id: string, secret: Uint8Array): RingKey {
  const root = createSecretKey(secret)
  const locator = deriveKey(root, '', 'locator')
  return {
    id,
    transaction: deriveKey(root, '', 'transaction'),
    session: deriveKey(root, '', 'session'),
    locate: (text) => createHmac('sha256', locator).update(text).digest().subarray(0, 12).toString('base64url'),
  }
}

function monthOf(now: number): string {
  return new Date(now).toISOString().slice(0, 7)
}

function endOfMonth(id: string): number {
  const [year, month] = id.split('-').map(Number)
  return Date.UTC(year ?? 0, month ?? 0, 1)
}
