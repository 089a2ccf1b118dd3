/** Reads a request: bounds first, then text. shared/ decides on the values. Independent of the host. */
import { hash } from 'node:crypto'
import { BrokerError, parameterInvalid, parameterRepeated } from '../shared/errors/errors.ts'
import { parseCookies } from '../shared/http/cookies.ts'
import type { CallingBrowser, RequestCookies } from '../shared/http/cookies.ts'
import { isObject } from '../shared/json/json.ts'
import type { CallerHeaders } from '../shared/front-ends/same-site-guard.ts'
import type { ClientForm } from '../shared/oauth/client-request.ts'

/** The part of a web-standard Request that the broker reads; the host's request offers it too. */
export interface WebRequest {
  readonly method: string
  readonly url: string
  readonly headers: Pick<Headers, 'get' | 'has'>
  /** Values of the route's placeholders; untrusted. */
  readonly params?: Readonly<Record<string, string>>
  text(): Promise<string>
}

/** The host answers a request line over 8 KB with a bare 414; below that, a page explains. */
const maxQueryLength = 8_000
const maxParameters = 50

/**
 * The query of a request that is refused already, for the links of its page: also one that is too long or repeats a
 * parameter. The host limits its length.
 */
export function parseQueryForLinks(request: WebRequest): URLSearchParams {
  return new URLSearchParams(queryOf(request))
}

/** Parses the query of the URL: the host's own `request.query` joins a parameter that occurs twice. */
export function parseQuery(request: WebRequest): URLSearchParams {
  const query = queryOf(request)
  if (query.length > maxQueryLength) throw new BrokerError('query_too_large')
  const parameters = new URLSearchParams(query)
  if (parameters.size > maxParameters) throw new BrokerError('query_too_large')
  return parameters
}

function queryOf({ url }: WebRequest): string {
  const at = url.indexOf('?')
  return at < 0 ? '' : url.slice(at + 1)
}

/** A browser that fetches a link ahead has no person who followed it. @throws {BrokerError} `prefetch_refused` */
export function refusePrefetch(request: WebRequest): void {
  const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].map((name) => request.headers.get(name) ?? '')
  if (purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose))) throw new BrokerError('prefetch_refused')
}

/** @returns the parameter; undefined where it is missing or empty @throws {BrokerError} `parameter_repeated` */
export function readParameter(query: URLSearchParams, name: string): string | undefined {
  const values = query.getAll(name)
  if (values.length > 1) throw parameterRepeated(name)
  return values[0] === '' ? undefined : values[0]
}

interface BodyType {
  readonly contentType: string
  readonly charsets: readonly string[]
  readonly maxBytes: number
}

/**
 * A form is ASCII, with all other characters escaped. Java's HTTP clients name ISO-8859-1 by default. `utf8` is a name
 * of UTF-8 (WHATWG Encoding §4.2).
 */
const formBody: BodyType = {
  contentType: 'application/x-www-form-urlencoded',
  charsets: ['utf-8', 'utf8', 'us-ascii', 'iso-8859-1'],
  maxBytes: 64 * 1024,
}
const jsonBody: BodyType = { contentType: 'application/json', charsets: ['utf-8', 'utf8'], maxBytes: 8 * 1024 }

/** @throws {BrokerError} `request_too_large` before anything is parsed, `content_type_unsupported` */
async function readBody(request: WebRequest, accepted: BodyType): Promise<string> {
  const { contentType, charsets, maxBytes } = accepted
  const [type, ...parameters] = (request.headers.get('content-type') ?? '').toLowerCase().split(';')
  const named = parameters.map((one) => one.trim()).find((one) => one.startsWith('charset='))
  const charset = named?.slice('charset='.length).replaceAll('"', '')
  if (type?.trim() !== contentType || (charset !== undefined && !charsets.includes(charset))) {
    throw new BrokerError('content_type_unsupported')
  }
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw new BrokerError('request_too_large')
  const body = await request.text()
  if (Buffer.byteLength(body) > maxBytes) throw new BrokerError('request_too_large')
  // The host hands a chunked body on as an empty one; its parameters must not look as if they had been left out.
  if (body === '' && !request.headers.has('content-length')) throw new BrokerError('body_missing')
  return body
}

