/**
 * Ends sessions in bulk: all of one provider session, or all of one person. Codes that no client has redeemed yet end
 * with them, so that a sign-out between code and `/token` leaves no session behind.
 */
import type { RowKey, Store } from '../store/store.ts'

/**
 * @param partition of the sessions, as `partitionOf` names it; the codes of the same provider session share it
 * @returns how many sessions were there
 */
export async function endPartition(store: Store, partition: string): Promise<number> {
  await endPendingCodes(store, partition)
  const rows = await store.list('sessions', partition)
  await removeAll(store, 'sessions', rows)
  return rows.length
}

/**
 * @param person as `personOf` names it, by each key of the ring: a session that is used changes to the newest key. Both
 *   tables are scanned: an index of people would cost every sign-in a write
 * @returns how many sessions were there
 */
export async function endPerson(store: Store, person: readonly string[]): Promise<number> {
  await removeAll(store, 'codes', await store.listWhere('codes', 'person', person))
  const rows = await store.listWhere('sessions', 'person', person)
  await removeAll(store, 'sessions', rows)
  return rows.length
}

/**
 * Before the sessions are listed, never after: `/token` creates its session first and then checks that its code still
 * exists. Then either the check fails, or the list has the session.
 */
export async function endPendingCodes(store: Store, partition: string): Promise<void> {
  await removeAll(store, 'codes', await store.list('codes', partition))
}

const atOnce = 20

/**
 * The results of the removals are not counted: where an answer is lost, it is that of a repetition, which finds no row.
 */
export async function removeAll(store: Store, table: 'sessions' | 'codes', rows: readonly RowKey[]): Promise<void> {
  for (let at = 0; at < rows.length; at += atOnce) {
    await Promise.all(rows.slice(at, at + atOnce).map((row) => store.remove(table, row)))
  }
}
