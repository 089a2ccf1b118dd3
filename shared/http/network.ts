/**
 * Calls to the identity provider and Graph: https with connections that are kept, no redirects, JSON only, bounded in
 * time and size.
 */
import { BrokerError } from '../errors/errors.ts'
import { createExchange, ExchangeError, readObject } from './exchange.ts'
import type { Answered } from './exchange.ts'

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
  const exchange = createExchange({ maxBytes, idleMilliseconds: 20_000 })

  const send = async ({ method, url, headers, body }: NetworkRequest, until: number): Promise<NetworkAnswer> => {
    const address = new URL(url)
    // Plain http never leaves this machine.
    if (address.protocol !== 'https:') throw unavailable(`${address.protocol} is not spoken to a provider`)
    const path = `${address.pathname}${address.search}`
    const asked = { method, path, headers: { accept: 'application/json', ...headers }, body }
    return read(await exchange(address, asked, until).catch(refuse))
  }

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

function refuse(error: unknown): never {
  const reason = error instanceof ExchangeError ? error.reason : 'no request'
  if (reason === 'too large') throw invalid('more than 256 KB')
  throw unavailable(reason, error)
}

function read(answered: Answered): NetworkAnswer {
  const { status } = answered
  const headers = Object.fromEntries(Object.entries(answered.headers).map(([name, value]) => [name, String(value)]))
  // Before the content is looked at: a front door's 503 is HTML, and what matters is that it will pass. And 204 is
  // Graph's answer to a removal; whoever expects something in an answer misses it there.
  if (status === 429 || status >= 500 || status === 204) return { status, headers, json: {} }
  if (status >= 300 && status < 400) throw invalid('a redirect')
  const json = readObject(answered)
  if (typeof json === 'string') throw invalid(json)
  return { status, headers, json }
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