export async function readForm(request: WebRequest): Promise<URLSearchParams> {
  const form = new URLSearchParams(await readBody(request, formBody))
  if (form.size > maxParameters) throw new BrokerError('request_too_large')
  return form
}

/** The request of an OAuth client at `/token` or `/revoke`. */
export async function readClientForm(request: WebRequest): Promise<ClientForm> {
  return {
    fields: await readForm(request),
    origin: callerOf(request).origin,
    authorization: request.headers.get('authorization') ?? undefined,
  }
}

/** A form, with the query of its address, that fits into the query of a redirect. */
export async function readFormAsQuery(request: WebRequest): Promise<URLSearchParams> {
  const form = new URLSearchParams([...parseQuery(request), ...(await readForm(request))])
  if (form.toString().length > maxQueryLength) throw new BrokerError('query_too_large')
  return form
}

/** Reads a JSON object with known members that are all texts; a missing or empty body is an empty object. */
export async function readJson<Name extends string>(
  request: WebRequest,
  names: readonly Name[],
): Promise<Partial<Record<Name, string>>> {
  // fetch without a body sends neither header.
  if (!request.headers.has('content-type') && Number(request.headers.get('content-length') ?? 0) === 0) return {}
  const text = await readBody(request, jsonBody)
  if (text.trim() === '') return {}
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw parameterInvalid('body', 'not JSON')
  }
  if (!isObject(body)) throw parameterInvalid('body', 'not an object')
  const members = Object.entries(body)
  for (const [name, value] of members) {
    if (!names.some((known) => known === name)) throw parameterInvalid('body', `accepts only ${names.join(', ')}`)
    if (typeof value !== 'string') throw parameterInvalid(name, 'not a text')
  }
  return Object.fromEntries(members) as Partial<Record<Name, string>>
}

export function cookiesOf(request: WebRequest): RequestCookies {
  return parseCookies(request.headers.get('cookie'))
}

export function browserOf(request: WebRequest): CallingBrowser {
  return { cookies: cookiesOf(request), isSentByOtherSite: callerOf(request).secFetchSite === 'cross-site' }
}

export function callerOf(request: WebRequest): CallerHeaders {
  const header = (name: string) => request.headers.get(name) ?? undefined
  return {
    origin: header('origin'),
    secFetchDest: header('sec-fetch-dest'),
    secFetchMode: header('sec-fetch-mode'),
    secFetchSite: header('sec-fetch-site'),
    brokerRequest: header('broker-request'),
  }
}

/**
 * Identifies the function key that the host has checked: it passes the key on, and not its name. 32 bits of a hash show
 * nothing of a key that is random.
 *
 * The host checks the first header, or without one the first `code` of the query, and passes repeated headers on as one
 * text. A hash of all of it could be made to look like the one of a colleague's key.
 */
export function keyFingerprintOf(request: WebRequest): string | undefined {
  const code = () => [...parseQueryForLinks(request)].find(([name]) => name.toLowerCase() === 'code')?.[1]
  const key = request.headers.get('x-functions-key')?.split(',')[0] ?? code()
  return key === undefined ? undefined : hash('sha256', key, 'hex').slice(0, 8)
}

/**
 * @returns the bearer token of the header, or of a posted form (RFC 6750 §2.1, §2.2); never one of the query
 * @throws {BrokerError} `parameter_repeated` for two tokens (§2: one method in each request), and as `readForm`
 */
export async function bearerTokenOf(request: WebRequest): Promise<string | undefined> {
  // Any characters: an access token of an API is the provider's own, and not each keeps to RFC 6750 §2.1.
  const [, token] = /^bearer +(.+)$/i.exec(request.headers.get('authorization') ?? '') ?? []
  if (request.method !== 'POST' || !request.headers.has('content-type')) return token
  // Libraries send other bodies beside the header, which have no token.
  const form = token === undefined ? await readForm(request) : await readForm(request).catch(() => undefined)
  const tokens = [token, ...(form?.getAll('access_token') ?? [])].filter((one) => one !== undefined && one !== '')
  if (tokens.length > 1) throw parameterRepeated('access_token')
  return tokens[0]
}
