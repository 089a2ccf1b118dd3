/**
 * One HTTP exchange by node:http or node:https, over connections that are kept: a third of fetch's cost. It is bounded
 * in time and size, and a redirect is an answer like any other; what an answer means is for those to say who asked.
 */
import http from 'node:http'
import https from 'node:https'
import { wait } from '../async/deadline.ts'

export interface Asked {
  readonly method: string
  /** With the query, and escaped. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
}

export interface Answered {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  /** Empty at 429 and from 500 on, whatever came. */
  readonly body: Buffer
}

/**
 * @param origin where to, of which path and query are not looked at
 * @param until by `performance.now()`, for all of the answer
 * @throws {ExchangeError}
 */
export type Exchange = (origin: URL, asked: Asked, until: number) => Promise<Answered>

/** Why there is no answer: `deadline`, `too large`, `cut off`, or the code that Node gives a network's faults. */
export class ExchangeError extends Error {
  readonly reason: string

  constructor(reason: string, cause?: unknown) {
    super(reason, { cause })
    this.name = 'ExchangeError'
    this.reason = reason
  }
}

export interface ExchangeOptions {
  readonly maxBytes: number
  /**
   * A free connection is given up after this, for requests that can't be repeated. It costs 7 µs a request; TCP's own
   * keep-alive finds out about connections that are dead, and whoever asks twice needs no more.
   */
  readonly idleMilliseconds?: number
}

export function createExchange({ maxBytes, idleMilliseconds }: ExchangeOptions): Exchange {
  const agentOptions = {
    keepAlive: true,
    maxFreeSockets: 32,
    ...(idleMilliseconds === undefined ? {} : { timeout: idleMilliseconds }),
  }
  const secure = new https.Agent(agentOptions)
  let plain: http.Agent | undefined

  const begin = (
    { protocol, hostname, port }: URL,
    { method, path }: Asked,
    headers: Asked['headers'],
  ): http.ClientRequest => {
    // An address in brackets is for URLs alone.
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname
    const options = { host, port, method, path, headers }
    if (protocol === 'https:') return https.request({ ...options, agent: secure })
    plain ??= new http.Agent(agentOptions)
    return http.request({ ...options, agent: plain })
  }

  return (origin, asked, until) =>
    new Promise((resolve, reject) => {
      const { body } = asked
      const length = body === undefined ? 0 : Buffer.byteLength(body)
      const headers = body === undefined ? asked.headers : { ...asked.headers, 'content-length': String(length) }
      const outgoing = begin(origin, asked, headers)

      let isSettled = false
      const fail = (reason: string, cause?: unknown) => {
        if (!isSettled) reject(new ExchangeError(reason, cause))
        isSettled = true
        outgoing.destroy()
      }
      const succeed = ({ statusCode = 0, headers }: http.IncomingMessage, body: Buffer) => {
        isSettled = true
        resolve({ status: statusCode, headers, body })
      }
      const timer = setTimeout(() => fail('deadline'), Math.max(1, until - performance.now()))
      outgoing.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message, error))
      outgoing.on('close', () => {
        clearTimeout(timer)
        // No answer, and no error either.
        if (!isSettled) fail('cut off')
      })
      outgoing.on('response', (incoming) => {
        incoming.on('error', (error) => fail('cut off', error))
        if (isTrouble(incoming.statusCode)) {
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
      // ASCII goes out as it is, without a look at each character.
      outgoing.end(body, length === body?.length ? 'latin1' : 'utf8')
    })
}

/** The status says it all, and the page that comes with it may be of any kind and size. */
function isTrouble(status = 0): boolean {
  return status === 429 || status >= 500
}

const nothing = Buffer.alloc(0)

/**
 * Asks once more where the first answer was lost, or the server had a fault of its own that may pass; not where it says
 * when to come again, which is longer than anybody here waits.
 *
 * @param until as the exchange's
 */
export async function askTwice(ask: () => Promise<Answered>, until: number): Promise<Answered> {
  const first = await ask().catch((error: unknown) => error as ExchangeError)
  const mayPass =
    first instanceof Error
      ? first.reason !== 'deadline' && first.reason !== 'too large'
      : (first.status >= 500 || first.status === 408) && first.headers['retry-after'] === undefined
  if (mayPass && until - performance.now() > pauseMilliseconds) {
    await wait(pauseMilliseconds)
    return ask()
  }
  if (first instanceof Error) throw first
  return first
}

const pauseMilliseconds = 50

/** @returns the object that an answer of JSON holds; or, in a few words, what is there instead */
export function readObject({ headers, body }: Answered): Readonly<Record<string, unknown>> | string {
  if (!/^application\/([\w.-]+\+)?json\b/i.test(headers['content-type'] ?? '')) return 'not JSON'
  try {
    const parsed: unknown = JSON.parse(body.toString('utf8'))
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Readonly<Record<string, unknown>>)
      : 'JSON that is not an object'
  } catch {
    return 'broken JSON'
  }
}
