/**
 * Azure Table Storage by its REST: sends one authorized request and reads the response. The SDK would cost 130 µs a
 * call where this costs 55, and half of its code is an XML parser that JSON responses never need.
 */
import { createHmac, createSecretKey } from 'node:crypto'
import type { TokenCredential } from '@azure/core-auth'
import { BrokerError } from '../../errors/errors.ts'
import { retryOnce, createExchange, ExchangeError, readObject } from '../../http/exchange.ts'
import type { HttpResponse } from '../../http/exchange.ts'
import { directPolicy } from '../../outbound/proxy.ts'
import type { ProxyPolicy } from '../../outbound/proxy.ts'
import { isLoopbackHost } from '../../settings/addresses.ts'
import { withDeadline } from '../../async/deadline.ts'

export interface TableRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** The path after the service's address, escaped: `Tables`, `name(PartitionKey='…',RowKey='…')`. */
  readonly resource: string
  /** Escaped, without its question mark. */
  readonly query?: string | undefined
  readonly ifMatch?: string
  readonly body?: object
}

export interface TableAnswer {
  readonly status: number
  /** The service's own error code; undefined for a success, or where the response is not the service's. */
  readonly code: string | undefined
  readonly etag: string | undefined
  readonly json: Readonly<Record<string, unknown>> | undefined
  /** The query of the next page. */
  readonly next: string | undefined
}

/**
 * @param until by `performance.now()`
 * @throws {BrokerError} `store_unavailable` without an answer, or for one that cannot be the service's; and the
 *   credential's errors
 */
export type TableService = (request: TableRequest, until: number) => Promise<TableAnswer>

/**
 * @param path of the address, escaped
 * @param until by `performance.now()`
 * @returns headers that let a request in
 */
type Authorize = (path: string, until: number) => Headers | Promise<Headers>

type Headers = Readonly<Record<string, string>>

interface TableServiceOptions {
  readonly tableServiceUri: string
  readonly authorize: Authorize
  /** Which requests go through a proxy; none where it is left out. */
  readonly proxies?: ProxyPolicy | undefined
}

/** The first version that accepts bearer tokens, by its documentation. */
const version = '2020-12-06'
const scope = 'https://storage.azure.com/.default'
/** The service's own bound for an answer is 4 MB. */
const maxBytes = 8 * 1024 * 1024

export function createTableService({
  tableServiceUri,
  authorize,
  proxies = directPolicy,
}: TableServiceOptions): TableService {
  const address = new URL(tableServiceUri)
  // A key or a token in clear never leaves this machine.
  if (address.protocol !== 'https:' && !isLoopbackHost(address.hostname))
    throw new BrokerError('internal', { detail: 'a store by http' })
  const root = address.pathname.replace(/\/$/, '')
  const exchange = createExchange({ maxBytes, proxies })

  return async ({ method, resource, query, ifMatch, body }, until) => {
    // To the service a PUT without a condition overwrites any row.
    if (ifMatch === '') throw new BrokerError('store_unavailable', { detail: 'a row without an etag' })
    const path = `${root}/${resource}`
    const request = {
      method,
      path: query === undefined ? path : `${path}?${query}`,
      headers: {
        // With the types of what JSON has no type for, and etags in lists.
        accept: 'application/json;odata=minimalmetadata',
        'x-ms-version': version,
        dataserviceversion: '3.0',
        ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
        ...(body === undefined ? {} : written),
        ...(await authorize(path, until)),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    }
    const response = await retryOnce(() => exchange(address, request, until), until).catch((error: unknown) => {
      if (error instanceof BrokerError) throw error
      throw new BrokerError('store_unavailable', {
        cause: error,
        ...(error instanceof ExchangeError ? { detail: error.reason } : {}),
      })
    })
    return read(response)
  }
}

/** @param credential built on first use */
export function bearerToken(credential: () => Promise<TokenCredential>): Authorize {
  const late = () => new BrokerError('store_unavailable', { detail: 'deadline' })
  const getToken = async () => (await credential()).getToken(scope)
  return async (_path, until) => {
    const token = await withDeadline(getToken(), until - performance.now(), late)
    if (!token) throw new BrokerError('managed_identity_unavailable', { detail: 'no token for the store' })
    return { authorization: `Bearer ${token.token}` }
  }
}

const written = { 'content-type': 'application/json', prefer: 'return-no-content' }

/** A proxy's page is no response of the service, and neither is a Retry-After. */
function read(response: HttpResponse): TableAnswer {
  const { status, headers } = response
  const isEmpty = status === 204
  const content = isEmpty ? undefined : readObject(response)
  const json = typeof content === 'object' ? content : undefined
  const { code = headers['x-ms-error-code'] } = (json?.['odata.error'] ?? {}) as { code?: unknown }
  const isSuccess = status >= 200 && status < 300 && (isEmpty || json !== undefined)
  const isRefusal = status >= 400 && status < 500 && typeof code === 'string' && /^\w{1,64}$/.test(code)
  if ((!isSuccess && !isRefusal) || headers['retry-after'] !== undefined) {
    throw new BrokerError('store_unavailable', { detail: `the store answered ${status}` })
  }
  return {
    status,
    code: isRefusal ? code : undefined,
    etag: headers.etag,
    json,
    next: nextOf(headers),
  }
}

function nextOf(headers: HttpResponse['headers']): string | undefined {
  const partition = headers['x-ms-continuation-nextpartitionkey']
  const row = headers['x-ms-continuation-nextrowkey']
  if (typeof partition !== 'string') return undefined
  const next = `NextPartitionKey=${encodeURIComponent(partition)}`
  return typeof row === 'string' ? `${next}&NextRowKey=${encodeURIComponent(row)}` : next
}

/** Azurite's account and key are in its documentation and open only an emulator. */
const emulator = {
  account: 'devstoreaccount1',
  key: createSecretKey(
    'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==',
    'base64',
  ),
}

/** Shared Key Lite. */
export const emulatorKey: Authorize = (path) => {
  const date = new Date().toUTCString()
  const signature = createHmac('sha256', emulator.key).update(`${date}\n/${emulator.account}${path}`).digest('base64')
  return { 'x-ms-date': date, authorization: `SharedKeyLite ${emulator.account}:${signature}` }
}
