/**
 * Rows of the previous release, which carry no signature. They are taken over once: the first instance of this release
 * signs those that are there, and then writes a marker. Unsigned rows that appear later were not written by the broker,
 * or by an instance of the previous release that still runs; they count as lost rows.
 *
 * A writer of the store can delete the marker, so a date ends the takeover as well.
 */
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { BrokerError } from '../errors/errors.ts'
import type { Store, StoredRow } from '../store/store.ts'
import type { WrappingKey } from '../vault/vault.ts'
import { parseRingRow, ringRowValues, signRingRow } from './key-ring-row.ts'

interface UnsignedRowsOptions {
  readonly store: Pick<Store, 'find' | 'insert' | 'replace'>
  readonly vault: WrappingKey
  readonly clock: Clock
  /** Milliseconds since the epoch. */
  readonly acceptUntil: number
  /** True where ciphertexts of this month's key may be in use. */
  readonly isTakenOver: (month: string) => boolean
  readonly onFault: (error: unknown) => void
}

interface UnsignedRows {
  /**
   * Signs the unsigned rows, unless that was done before. The caller reads the rows again.
   *
   * @returns whether an unsigned row may still be used: only where the wrapping key may not sign yet
   */
  takeOver(rows: Iterable<StoredRow>): Promise<boolean>
}

/** Not in the partition of the ring: an instance of the previous release expects only its rows there. */
const takeoverMarker = { partition: 'taken-over', row: 'key-ring' } as const

export function createUnsignedRows(options: UnsignedRowsOptions): UnsignedRows {
  const { store, vault, clock, acceptUntil, isTakenOver, onFault } = options
  let isOver = false

  const sign = async (rows: readonly StoredRow[]): Promise<void> => {
    const due = rows.filter(({ row, values }) => isTakenOver(row) && values.signature === undefined)
    if (due.length === 0) return
    const newest = await vault.readWrappingKey()
    for (const row of due) {
      const signed = await signRingRow(vault, newest, parseRingRow(row))
      // Lost to another instance: that one signed the same row.
      await store.replace('service', { ...row, values: ringRowValues(signed) }, row.etag)
    }
  }

  const takeOverOnce = singleFlight(
    async (rows: readonly StoredRow[]): Promise<boolean> => {
      if (isOver) return false
      if ((await store.find('service', takeoverMarker)) === undefined) {
        try {
          await sign(rows)
        } catch (error) {
          if (!(error instanceof BrokerError) || error.code !== 'wrapping_key_cannot_sign') throw error
          onFault(error)
          return true
        }
        const sweepAfter = new Date(acceptUntil)
        await store.insert('service', { ...takeoverMarker, sweepAfter, values: { format: '1' } })
      }
      isOver = true
      return false
    },
    () => 'one at a time',
  )

  return {
    takeOver: async (rows) => clock() < acceptUntil && takeOverOnce([...rows]),
  }
}
