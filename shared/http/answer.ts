/** An answer of the broker, independent of the host. */
import type { Cookie } from './cookies.ts'

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly cookies?: readonly Cookie[]
  readonly body?: string
  /** Origins whose pages may frame it; none where it is left out. */
  readonly framedBy?: readonly string[]
}

/** Headers of an answer that these origins may frame, without X-Frame-Options, which would forbid it to all. */
export function framedHeaders(origins: readonly string[]): Readonly<Record<string, string>> {
  const policy = baseHeaders['content-security-policy'] ?? ''
  const headers = Object.entries(baseHeaders).filter(([name]) => name !== 'x-frame-options')
  return {
    ...Object.fromEntries(headers),
    'content-security-policy': policy.replace("frame-ancestors 'none'", `frame-ancestors ${origins.join(' ')}`),
  }
}

/** On every answer: no caching, no framing, no sniffing, no referrer. */
export const baseHeaders: Readonly<Record<string, string>> = {
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'strict-transport-security': 'max-age=31536000; includeSubDomains',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'cross-origin-opener-policy': 'same-origin',
  // Same-site front ends read by CORS; no page embeds an answer.
  'cross-origin-resource-policy': 'same-site',
}

/** 303: after a POST the browser continues with GET (RFC 9700 §4.12). */
export function seeOther(location: string, cookies: readonly Cookie[] = []): Answer {
  // A redirect has no page to protect from its opener, and a library that opened a popup must find it again.
  const headers = { location: toAscii(location), 'cross-origin-opener-policy': 'unsafe-none' }
  return { status: 303, headers, cookies }
}

export function json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): Answer {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(body),
  }
}

/**
 * A key set (RFC 7517 §5). §8.5.2 registers application/jwk-set+json, which some providers refuse (Glewlwyd).
 *
 * @param cacheSeconds how long any cache may keep it
 */
export function keySet(keys: readonly object[], cacheSeconds: number): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': `public, max-age=${cacheSeconds}` },
    body: JSON.stringify({ keys }),
  }
}

/** A plain text, such as the word of a probe. */
export function text(status: number, body: string): Answer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body }
}

/** A header outside ASCII makes the host answer 500; URLs that were parsed are ASCII already. */
function toAscii(location: string): string {
  return new URL(location).href
}
