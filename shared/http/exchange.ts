/**
 * One HTTP request and its response by node:http or node:https, over connections that are kept: a third of the cost of
 * fetch. The response is bounded in time and size, and a redirect is a response like any other. The caller decides what
 * a response means.
 */
import http from 'node:http'
import https from 'node:https'
import { defined, isObject } from '../json/json.ts'
import { wait } from '../async/deadline.ts'
import { BrokerError } from '../errors/errors.ts'
import { createAgents, TunnelAgent } from '../outbound/agents.ts'
import { directPolicy } from '../outbound/proxy.ts'
import type { ProxyPolicy } from '../outbound/proxy.ts'

interface HttpRequest {
  readonly method: string
  /** With the query, and escaped. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
}

export interface HttpResponse {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  /** Empty at 429 and from 500 on: such a body is not read. */
  readonly body: Buffer
}

/**
 * @param origin where the request goes; path and query of this URL are ignored
 * @param until by `performance.now()`, for the whole response
 * @throws {ExchangeError} when there is no response
 * @throws {BrokerError} `proxy_unavailable` when the proxy that the policy names opens no tunnel
 */
export type Exchange = (origin: URL, request: HttpRequest, until: number) => Promise<HttpResponse>

/** Why there is no response: `deadline`, `too large`, `cut off`, or Node's code of a network fault. */
export class ExchangeError extends Error {
  readonly reason: string

  constructor(reason: string, cause?: unknown) {
    super(reason, { cause })
    this.name = 'ExchangeError'
    this.reason = reason
  }
}

interface ExchangeOptions {
  readonly maxBytes: number
  /** Which requests go through a proxy; none where it is left out. */
  readonly proxies?: ProxyPolicy
  /**
   * After this time a free connection is closed. For requests that cannot be repeated: they must not meet a connection
   * that the server has closed already. It costs 7 µs a request. A caller that uses `retryOnce` does not need it, since
   * TCP keep-alive finds dead connections.
   */
  readonly idleMilliseconds?: number
}

export function createExchange(options: ExchangeOptions): Exchange {
  const { maxBytes, proxies = directPolicy, idleMilliseconds } = options
  const agentFor = createAgents(proxies, {
    keepAlive: true,
    maxFreeSockets: 32,
    ...defined({ timeout: idleMilliseconds }),
  })

  return (origin, { method, path, headers: given, body }, until) =>
    new Promise((resolve, reject) => {
      const length = body === undefined ? 0 : Buffer.byteLength(body)
      const headers = body === undefined ? given : { ...given, 'content-length': String(length) }
      const agent = agentFor(origin)
      const outgoing = (origin.protocol === 'https:' ? https : http).request({
        // The brackets of an IPv6 address belong to URLs only.
        host: origin.hostname.replace(/^\[|\]$/g, ''),
        port: origin.port,
        method,
        path,
        headers,
        agent,
      })

      let isSettled = false
      const fail = (reason: string, cause?: unknown) => {
        if (!isSettled) reject(cause instanceof BrokerError ? cause : new ExchangeError(reason, cause))
        isSettled = true
        outgoing.destroy()
      }
      const succeed = ({ statusCode = 0, headers }: http.IncomingMessage, body: Buffer) => {
        isSettled = true
        resolve({ status: statusCode, headers, body })
      }
      const onDeadline = () => {
        const isWithoutTunnel = agent instanceof TunnelAgent && !outgoing.socket
        fail('deadline', isWithoutTunnel ? lateTunnel() : undefined)
      }
      const timer = setTimeout(onDeadline, Math.max(1, until - performance.now()))
      outgoing.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error))
      outgoing.on('close', () => {
        clearTimeout(timer)
        // Neither a response nor an error.
        if (!isSettled) fail('cut off')
      })
      outgoing.on('response', (incoming) => {
        incoming.on('error', (error) => fail('cut off', error))
        if (isServerFault(incoming.statusCode)) {
          incoming.resume()
          succeed(incoming, nothing)
          return
        }
        const chunks: Buffer[] = []
        let size = 0
        incoming.on('data', (chunk: Buffer) => {
          size += chunk.length
          chunks.push(chunk)
          if (size > maxBytes) fail('too large')
        })
        incoming.on('end', () => {
          if (!isSettled) succeed(incoming, chunks.length > 1 ? Buffer.concat(chunks) : (chunks[0] ?? nothing))
        })
      })
      // ASCII is written as latin1, which does not look at each character.
      outgoing.end(body, length === body?.length ? 'latin1' : 'utf8')
    })
}

/** The status is enough: the page of such a response may be of any type and size. */
function isServerFault(status = 0): boolean {
  return status === 429 || status >= 500
}

function lateTunnel(): BrokerError {
  return new BrokerError('proxy_unavailable', { detail: 'the proxy did not open the tunnel before the deadline' })
}

const nothing = Buffer.alloc(0)

/**
 * Repeats a request once, after a lost response or a server fault that may pass. Not after a response with
 * `retry-after`: no caller waits that long. Not after a fault of the proxy: its own deadline has passed.
 *
 * @param send must be safe to repeat
 * @param until as the exchange's
 */
export async function retryOnce(send: () => Promise<HttpResponse>, until: number): Promise<HttpResponse> {
  const first = await send().catch((error: unknown) => error as Error)
  const mayPass =
    first instanceof Error
      ? first instanceof ExchangeError && first.reason !== 'deadline' && first.reason !== 'too large'
      : (first.status >= 500 || first.status === 408) && first.headers['retry-after'] === undefined
  if (mayPass && until - performance.now() > pauseMilliseconds) {
    await wait(pauseMilliseconds)
    return send()
  }
  if (first instanceof Error) throw first
  return first
}

const pauseMilliseconds = 50

/**
 * Reads the content, whatever type the header names: key sets and metadata on a file server often have that of a text.
 * A byte order mark is ignored (RFC 8259 §8.1).
 *
 * @returns the JSON object of a response; or, in a few words, why there is none
 */
export function readObject({ body }: Pick<HttpResponse, 'body'>): Readonly<Record<string, unknown>> | string {
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8').replace(/^\ufeff/, ''))
    return isObject(parsed) ? parsed : 'JSON that is not an object'
  } catch {
    return 'not JSON'
  }
}

/**
 * @param header `Retry-After`: seconds, or a date (RFC 9110 §10.2.3); untrusted
 * @param now milliseconds since the epoch, to which a date is compared
 * @returns at most two minutes; undefined where it names no time ahead
 */
export function retryAfterSecondsOf(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined
  const seconds = /^\d+$/.test(header) ? Number(header) : Math.ceil((Date.parse(header) - now) / 1000)
  return seconds > 0 ? Math.min(seconds, 120) : undefined
}
