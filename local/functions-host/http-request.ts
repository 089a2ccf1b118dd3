/** Turns a request on the wire into the worker's message, with the changes that Kestrel and the host make. */
import type http from 'node:http'

import type { RpcHttpData } from './rpc.ts'

/** The host's limit; a request that declares a larger body ends with 500. */
const largestBody = 100 * 1024 * 1024
/** Kestrel's limits. The first counts method, target, version and line break. */
const longestRequestLine = 8 * 1024
const mostHeaders = 100

/** A request that the real host answers by itself, before a function runs. */
export class RefusedRequest extends Error {
  readonly status: 400 | 414 | 431 | 500

  constructor(status: RefusedRequest['status'], message: string) {
    super(message)
    this.status = status
  }
}

export interface ReceivedRequest {
  readonly method: string
  /** Decoded except for `%2F`; this is what routes are matched with. */
  readonly path: string
  readonly search: string
  /** Lower-case names; repeated ones joined by a comma. */
  readonly headers: ReadonlyMap<string, string>
  readonly query: ReadonlyMap<string, string>
}

/** @throws {RefusedRequest} for a request line, a path or a header that Kestrel refuses */
export function receiveRequest(request: http.IncomingMessage): ReceivedRequest {
  checkLimits(request)
  checkHost(request)
  const target = (request.url ?? '/').replace(/^https?:\/\/[^/]*/i, '')
  const queryAt = target.indexOf('?')
  const search = queryAt < 0 ? '' : target.slice(queryAt)
  const path = decodePath(withoutDotSegments(queryAt < 0 ? target : target.slice(0, queryAt)))
  if (path.includes('\0')) throw new RefusedRequest(400, 'The path has a null character.')
  return {
    method: request.method ?? 'GET',
    path,
    search,
    headers: joinRepeated(headerPairs(request)),
    query: joinRepeated(queryPairs(search)),
  }
}

function checkLimits({ method = '', url = '', httpVersion, rawHeaders }: http.IncomingMessage): void {
  const line = `${method} ${url} HTTP/${httpVersion}\r\n`
  if (line.length > longestRequestLine) throw new RefusedRequest(414, 'The request line is longer than 8 KB.')
  if (rawHeaders.length / 2 > mostHeaders) throw new RefusedRequest(431, 'The request has more than 100 headers.')
}

/**
 * Kestrel accepts one Host, empty or of these characters (RFC 3986's without `*+,;=%`), and rejects the rest itself.
 */
function checkHost({ headers, rawHeaders }: http.IncomingMessage): void {
  const isSound = /^(([A-Za-z0-9!$&'()._~-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?)?$/.test(headers.host ?? '')
  const hosts = rawHeaders.filter((text, index) => index % 2 === 0 && /^host$/i.test(text))
  if (hosts.length !== 1 || !isSound) throw new RefusedRequest(400, 'A request names one host.')
}

/**
 * Builds the message for the worker. The body comes only with a `content-length`: without HTTP streaming the
 * real host reads no other, so a chunked one arrives empty.
 *
 * @throws {RefusedRequest} when the body is larger than the host accepts
 */
export async function toRpcHttp(
  received: ReceivedRequest,
  body: http.IncomingMessage,
  parameters: Readonly<Record<string, string>>,
): Promise<RpcHttpData> {
  const length = Number(received.headers.get('content-length') ?? 0)
  if (length > largestBody) throw new RefusedRequest(500, `A body of ${length} bytes: the host accepts 100 MB.`)
  return {
    method: received.method,
    url: `http://${received.headers.get('host') ?? ''}${encodePath(received.path)}${received.search}`,
    nullableHeaders: nullable(received.headers),
    nullableQuery: nullable(received.query),
    nullableParams: nullable(new Map(Object.entries(parameters))),
    headers: {},
    query: {},
    params: {},
    ...(length > 0 ? { body: { bytes: await readBody(body) } } : {}),
  }
}

/** By events: an iterator over the stream costs three times as much for the one chunk that a form is. */
function readBody(request: http.IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', reject)
  })
}

function nullable(values: ReadonlyMap<string, string>): Record<string, { value: string }> {
  return Object.fromEntries([...values].map(([name, value]) => [name, { value }]))
}

/** Names of headers and of query parameters are compared without case; the first spelling stays. */
function joinRepeated(pairs: Iterable<readonly [string, string]>): Map<string, string> {
  const joined = new Map<string, string>()
  const spelling = new Map<string, string>()
  for (const [name, value] of pairs) {
    const lower = name.toLowerCase()
    const known = spelling.get(lower)
    if (known === undefined) {
      spelling.set(lower, name)
      joined.set(name, value)
    } else {
      joined.set(known, `${joined.get(known) ?? ''},${value}`)
    }
  }
  return joined
}

function* headerPairs({ rawHeaders }: http.IncomingMessage): Generator<readonly [string, string]> {
  for (let index = 0; index < rawHeaders.length; index += 2) {
    yield [(rawHeaders[index] ?? '').toLowerCase(), utf8(rawHeaders[index + 1] ?? '')]
  }
}

/** Kestrel reads header values as UTF-8 and refuses other bytes; Node passes them on byte by byte. */
function utf8(latin1: string): string {
  // eslint-disable-next-line no-control-regex -- ASCII is the same in both
  if (/^[\x00-\x7f]*$/.test(latin1)) return latin1
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(latin1, 'latin1'))
  } catch {
    throw new RefusedRequest(400, 'A header value is not UTF-8.')
  }
}

function* queryPairs(search: string): Generator<readonly [string, string]> {
  yield* new URLSearchParams(search)
}

function withoutDotSegments(path: string): string {
  if (!/(^|\/)(\.|%2e){1,2}(\/|$)/i.test(path)) return path
  return new URL(`http://host${path.startsWith('/') ? path : `/${path}`}`).pathname
}

/** Decodes percent-encoding except for `%2F`, which would otherwise become a separator. */
function decodePath(path: string): string {
  return path.replace(/(?:%(?!2f)[0-9a-f]{2})+/gi, (encoded) => {
    try {
      return decodeURIComponent(encoded)
    } catch {
      return encoded
    }
  })
}

/** Encodes the result of `decodePath` for a URL: `%2F` (and any other `%` with two hex digits) stays as it is. */
function encodePath(path: string): string {
  return path.replace(/%(?![0-9a-f]{2})|[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]+/gi, (text) =>
    encodeURIComponent(text.toWellFormed()),
  )
}
