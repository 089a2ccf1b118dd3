/** Observes the store: times and counts each call. */
import { noTelemetry } from '../telemetry/telemetry.ts'
import type { Outcome, Telemetry } from '../telemetry/telemetry.ts'
import type { Store } from './store.ts'

/** @param target host of the table service */
export function observeStore(store: Store, telemetry: Telemetry, target: string): Store {
  if (telemetry === noTelemetry) return store
  const observe = <T>(name: string, table: string, work: () => Promise<T>, describe?: (result: T) => Outcome) =>
    telemetry.span({ name: `${name} ${table}`, type: 'Azure table', target }, work, describe)
  /** Another instance's write came first: no failure, but many of them are a sign of trouble. */
  const conflict = (operation: string, table: string): Outcome => {
    telemetry.count('broker.store.conflicts', { operation, table })
    return { fields: { outcome: 'conflict' } }
  }
  return {
    insert: (table, row) =>
      observe(
        'insert',
        table,
        () => store.insert(table, row),
        (etag) => (etag === undefined ? conflict('insert', table) : {}),
      ),
    find: (table, key, columns) =>
      observe(
        'find',
        table,
        () => store.find(table, key, columns),
        (row) => (row ? {} : { fields: { outcome: 'absent' } }),
      ),
    replace: (table, row, etag) =>
      observe(
        'replace',
        table,
        () => store.replace(table, row, etag),
        (next) => (next === undefined ? conflict('replace', table) : {}),
      ),
    remove: (table, key, etag) =>
      observe(
        'remove',
        table,
        () => store.remove(table, key, etag),
        (removed) => {
          if (removed) return {}
          return etag === undefined ? { fields: { outcome: 'absent' } } : conflict('remove', table)
        },
      ),
    list: (table, partition) => observe('list', table, () => store.list(table, partition)),
    listWhere: (table, name, values) => observe('listWhere', table, () => store.listWhere(table, name, values)),
    scan: (table, page) => observe('scan', table, () => store.scan(table, page)),
    listSweepable: (table, before, limit) =>
      observe('listSweepable', table, () => store.listSweepable(table, before, limit)),
  }
}
