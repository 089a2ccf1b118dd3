/** Converts the worker's response to one on the wire, with the changes that the host and Kestrel make. */
import type http from 'node:http'

import type { RpcHttpCookie, RpcHttpData, RpcTypedData } from './rpc.ts'

/** An answer as it goes out, before `customHeaders`. */
export interface Answer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly cookies: readonly string[]
  readonly body: Uint8Array
}

/** An answer of the host itself; the body is optional. */
export function bare(status: number, body = '', contentType?: string): Answer {
  const headers = new Map(contentType === undefined ? [] : [['content-type', contentType]])
  return { status, headers, cookies: [], body: Buffer.from(body) }
}

/**
 * @param returned `returnValue` of the invocation; no value at all is 204
 * @throws {Error} where Kestrel refuses a header, which a caller sees as 500
 */
export function toAnswer(returned: RpcTypedData | null | undefined): Answer {
  const response = returned?.http
  if (!response) return bare(204)
  const headers = new Map(Object.entries(response.headers ?? {}))
  const cookies = (response.cookies ?? []).map(formatCookie)
  for (const [name, value] of [...headers, ...cookies.map((cookie) => ['set-cookie', cookie] as const)]) {
    checkHeader(name, value)
  }
  return { status: Number(response.statusCode ?? 200), headers, cookies, body: bodyOf(response) }
}

function bodyOf({ body }: RpcHttpData): Uint8Array {
  return body?.bytes ?? Buffer.from(body?.string ?? body?.json ?? '')
}

/**
 * `Set-Cookie` as ASP.NET Core writes it, byte for byte: value escaped, `path=/` unless the function named another,
 * attributes in lower case and in this order.
 */
function formatCookie(cookie: RpcHttpCookie): string {
  const name = cookie.name ?? ''
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) throw new Error(`"${name}" is no cookie name.`)
  const seconds = cookie.expires?.value?.seconds
  const maxAge = cookie.maxAge?.value
  if (maxAge !== undefined && maxAge < 0) throw new Error(`The cookie ${name} has a negative maxAge.`)
  const sameSite = cookie.sameSite === 'explicitNone' ? 'none' : cookie.sameSite
  return [
    `${name}=${escapeDataString(cookie.value ?? '')}`,
    seconds === undefined ? undefined : `expires=${new Date(seconds * 1000).toUTCString()}`,
    maxAge === undefined ? undefined : `max-age=${Math.trunc(maxAge)}`,
    cookie.domain?.value === undefined ? undefined : `domain=${cookie.domain.value}`,
    `path=${cookie.path?.value ?? '/'}`,
    cookie.secure?.value === true ? 'secure' : undefined,
    cookie.sameSite === undefined || cookie.sameSite === 'none' ? undefined : `samesite=${sameSite ?? ''}`,
    cookie.httpOnly?.value === true ? 'httponly' : undefined,
  ]
    .filter((part) => part !== undefined)
    .join('; ')
}

/** .NET's `Uri.EscapeDataString`: unlike `encodeURIComponent` it leaves only RFC 3986's unreserved characters. */
function escapeDataString(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

function checkHeader(name: string, value: string): void {
  if (!/^[\t\x20-\x7e]*$/.test(value)) {
    throw new Error(`Invalid non-ASCII or control character in header: ${name}`)
  }
}

/**
 * Writes the answer. `content-length` and `transfer-encoding` that a function set itself go out as they are, and
 * where they are wrong the connection ends in the middle of the answer, as with Kestrel, so that tests detect it.
 */
export function writeAnswer(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  answer: Answer,
  customHeaders: Readonly<Record<string, string>>,
): void {
  response.statusCode = answer.status
  for (const [name, value] of answer.headers) response.setHeader(name, value)
  if (answer.cookies.length > 0) {
    const before = answer.headers.get('set-cookie')
    response.setHeader('set-cookie', before === undefined ? answer.cookies : [before, ...answer.cookies])
  }
  for (const [name, value] of Object.entries(customHeaders)) {
    if (!response.hasHeader(name)) response.setHeader(name, value)
  }

  const length = answer.headers.get('content-length')
  const untrue =
    answer.headers.has('transfer-encoding') || (length !== undefined && Number(length) !== answer.body.length)
  if (!untrue || request.method === 'HEAD') {
    response.end(request.method === 'HEAD' ? undefined : answer.body)
    return
  }
  const head = [...Object.entries(response.getHeaders())].flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}: ${String(one)}\r\n`),
  )
  request.socket.write(`HTTP/1.1 ${answer.status} ${response.statusMessage || 'OK'}\r\n${head.join('')}\r\n`)
  request.socket.end(answer.body.subarray(0, length === undefined ? undefined : Number(length)))
}
