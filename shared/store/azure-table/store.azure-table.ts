/** The store's contract on Azure Table Storage (and Azurite, which is Azure Table Storage on loopback). */
import { randomUUID } from 'node:crypto'
import { isObject } from '../../json/json.ts'
import type { TokenCredential } from '@azure/core-auth'
import { BrokerError } from '../../errors/errors.ts'
import type { ProxyPolicy } from '../../outbound/proxy.ts'
import { isLoopbackHost } from '../../settings/addresses.ts'
import type { RowKey, Store, StoredRow, TableName } from '../store.ts'
import { etagOf, fromEntity, markerName, quote, rowColumns, textOf, toEntity } from './table-entity.ts'
import { storeRefusal } from './table-refusals.ts'
import { bearerToken, createTableService, emulatorKey } from './table-service.azure-table.ts'
import type { TableAnswer, TableRequest } from './table-service.azure-table.ts'

interface AzureTableOptions {
  /** Checked by the settings: the cloud's table suffix over https, or loopback. */
  readonly tableServiceUri: string
  readonly tablePrefix: string
  /** Not used on loopback. */
  readonly credential: () => Promise<TokenCredential>
  readonly deadlineMilliseconds?: number
  /** Which requests go through a proxy; none where it is left out. */
  readonly proxies?: ProxyPolicy
}

/** The sweep scans every row of a table, a thousand at a time; no request waits for it. */
const scanMilliseconds = 60_000

