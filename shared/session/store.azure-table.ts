/** The store's contract on Azure Table Storage (and Azurite, which is Azure Table Storage on loopback). */
import { randomBytes } from 'node:crypto'
import { AzureNamedKeyCredential, TableClient, odata } from '@azure/data-tables'
import type { TableEntityResult, TableServiceClientOptions } from '@azure/data-tables'
import type { TokenCredential } from '@azure/identity'
import { BrokerError } from '../errors.ts'
import { withDeadline } from '../timing/deadline.ts'
import type { Row, RowKey, Store, StoredRow, TableName } from './store.ts'

export interface AzureTableOptions {
  /** Checked by the settings: the cloud's table suffix over https, or loopback. */
  readonly tableServiceUri: string
  readonly tablePrefix: string
  /** Not asked for on loopback. */
  readonly credential: () => Promise<TokenCredential>
  readonly deadlineMilliseconds?: number
}

/**
 * A property holds 64 KiB at most, and a text is counted as UTF-16: a longer value is cut into pieces named value,
 * value_1, value_2 …
 */
const pieceBytes = 60_000
const pieceCharacters = 30_000
const markerName = 'marker'

/** Steps of the SDK that do nothing for small JSON rows, at 6 % of the CPU time of each call. */
const unneededPolicies = ['tracingPolicy', 'logPolicy', 'multipartPolicy', 'formDataPolicy', 'decompressResponsePolicy']
/** The sweep looks at every row of a table, a thousand at a time; nobody waits for it. */
const scanMilliseconds = 60_000

/** Azurite's account and key are in its documentation and open nothing but an emulator. */
const emulator = {
  account: 'devstoreaccount1',
  key: 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
}

export function createAzureTableStore(options: AzureTableOptions): Store {
  const deadline = options.deadlineMilliseconds ?? 5_000
  const clients = new Map<TableName, Promise<TableClient>>()

  const connect = async (table: TableName): Promise<TableClient> => {
    const name = `${options.tablePrefix}${table}`
    const clientOptions = {
      retryOptions: { maxRetries: 1, retryDelayInMs: 50, maxRetryDelayInMs: 200 },
      redirectOptions: { maxRetries: 0 },
      additionalPolicies: [{ policy: plainAnswers, position: 'perRetry' as const }],
    }
    const client = isLoopback(options.tableServiceUri)
      ? new TableClient(options.tableServiceUri, name, new AzureNamedKeyCredential(emulator.account, emulator.key), {
          ...clientOptions,
          allowInsecureConnection: true,
        })
      : new TableClient(options.tableServiceUri, name, await options.credential(), clientOptions)
    for (const policy of unneededPolicies) client.pipeline.removePolicy({ name: policy })
    return client
  }

  const clientFor = (table: TableName): Promise<TableClient> => {
    const known = clients.get(table)
    if (known) return known
    const made = connect(table)
    made.catch(() => clients.delete(table))
    clients.set(table, made)
    return made
  }

  /** Runs one call under the deadline; makes the table where it is missing, since only a new deployment meets that. */
  const call = async <T>(
    table: TableName,
    work: (client: TableClient) => Promise<T>,
    milliseconds = deadline,
  ): Promise<T> => {
    const run = async () => {
      const client = await clientFor(table)
      try {
        return await work(client)
      } catch (error) {
        if (codeOf(error) !== 'TableNotFound') throw error
        await client.createTable()
        return work(client)
      }
    }
    try {
      return await withDeadline(run(), milliseconds, () => new BrokerError('store_unavailable', { detail: 'deadline' }))
    } catch (error) {
      if (error instanceof BrokerError) throw error
      throw new BrokerError('store_unavailable', {
        detail: `${table}: ${String(statusOf(error))} ${codeOf(error) ?? ''}`,
        cause: error,
      })
    }
  }

  /** Reads a row only to see whether it carries this write's marker. */
  const isOwnWrite = async (client: TableClient, key: RowKey, marker: string): Promise<string | undefined> => {
    const entity = await client
      .getEntity(key.partition, key.row, { queryOptions: { select: [markerName] } })
      .catch(unlessStatus(404))
    return entity?.[markerName] === marker ? entity.etag : undefined
  }

  return {
    insert: (table, row) =>
      call(table, async (client) => {
        const marker = newMarker()
        try {
          return etagOf(await client.createEntity(toEntity(row, marker)))
        } catch (error) {
          if (codeOf(error) !== 'EntityAlreadyExists') throw error
          return isOwnWrite(client, row, marker)
        }
      }),

    find: (table, key, columns) =>
      call(table, async (client) => {
        const entity = await client
          .getEntity(
            key.partition,
            key.row,
            columns ? { queryOptions: { select: ['PartitionKey', 'RowKey', 'sweepAfter', ...columns] } } : {},
          )
          .catch(unlessStatus(404))
        // An answer about nothing is not an answer that there is nothing: that would sign people out.
        if (entity && (entity.partitionKey !== key.partition || entity.rowKey !== key.row)) {
          throw new BrokerError('store_unavailable', { detail: `${table}: an answer without the row` })
        }
        return entity && fromEntity(entity)
      }),

    replace: (table, row, etag) =>
      call(table, async (client) => {
        const marker = newMarker()
        try {
          return etagOf(await client.updateEntity(toEntity(row, marker), 'Replace', { etag }))
        } catch (error) {
          if (codeOf(error) === 'ResourceNotFound') return undefined
          if (statusOf(error) !== 412) throw error
          return isOwnWrite(client, row, marker)
        }
      }),

    remove: (table, key, etag) =>
      call(table, async (client) => {
        const removed = await client
          .deleteEntity(key.partition, key.row, etag === undefined ? {} : { etag })
          .catch(unlessStatus(404, 412))
        return removed !== undefined
      }),

    list: (table, partition) =>
      call(table, async (client) => {
        const rows: StoredRow[] = []
        const filter = odata`PartitionKey eq ${partition}`
        for await (const entity of client.listEntities({ queryOptions: { filter } })) rows.push(fromEntity(entity))
        return rows
      }),

    listWhere: (table, name, value) =>
      call(
        table,
        async (client) => {
          const rows: RowKey[] = []
          const filter = `${name} eq '${value.replaceAll("'", "''")}'`
          const queryOptions = { filter, select: ['PartitionKey', 'RowKey'] }
          for await (const { partitionKey, rowKey } of client.listEntities({ queryOptions })) {
            rows.push({ partition: partitionKey ?? '', row: rowKey ?? '' })
          }
          return rows
        },
        scanMilliseconds,
      ),

    listSweepable: (table, before, limit) =>
      call(
        table,
        async (client) => {
          const pages = client
            .listEntities({
              queryOptions: { filter: odata`sweepAfter lt ${before}`, select: ['PartitionKey', 'RowKey'] },
            })
            .byPage({ maxPageSize: Math.min(limit, 1000) })
          // A page may be empty and still have a next one: the service scans for a bounded time.
          for await (const page of pages) {
            if (page.length > 0) {
              return page.map(({ partitionKey, rowKey, etag }) => ({
                partition: partitionKey ?? '',
                row: rowKey ?? '',
                etag,
              }))
            }
          }
          return []
        },
        scanMilliseconds,
      ),
  }
}

