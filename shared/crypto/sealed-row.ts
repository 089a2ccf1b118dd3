/**
 * Rows that are sealed with a key of the ring. Format, purpose, key and place of the row are bound to the sealed bytes:
 * moved to another row, or under the name of another key, they do not open.
 */
import type { KeyObject } from 'node:crypto'
import type { RowKey, StoredRow, Values } from '../store/store.ts'
import type { KeyRing, RingKey } from './key-ring.ts'
import { open, seal } from './sealing.ts'

export interface RowSeal {
  /** Of the content; the row's column `format` repeats it. */
  readonly format: string
  readonly purpose: string
  /** The column of the sealed bytes. */
  readonly column: string
  /** Of the ring alone, or of the ring and a secret that only the caller has (`deriveKey`). */
  readonly keyOf: (ringKey: RingKey) => KeyObject
}

/** @returns the columns `format`, `ringKey` and the one of the sealed bytes */
export function sealedValues(content: string, rowKey: RowKey, ringKey: RingKey, by: RowSeal): Values {
  const sealed = seal(by.keyOf(ringKey), content, contextOf(rowKey, ringKey.id, by))
  return { format: by.format, ringKey: ringKey.id, [by.column]: sealed }
}

/**
 * @param row as the store returned it; untrusted
 * @returns the content; undefined where the row was changed, moved or planted, has another format, or the ring no
 *   longer has its key
 * @throws {BrokerError} the errors of the ring, which must not look like a row that does not open
 */
export async function openSealedRow(
  row: StoredRow | undefined,
  ring: Pick<KeyRing, 'find'>,
  by: RowSeal,
): Promise<string | undefined> {
  const { format, ringKey: id, [by.column]: sealed } = row?.values ?? {}
  if (!row || format !== by.format || typeof id !== 'string' || !(sealed instanceof Uint8Array)) return undefined
  const ringKey = await ring.find(id)
  return ringKey && open(by.keyOf(ringKey), sealed, contextOf(row, ringKey.id, by))
}

function contextOf({ partition, row }: RowKey, ringKeyId: string, { format, purpose }: RowSeal): string {
  return JSON.stringify([format, purpose, ringKeyId, partition, row])
}
