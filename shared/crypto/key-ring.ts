/**
 * The key ring: keys that seal sessions, transactions and rows of the broker's own. One key a month, wrapped and signed
 * by a Key Vault key, shared through the store.
 *
 * A warm instance never waits for the vault: it uses the newest key that it has while the month's key is fetched.
 * An instance that cannot read a signed row reports that; it never puts a key of its own in the place of such a row.
 */
import { asBrokerError, BrokerError } from '../errors/errors.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import type { Clock } from '../async/deadline.ts'
import { lazy } from '../async/lazy.ts'
import { singleFlight } from '../async/single-flight.ts'
import type { Store, StoredRow } from '../store/store.ts'
import type { WrappingKey } from '../vault/vault.ts'
import { makeRingRow, openRingRow, parseRingRow, ringRowValues, unwrapRingRow } from './key-ring-row.ts'
import type { RingRow } from './key-ring-row.ts'
import { createUnsignedRows } from './key-ring-takeover.ts'
import { endOfMonth, monthOf } from './months.ts'
import { randomValue } from './random.ts'
import { monthOfKeyId, toRingKey } from './ring-key.ts'
import type { RingKey } from './ring-key.ts'
import { createRingRows, ringPartition } from './ring-rows.ts'

export type { RingKey } from './ring-key.ts'

export interface KeyRing {
  /** The key to seal with. */
  current(): Promise<RingKey>
  /**
   * Checks that this instance has this month's key: `current` may return an older one where the month's row is damaged.
   *
   * @throws {BrokerError} the reason why the month's row cannot be read or made
   */
  check(): Promise<void>
  /** The key of this id; undefined when the ring has no such key, or all that it sealed has ended. */
  find(id: string): Promise<RingKey | undefined>
  keys(): Promise<FoundKeys>
}

/** The keys whose ciphertexts may be in use: those of the ring, and lost ones that this instance has in memory. */
export interface FoundKeys {
  readonly keys: readonly RingKey[]
  /** Why another key of the ring cannot be read; undefined where all are there. */
  readonly fault: BrokerError | undefined
}

const retryAfter = 5_000
/** A key seals in the next month for this long, if that month's key is not available. Its row is kept for longer. */
const overtime = 7 * 24 * 60 * 60 * 1000
/** The most by which another instance's clock may be ahead: there the next month has begun, and its key seals. */
const clockTolerance = 5 * 60 * 1000

export interface KeyRingOptions {
  readonly store: Store
  readonly vault: WrappingKey
  readonly clock: Clock
  /** The longest life of a ciphertext: one of the last second of a month must open for as long. */
  readonly neededForSeconds: number
  /** Until when unsigned rows of the previous release are accepted, once. Milliseconds since the epoch. */
  readonly acceptUnsignedUntil: number
  /** For the log: a fault that stops no request of this instance. */
  readonly onFault: (error: unknown) => void
}