type PipelinePolicy = NonNullable<TableServiceClientOptions['additionalPolicies']>[number]['policy']

/**
 * The SDK's parsers take a proxy's page for an answer without content: an empty list, a missing row. And inside its
 * retries: it would sleep for as long as Retry-After says, past our deadline.
 */
const plainAnswers: PipelinePolicy = {
  name: 'plainAnswers',
  sendRequest: async (request, next) => {
    const response = await next(request)
    const { status, headers } = response
    const isPlain = status === 204 || /^application\/json\b/i.test(headers.get('content-type') ?? '')
    if (isPlain && !headers.has('retry-after')) return response
    throw new BrokerError('store_unavailable', { detail: `the store answered ${status}` })
  },
}

function isLoopback(uri: string): boolean {
  return ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(uri).hostname)
}

function newMarker(): string {
  return randomBytes(9).toString('base64url')
}

function toEntity({ partition, row, sweepAfter, values }: Row, marker: string) {
  const entity: { partitionKey: string; rowKey: string; [name: string]: unknown } = {
    partitionKey: partition,
    rowKey: row,
    sweepAfter,
    [markerName]: marker,
  }
  for (const [name, value] of Object.entries(values)) {
    const pieces = typeof value === 'string' ? cutText(value) : cutBytes(value)
    pieces.forEach((piece, index) => (entity[index === 0 ? name : `${name}_${index}`] = piece))
  }
  return entity
}

function cutBytes(value: Uint8Array): Uint8Array[] {
  const pieces = [value.subarray(0, pieceBytes)]
  for (let at = pieceBytes; at < value.length; at += pieceBytes) pieces.push(value.subarray(at, at + pieceBytes))
  return pieces
}

/** Never between the two halves of a character: a half alone does not survive the way through UTF-8. */
function cutText(value: string): string[] {
  const pieces: string[] = []
  let at = 0
  do {
    const isHalf = /[\ud800-\udbff]/.test(value.charAt(at + pieceCharacters - 1))
    const end = at + pieceCharacters - (isHalf ? 1 : 0)
    pieces.push(value.slice(at, end))
    at = end
  } while (at < value.length)
  return pieces
}

function fromEntity(entity: TableEntityResult<Record<string, unknown>>): StoredRow {
  const values: Record<string, string | Uint8Array> = {}
  for (const [name, value] of Object.entries(entity)) {
    // What the service says of itself (`odata.metadata`) has a dot; pieces are read with the first of them.
    if (reserved.has(name) || name.includes('.') || /_\d+$/.test(name)) continue
    const pieces: unknown[] = []
    for (let piece: unknown = value, i = 1; piece !== undefined && piece !== null; piece = entity[`${name}_${i++}`]) {
      pieces.push(piece)
    }
    if (pieces.every((piece) => typeof piece === 'string')) values[name] = pieces.join('')
    else if (pieces.every((piece) => piece instanceof Uint8Array)) values[name] = Buffer.concat(pieces)
  }
  const { partitionKey, rowKey, sweepAfter, etag } = entity
  return {
    partition: partitionKey ?? '',
    row: rowKey ?? '',
    sweepAfter: sweepAfter instanceof Date ? sweepAfter : new Date(0),
    values: values,
    etag,
  }
}

const reserved = new Set(['partitionKey', 'rowKey', 'timestamp', 'etag', 'sweepAfter', markerName])

function etagOf(headers: { etag?: string }): string {
  if (!headers.etag) throw new BrokerError('store_unavailable', { detail: 'write answered without an etag' })
  return headers.etag
}

function statusOf(error: unknown): number | undefined {
  return (error as { statusCode?: number } | undefined)?.statusCode
}

function codeOf(error: unknown): string | undefined {
  const { details, code } = (error ?? {}) as { details?: { odataError?: { code?: string } }; code?: string }
  return details?.odataError?.code ?? code
}

function unlessStatus(...expected: number[]) {
  return (error: unknown): undefined => {
    const status = statusOf(error) ?? 0
    if (!expected.includes(status)) throw error
    // A missing table is not a missing row (`call` makes it and asks again), and neither is a 404 of somebody else.
    if (status === 404 && codeOf(error) !== 'ResourceNotFound') throw error
    return undefined
  }
}
