/**
 * Calls to the identity provider: node:https with one keep-alive agent (a third of fetch's cost), no redirects, JSON
 * only, bounded in time and size.
 */
import type http from 'node:http'
import https from 'node:https'
import { BrokerError } from '../errors.ts'

export interface NetworkRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface NetworkAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON; always an object. */
  readonly json: Readonly<Record<string, unknown>>
}

/** @throws {BrokerError} `provider_unavailable`, `provider_throttled`, `provider_answer_invalid` */
export type Network = (request: NetworkRequest) => Promise<NetworkAnswer>

const maxBytes = 256 * 1024

export interface NetworkOptions {
  readonly deadlineMilliseconds?: number
}

export function createNetwork({ deadlineMilliseconds = 10_000 }: NetworkOptions = {}): Network {
  // A free connection is given up before a provider's front door would: a POST on a dead one could not be repeated.
  const agentOptions = { keepAlive: true, timeout: 20_000, maxFreeSockets: 32 }
  const secure = new https.Agent(agentOptions)

  const send = (request: NetworkRequest, until: number): Promise<NetworkAnswer> =>
    new Promise((resolve, reject) => {
      const url = new URL(request.url)
      // Plain http never leaves this machine.
      if (url.protocol !== 'https:') {
        reject(unavailable(`${url.protocol} is not spoken to a provider`))
        return
      }
      const outgoing = https.request(
        url,
        {
          agent: secure,
          method: request.method,
          headers: {
            accept: 'application/json',
            ...request.headers,
            ...(request.body === undefined ? {} : { 'content-length': Buffer.byteLength(request.body) }),
          },
        },
        (incoming) => void read(incoming).then(resolve, reject),
      )
      const timer = setTimeout(() => outgoing.destroy(new Error('deadline')), until - performance.now())
      outgoing.on('error', (error: NodeJS.ErrnoException) => reject(unavailable(error.code ?? error.message, error)))
      outgoing.on('close', () => clearTimeout(timer))
      outgoing.end(request.body)
    })

  return async (request) => {
    const until = performance.now() + deadlineMilliseconds
    const answer = await send(request, until).catch((error: unknown) => {
      // A read may be repeated once, in what time is left; whoever sends a code or a refresh token may not know whether
      // it arrived.
      const isUnavailable = error instanceof BrokerError && error.code === 'provider_unavailable'
      const isTimeLeft = until - performance.now() > deadlineMilliseconds / 10
      if (request.method === 'GET' && isUnavailable && isTimeLeft) return send(request, until)
      throw error
    })
    if (answer.status === 429) throw new BrokerError('provider_throttled', retryAfterOf(answer.headers))
    if (answer.status >= 500) throw unavailable(`status ${answer.status}`)
    return answer
  }
}

async function read(incoming: http.IncomingMessage): Promise<NetworkAnswer> {
  const status = incoming.statusCode ?? 0
  const headers = Object.fromEntries(Object.entries(incoming.headers).map(([name, value]) => [name, String(value)]))
  // Before the content is looked at: a front door's 503 is HTML, and what matters is that it will pass.
  if (status === 429 || status >= 500) {
    incoming.on('error', () => undefined).resume()
    return { status, headers, json: {} }
  }
  const chunks: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > maxBytes) {
        incoming.destroy()
        throw invalid('more than 256 KB')
      }
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof BrokerError ? error : unavailable('answer cut off', error)
  }
  if (status >= 300 && status < 400) throw invalid('a redirect')
  // Graph's answer to a removal; whoever expects something in an answer misses it there.
  if (status === 204) return { status, headers, json: {} }
  if (!/^application\/([\w.-]+\+)?json\b/i.test(headers['content-type'] ?? '')) throw invalid('not JSON')
  return { status, headers, json: parseObject(Buffer.concat(chunks).toString('utf8')) }
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    throw invalid('broken JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalid('JSON that is not an object')
  return parsed as Readonly<Record<string, unknown>>
}

function unavailable(detail: string, cause?: unknown): BrokerError {
  return new BrokerError('provider_unavailable', { detail, cause })
}

function invalid(detail: string): BrokerError {
  return new BrokerError('provider_answer_invalid', { detail })
}

function retryAfterOf(headers: Readonly<Record<string, string>>): { retryAfterSeconds?: number } {
  const seconds = Number(headers['retry-after'])
  return Number.isFinite(seconds) && seconds > 0 ? { retryAfterSeconds: Math.min(seconds, 120) } : {}
}