export function createKeyRing(options: KeyRingOptions): KeyRing {
  const { store, vault, clock, onFault } = options
  /** By month: the key of its row. */
  const current = new Map<string, { readonly key: RingKey; readonly etag: string }>()
  /** By id: every key that this instance has had. */
  const had = new BoundedMap<string, RingKey>(64)
  const failures = new Map<string, { error: unknown; until: number }>()
  const rows = createRingRows(store, clock)

  const neededUntil = (month: string) => endOfMonth(month) + overtime + options.neededForSeconds * 1000
  /** Bounds a rollback: the key of an old row that is put back opens no ciphertext after that. */
  const isNeeded = (month: string) => clock() < neededUntil(month)
  const hasBegunSomewhere = (month: string) => month === monthOf(clock()) || month === monthOf(clock() + clockTolerance)

  const unsigned = createUnsignedRows({
    store,
    vault,
    clock,
    acceptUntil: options.acceptUnsignedUntil,
    isTakenOver: (month) => isNeeded(month) && month <= monthOf(clock() + clockTolerance),
    onFault,
  })
  /** Once after the takeover: further unsigned rows of an attacker cause no further reads. */
  const rereadAfterTakeOver = lazy(() => rows.reread())

  const keep = (month: string, secret: Uint8Array, etag: string): RingKey => {
    const key = toRingKey(month, secret)
    current.set(month, { key, etag })
    had.set(key.id, key)
    return key
  }

  /** @returns undefined for an unsigned row that is not accepted: it counts as lost */
  const openRow = async (row: StoredRow): Promise<RingKey | undefined> => {
    const parsed = parseRingRow(row)
    if (isSigned(parsed)) return keep(row.row, await openRingRow(vault, parsed), row.etag)
    if (await unsigned.takeOver(rows.known()?.values() ?? [])) {
      return keep(row.row, await unwrapRingRow(vault, parsed), row.etag)
    }
    await rereadAfterTakeOver()
    const now = rows.known()?.get(row.row)
    const taken = now && parseRingRow(now)
    if (taken && isSigned(taken)) return keep(row.row, await openRingRow(vault, taken), now.etag)
    onFault(new BrokerError('key_ring_unreadable', { detail: `row ${row.row} is not signed and counts as lost` }))
    return undefined
  }

  /**
   * Makes the month's row, or uses the one that another instance made first.
   *
   * @param lost an unsigned row that is not accepted: the new row takes its place
   */
  const makeRow = async (month: string, lost: StoredRow | undefined): Promise<RingKey> => {
    const secret = randomValue(32)
    const values = ringRowValues(await makeRingRow(vault, month, secret))
    const row = { partition: ringPartition, row: month, sweepAfter: new Date(neededUntil(month)), values }
    const made = lost ? await store.replace('service', row, lost.etag) : await store.insert('service', row)
    const now = await rows.read()
    // There is a signed row now, so unsigned ones are signed too or refused from now on.
    await unsigned.takeOver(now.values()).catch(onFault)
    if (made !== undefined) return keep(month, secret, made)
    const theirs = now.get(month)
    const key = theirs && (await openRow(theirs))
    if (!key) throw new BrokerError('store_unavailable', { detail: `the key ring’s row ${month} came and went` })
    return key
  }

  /**
   * The month's key by its row: the first time, or again where another key of the month is wanted than the known one.
   */
  const load = singleFlight(async (month: string): Promise<RingKey | undefined> => {
    const failed = failures.get(month)
    if (failed && clock() < failed.until && failed.until <= clock() + retryAfter) throw failed.error
    const loaded = current.get(month)
    try {
      const row = await rows.find(month, loaded?.etag)
      if (row && row.etag === loaded?.etag) return loaded.key
      const opened = row && (await openRow(row))
      if (opened) return opened
      if (!loaded) return hasBegunSomewhere(month) ? await makeRow(month, row) : undefined
      // An instance that has the key of a lost row uses it until another instance, which lacks the key,
      // makes a new row.
      if (!row && isNeeded(month)) {
        onFault(new BrokerError('key_ring_unreadable', { detail: `row ${month} is missing` }))
      }
      return loaded.key
    } catch (error) {
      failures.set(month, { error, until: clock() + retryAfter })
      rows.forget()
      throw error
    }
  })

  const isInRing = async (month: string) => hasBegunSomewhere(month) || (await rows.find(month)) !== undefined

  return {
    current: async () => {
      const month = monthOf(clock())
      const ready = current.get(month)
      if (ready) return ready.key
      const newest = [...current].sort(([a], [b]) => b.localeCompare(a))[0]
      const loading = load(month)
      // An older one would be swept before the end of a session that it seals now.
      if (newest && clock() < endOfMonth(newest[0]) + overtime) {
        loading.catch(onFault)
        return newest[1].key
      }
      const key = await loading
      if (!key) throw new BrokerError('key_ring_unreadable', { detail: 'the month changed while its key was made' })
      return key
    },
    check: async () => {
      const month = monthOf(clock())
      if (!current.has(month)) await load(month)
    },
    find: async (id) => {
      const month = monthOfKeyId(id)
      if (month === undefined || !isNeeded(month)) return undefined
      const ready = had.get(id)
      if (ready) return ready
      // The month's key cannot be known to be missing: another instance may make it at this moment.
      if (!(current.has(month) || (await isInRing(month)))) return undefined
      await load(month)
      return had.get(id)
    },
    keys: async () => {
      const there = await rows.read()
      const loads = await Promise.allSettled([...there.keys()].filter(isNeeded).map(load))
      const failed = loads.find((one) => one.status === 'rejected')
      return {
        keys: [...had.values()].filter(({ id }) => isNeeded(monthOfKeyId(id) ?? '')),
        fault: failed && asBrokerError(failed.reason),
      }
    },
  }
}

function isSigned(row: RingRow): row is RingRow & { readonly signature: NonNullable<RingRow['signature']> } {
  return row.signature !== undefined
}
