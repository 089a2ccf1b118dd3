/**
 * The store's contract: rows with conditional writes, which decide every race between instances. A write whose answer
 * was lost is recognised as one's own: the adapter marks each write, since its client repeats writes by itself.
 */

/** All but `service` grow with people; that has a handful of rows (key ring, certificate). */
export type TableName = 'sessions' | 'states' | 'codes' | 'service'

export interface RowKey {
  readonly partition: string
  readonly row: string
}

export type Values = Readonly<Record<string, string | Uint8Array>>

export interface Row extends RowKey {
  /** When the sweep may remove it; not a promise that it is gone then. */
  readonly sweepAfter: Date
  readonly values: Values
}

export interface StoredRow extends Row {
  readonly etag: string
}

/** Every method throws BrokerError `store_unavailable` when the store does not answer in time or not sensibly. */
export interface Store {
  /** @returns the new row's etag; undefined when a row with this key is already there */
  insert(table: TableName, row: Row): Promise<string | undefined>
  /** @param columns which values to read; all of them where it is left out */
  find(table: TableName, key: RowKey, columns?: readonly string[]): Promise<StoredRow | undefined>
  /** Replaces the whole row. @returns the new etag; undefined when it was changed or removed since */
  replace(table: TableName, row: Row, etag: string): Promise<string | undefined>
  /** @returns false when it was gone, or changed since `etag` where one is given */
  remove(table: TableName, key: RowKey, etag?: string): Promise<boolean>
  /** All rows of one partition. */
  list(table: TableName, partition: string): Promise<readonly StoredRow[]>
  /** Keys of all rows in which this value stands; it looks at the whole table. */
  listWhere(table: TableName, name: string, value: string): Promise<readonly RowKey[]>
  /** One page of rows that the sweep may remove, keys and etags only. */
  listSweepable(table: TableName, before: Date, limit: number): Promise<readonly (RowKey & { etag: string })[]>
}
