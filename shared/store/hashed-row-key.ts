/** Keys of rows that are found by a secret value, such as a state or a token. */
import { hash } from 'node:crypto'
import type { RowKey } from './store.ts'

/**
 * @param value never stored: a reader of the store sees its hash
 * @returns a key in one of 4,096 partitions, so that no partition receives every write
 */
export function hashedRowKey(value: string): RowKey {
  const digest = hash('sha256', value, 'base64url')
  return { partition: digest.slice(0, 2), row: digest }
}
