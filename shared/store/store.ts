/**
 * Contract: the store, as rows with conditional writes, which decide every race between instances. The adapter marks
 * each write, so that it recognises its own write whose answer was lost: clients repeat writes by themselves.
 */

/** All tables but `service` grow with people; `service` has a handful of rows (key ring, certificate). */
export type TableName = 'sessions' | 'states' | 'codes' | 'service'

export interface RowKey {
  readonly partition: string
  readonly row: string
}

export type Values = Readonly<Record<string, string | Uint8Array>>

export interface Row extends RowKey {
  /** The sweep may remove the row after this; it may be there for longer. */
  readonly sweepAfter: Date
  readonly values: Values
}

export interface StoredRow extends Row {
  readonly etag: string
}

interface ScanOptions {
  /** Which values to read. */
  readonly columns: readonly string[]
  /** `next` of the page before; left out for the first page. Written by the store, so a caller must not change it. */
  readonly after?: string | undefined
  /** The most rows of the page, up to 1,000. */
  readonly limit: number
}

/** A page may have no rows and still have a next one: the service scans for a bounded time. */
interface Page {
  readonly rows: readonly StoredRow[]
  /** undefined for the last page */
  readonly next: string | undefined
}

/**
 * Every method throws BrokerError `store_unavailable` when the store does not answer in time,
 * or with an unusable response.
 */
export interface Store {
  /** @returns the new row's etag; undefined when a row with this key is already there */
  insert(table: TableName, row: Row): Promise<string | undefined>
  /** @param columns which values to read; all of them where it is left out */
  find(table: TableName, key: RowKey, columns?: readonly string[]): Promise<StoredRow | undefined>
  /** Replaces the whole row. @returns the new etag; undefined when it was changed or removed since */
  replace(table: TableName, row: Row, etag: string): Promise<string | undefined>
  /** @returns false when it was gone, or changed since the `etag` in the call */
  remove(table: TableName, key: RowKey, etag?: string): Promise<boolean>
  /** All rows of one partition. */
  list(table: TableName, partition: string): Promise<readonly StoredRow[]>
  /** Keys of all rows in which `name` has one of these values, at most ten. It scans the whole table. */
  listWhere(table: TableName, name: string, values: readonly string[]): Promise<readonly RowKey[]>
  /** One page of a whole table, in the order of the keys. */
  scan(table: TableName, page: ScanOptions): Promise<Page>
  /** One page of rows that the sweep may remove, keys and etags only. */
  listSweepable(table: TableName, before: Date, limit: number): Promise<readonly (RowKey & { etag: string })[]>
}
