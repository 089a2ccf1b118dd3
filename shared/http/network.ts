/**
 * Requests to the identity provider and Microsoft Graph: https over connections that are kept, no redirects, JSON only,
 * bounded in time and size.
 */
import { BrokerError } from '../errors/errors.ts'
import { createExchange, ExchangeError, readObject, retryAfterSecondsOf } from './exchange.ts'
import type { HttpResponse } from './exchange.ts'
import type { Clock } from '../async/deadline.ts'
import { directPolicy } from '../outbound/proxy.ts'
import type { ProxyPolicy } from '../outbound/proxy.ts'

interface NetworkRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface NetworkAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** Parsed JSON; always an object, and an empty one where an error has no JSON. */
  readonly json: Readonly<Record<string, unknown>>
}

/**
 * @throws {BrokerError} `provider_unavailable`, `provider_throttled`, `provider_answer_invalid`, `proxy_unavailable`
 */
export type Network = (request: NetworkRequest) => Promise<NetworkAnswer>

const maxBytes = 256 * 1024

const usualHeaders = {
  // RFC 7517 §8.5.2: some servers send a key set as this type alone, and answer 406 where it is not named.
  accept: 'application/json, application/jwk-set+json',
  // Without it, any content coding is acceptable (RFC 9110 §12.5.3).
  'accept-encoding': 'identity',
  // Firewalls in front of providers refuse requests without one: AWS WAF by its core rules, GOV.UK One Login.
  'user-agent': 'certificate-token-broker',
}

interface NetworkOptions {
  readonly deadlineMilliseconds?: number
  /** For a `Retry-After` that is a date. */
  readonly clock?: Clock
  /** Which requests go through a proxy; none where it is left out. */
  readonly proxies?: ProxyPolicy
}

export function createNetwork(options: NetworkOptions = {}): Network {
  const { deadlineMilliseconds = 10_000, clock = Date.now, proxies = directPolicy } = options
  // A free connection is closed before a provider's front door closes it: a POST on a dead one cannot be repeated.
  const exchange = createExchange({ maxBytes, proxies, idleMilliseconds: 20_000 })

  const send = async ({ method, url, headers, body }: NetworkRequest, until: number): Promise<NetworkAnswer> => {
    const address = new URL(url)
    // No request in clear text leaves this machine.
    if (address.protocol !== 'https:') throw unavailable(`${address.protocol} is not https`)
    const path = `${address.pathname}${address.search}`
    const request = { method, path, headers: { ...usualHeaders, ...headers }, body }
    return read(await exchange(address, request, until).catch(refuse))
  }

  return async (request) => {
    const until = performance.now() + deadlineMilliseconds
    const answer = await send(request, until).catch((error: unknown) => {
      // A read is repeated once, in the time that is left. A POST is not: the code or refresh token in it may have
      // arrived, and each works once.
      const isUnavailable = error instanceof BrokerError && error.code === 'provider_unavailable'
      const isTimeLeft = until - performance.now() > deadlineMilliseconds / 10
      if (request.method === 'GET' && isUnavailable && isTimeLeft) return send(request, until)
      throw error
    })
    const retryAfterSeconds = retryAfterSecondsOf(answer.headers['retry-after'], clock())
    if (answer.status === 429) throw new BrokerError('provider_throttled', { retryAfterSeconds })
    if (answer.status >= 500) throw unavailable(`status ${answer.status}`).with({ retryAfterSeconds })
    return answer
  }
}

function refuse(error: unknown): never {
  if (error instanceof BrokerError) throw error
  const reason = error instanceof ExchangeError ? error.reason : 'no request'
  if (reason === 'too large') throw invalid('more than 256 KB')
  throw unavailable(reason, error)
}

function read(response: HttpResponse): NetworkAnswer {
  const { status } = response
  const headers = Object.fromEntries(Object.entries(response.headers).map(([name, value]) => [name, String(value)]))
  // Before the content type: a front door's 503 is HTML, and it will pass. And 204 is Graph's answer to a removal; a
  // caller that needs content finds an empty object.
  if (status === 429 || status >= 500 || status === 204) return { status, headers, json: {} }
  if (status >= 300 && status < 400) throw invalid('a redirect')
  const json = readObject({ body: uncompressed(response) })
  if (typeof json !== 'string') return { status, headers, json }
  // The caller reports the status, which names the fault better than the page of a firewall or of a missing path.
  if (status >= 400) return { status, headers, json: {} }
  throw invalid(json)
}

/**
 * A front door may compress the response although `identity` was requested. The result has the bound of a response.
 *
 * @returns the body as it is where it is not compressed by gzip, or cannot be read: it is then no JSON
 */
function uncompressed({ headers, body }: HttpResponse): Buffer {
  if (headers['content-encoding'] !== 'gzip') return body
  try {
    // Not imported: no provider that honours the request needs it.
    return process.getBuiltinModule('node:zlib').gunzipSync(body, { maxOutputLength: maxBytes })
  } catch {
    return body
  }
}

function unavailable(detail: string, cause?: unknown): BrokerError {
  return new BrokerError('provider_unavailable', { detail, cause })
}

function invalid(detail: string): BrokerError {
  return new BrokerError('provider_answer_invalid', { detail })
}
