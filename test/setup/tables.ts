/** The store as an attacker with the storage account sees it: without broker and proxy, every byte of every row. */
import { AzureNamedKeyCredential, TableClient, TableServiceClient } from '@azure/data-tables'
import { inject } from 'vitest'
import { storageEmulatorKey } from '../../local/azurite.ts'
import { createAzureTableStore } from '../../shared/store/azure-table/store.azure-table.ts'
import type { Store, StoredRow, TableName } from '../../shared/store/store.ts'
import type { Stack } from './stack.ts'

export interface Tables {
  /** Reads and writes as an instance does, on the same rows; not counted. */
  readonly store: Store
  /** All rows of one table. */
  rows(table: TableName): Promise<readonly StoredRow[]>
  /** Every name and value of every row of every table, as bytes. */
  dump(): Promise<Buffer>
}

export function openTables({ tablePrefix }: Pick<Stack, 'tablePrefix'>): Tables {
  const tableServiceUri = inject('tableServiceUri')
  const credential = new AzureNamedKeyCredential('devstoreaccount1', storageEmulatorKey)
  const options = { allowInsecureConnection: true }
  const store = createAzureTableStore({
    tableServiceUri,
    tablePrefix,
    credential: () => Promise.reject(new Error('not asked for on loopback')),
  })
  const entities = (name: string) => new TableClient(tableServiceUri, name, credential, options).listEntities()

  return {
    store,
    rows: async (table) => {
      const rows: StoredRow[] = []
      await store.list(table, 'nobody') // creates the table if it does not exist yet
      for await (const { partitionKey, rowKey } of entities(`${tablePrefix}${table}`)) {
        const row = await store.find(table, { partition: partitionKey ?? '', row: rowKey ?? '' })
        if (row) rows.push(row)
      }
      return rows
    },
    dump: async () => {
      const pieces: (string | Uint8Array)[] = []
      for await (const { name = '' } of new TableServiceClient(tableServiceUri, credential, options).listTables()) {
        if (!name.startsWith(tablePrefix)) continue
        for await (const entity of entities(name)) {
          for (const [property, value] of Object.entries(entity)) {
            pieces.push(`\n${name} ${property}: `, value instanceof Uint8Array ? value : JSON.stringify(value))
          }
        }
      }
      return Buffer.concat(pieces.map((piece) => Buffer.from(piece)))
    },
  }
}