export function createAzureTableStore(options: AzureTableOptions): Store {
  const deadline = options.deadlineMilliseconds ?? 5_000
  const { tableServiceUri } = options
  const authorize = isLoopbackHost(new URL(tableServiceUri).hostname) ? emulatorKey : bearerToken(options.credential)
  const service = createTableService({ tableServiceUri, authorize, proxies: options.proxies })
  const nameOf = (table: TableName) => `${options.tablePrefix}${table}`
  const entityOf = (table: TableName, { partition, row }: RowKey) =>
    `${nameOf(table)}(PartitionKey=${encodeURIComponent(quote(partition))},RowKey=${encodeURIComponent(quote(row))})`
  const untilDeadline = () => performance.now() + deadline

  /** Makes the table where it is missing, since only a new deployment meets that. */
  const ask = async (table: TableName, request: TableRequest, until: number): Promise<TableAnswer> => {
    const answer = await service(request, until)
    if (answer.code !== 'TableNotFound') return answer
    const made = await service({ method: 'POST', resource: 'Tables', body: { TableName: nameOf(table) } }, until)
    if (made.code !== undefined && made.code !== 'TableAlreadyExists') throw unexpected(table, made)
    return service(request, until)
  }

  /** Reads a row only to see whether it carries this write's marker. */
  const isOwnWrite = async (
    table: TableName,
    key: RowKey,
    marker: string,
    until: number,
  ): Promise<string | undefined> => {
    const query = `$select=${markerName}`
    const answer = await ask(table, { method: 'GET', resource: entityOf(table, key), query }, until)
    if (isMissing(answer)) return undefined
    const entity = contentOf(table, answer)
    return entity[markerName] === marker ? etagOf(entity) : undefined
  }

  const pages = async function* (table: TableName, query: string, until: number) {
    for (let next: string | undefined = query; next !== undefined;) {
      const answer = await ask(table, { method: 'GET', resource: `${nameOf(table)}()`, query: next }, until)
      const { value } = contentOf(table, answer)
      if (!Array.isArray(value) || !value.every(isObject)) throw unexpected(table, answer)
      yield value
      next = answer.next === undefined ? undefined : `${query}&${answer.next}`
    }
  }

  return {
    insert: async (table, row) => {
      const until = untilDeadline()
      const marker = newMarker()
      const request = { method: 'POST', resource: nameOf(table), body: toEntity(row, marker) } as const
      const answer = await ask(table, request, until)
      if (answer.code === 'EntityAlreadyExists') return isOwnWrite(table, row, marker, until)
      return newEtagOf(table, answer)
    },

    find: async (table, key, columns) => {
      const query = columns && `$select=${[...rowColumns, ...columns].join(',')}`
      const answer = await ask(table, { method: 'GET', resource: entityOf(table, key), query }, untilDeadline())
      if (isMissing(answer)) return undefined
      const row = fromEntity(contentOf(table, answer))
      // A response without the row does not mean that the row is missing: that would sign people out.
      if (row.partition !== key.partition || row.row !== key.row) {
        throw new BrokerError('store_unavailable', { detail: `${table}: an answer without the row` })
      }
      return row
    },

    replace: async (table, row, etag) => {
      const until = untilDeadline()
      const marker = newMarker()
      const body = toEntity(row, marker)
      const answer = await ask(table, { method: 'PUT', resource: entityOf(table, row), ifMatch: etag, body }, until)
      if (isMissing(answer)) return undefined
      if (answer.status === 412) return isOwnWrite(table, row, marker, until)
      return newEtagOf(table, answer)
    },

    remove: async (table, key, etag = '*') => {
      const request = { method: 'DELETE', resource: entityOf(table, key), ifMatch: etag } as const
      const answer = await ask(table, request, untilDeadline())
      if (isMissing(answer) || answer.status === 412) return false
      if (answer.status !== 204) throw unexpected(table, answer)
      return true
    },

    list: async (table, partition) => {
      const rows: StoredRow[] = []
      const query = filterOf(`PartitionKey eq ${quote(partition)}`)
      for await (const page of pages(table, query, untilDeadline())) rows.push(...page.map(fromEntity))
      return rows
    },

    listWhere: async (table, name, values) => {
      const rows: RowKey[] = []
      // One query for all values, so that a row that changes from one to another in the meantime is found. The service
      // accepts at most 15 comparisons.
      const condition = values.map((value) => `${name} eq ${quote(value)}`).join(' or ')
      if (condition === '') return rows
      const query = `${filterOf(condition)}&$select=PartitionKey,RowKey`
      for await (const page of pages(table, query, performance.now() + scanMilliseconds)) rows.push(...page.map(keyOf))
      return rows
    },

    scan: async (table, { columns, after, limit }) => {
      const query = `$select=${[...rowColumns, ...columns].join(',')}&$top=${Math.min(limit, 1000)}`
      const request = {
        method: 'GET',
        resource: `${nameOf(table)}()`,
        query: after === undefined ? query : `${query}&${after}`,
      } as const
      // The service answers within five seconds, and the bound of one call leaves no room for the network.
      const answer = await ask(table, request, performance.now() + 2 * deadline)
      const { value } = contentOf(table, answer)
      if (!Array.isArray(value) || !value.every(isObject)) throw unexpected(table, answer)
      return { rows: value.map(fromEntity), next: answer.next }
    },

    listSweepable: async (table, before, limit) => {
      const filter = filterOf(`sweepAfter lt datetime'${before.toISOString()}'`)
      const query = `${filter}&$select=PartitionKey,RowKey&$top=${Math.min(limit, 1000)}`
      // A page may be empty and still have a next one: the service scans for a bounded time.
      for await (const page of pages(table, query, performance.now() + scanMilliseconds)) {
        if (page.length > 0) return page.map((entity) => ({ ...keyOf(entity), etag: etagOf(entity) }))
      }
      return []
    },
  }
}

function newMarker(): string {
  return randomUUID()
}

function filterOf(condition: string): string {
  return `$filter=${encodeURIComponent(condition)}`
}

function keyOf(entity: Readonly<Record<string, unknown>>): RowKey {
  return { partition: textOf(entity.PartitionKey), row: textOf(entity.RowKey) }
}

/** By the service's own code alone: a missing table is not a missing row, and neither is a 404 of a proxy. */
function isMissing({ status, code }: TableAnswer): boolean {
  return status === 404 && code === 'ResourceNotFound'
}

function contentOf(table: TableName, answer: TableAnswer): Readonly<Record<string, unknown>> {
  if (answer.status !== 200 || !answer.json) throw unexpected(table, answer)
  return answer.json
}

function newEtagOf(table: TableName, answer: TableAnswer): string {
  if (answer.status !== 204 || !answer.etag) throw unexpected(table, answer)
  return answer.etag
}

function unexpected(table: TableName, { status, code }: TableAnswer): BrokerError {
  return storeRefusal(table, status, code)
}
