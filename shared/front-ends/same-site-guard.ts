/**
 * The guard of all routes that scripts call. A read requires a registered origin of the same site; a change also
 * requires the header that no form can send. Fetch Metadata (Sec-Fetch-*) and CORS.
 */
import { BrokerError } from '../errors/errors.ts'
import type { FrontEnds } from './front-ends.ts'

/** Headers about the origin of a request. A script in a browser cannot forge them. */
export interface CallerHeaders {
  readonly origin: string | undefined
  readonly secFetchSite: string | undefined
  readonly brokerRequest: string | undefined
  readonly secFetchDest: string | undefined
  readonly secFetchMode: string | undefined
}

/**
 * @returns true for a navigation of the whole page. A service worker of the broker's host that passes it on changes the
 *   destination to `empty`. Chromium keeps the mode, which no script can send; Firefox writes `same-origin`, which a
 *   script of that host alone can send. Older browsers do not send the headers.
 */
export function isNavigation({ secFetchDest = 'document', secFetchMode, secFetchSite }: CallerHeaders): boolean {
  if (secFetchDest !== 'empty') return secFetchDest === 'document'
  return secFetchMode === 'navigate' || (secFetchMode === 'same-origin' && secFetchSite === 'same-origin')
}

/**
 * @param baseUrl of the broker
 * @returns the origin of the page, also where it is the broker's own, with which a browser sends no Origin in a GET
 */
export function pageOriginOf({ origin, secFetchSite }: CallerHeaders, baseUrl: string): string | undefined {
  return origin ?? (secFetchSite === 'same-origin' ? new URL(baseUrl).origin : undefined)
}

/**
 * @throws {BrokerError} `front_end_cross_site`: the front end is registered, but browsers send no cookie to another
 *   site; a sign-in does not help, a common domain does. `request_not_from_front_end`
 */
export function checkSameSite({ origin, secFetchSite, secFetchDest }: CallerHeaders, frontEnds: FrontEnds): void {
  if (secFetchSite !== 'cross-site') return
  // A page's script cannot send this destination. The request comes from a server of the same host that passed on a
  // navigation's headers, or it is a top-level navigation, whose answer no other page can read.
  if (secFetchDest === 'document') return
  // An OAuth client needs no cookie, so it works from any site.
  if (origin !== undefined && frontEnds.hasOrigin(origin, 'oauth')) return
  if (origin !== undefined && frontEnds.hasOrigin(origin)) throw new BrokerError('front_end_cross_site')
  throw new BrokerError('request_not_from_front_end')
}

/** @throws {BrokerError} `request_not_from_front_end`, `front_end_cross_site` */
export function checkStateChange(caller: CallerHeaders, frontEnds: FrontEnds): void {
  checkSameSite(caller, frontEnds)
  const { origin, secFetchSite, secFetchDest, brokerRequest } = caller
  const isOwnScript =
    // A simple request (a form, an image) cannot carry it, and a preflight allows it to registered origins only.
    brokerRequest === '1' &&
    // Browsers send Origin with every POST.
    origin !== undefined &&
    frontEnds.hasOrigin(origin) &&
    // `cross-site` passes checkSameSite only for an OAuth client, which sends no cookie.
    // A navigation's destination beside the header above comes from a server: a browser sends one or the other.
    (secFetchSite === undefined ||
      secFetchDest === 'document' ||
      ['same-site', 'same-origin', 'cross-site'].includes(secFetchSite))
  if (!isOwnScript) throw new BrokerError('request_not_from_front_end')
}

/** A route that scripts of registered origins may call. */
interface CorsRoute {
  readonly methods: readonly string[]
  /** True where it serves session front ends; a route for OAuth clients alone allows no credentials. */
  readonly readsCookies: boolean
}

/** CORS for registered origins, repeated exactly; no headers for other origins, `null` included. */
export function corsHeaders(
  origin: string | undefined,
  frontEnds: FrontEnds,
  readsCookies: boolean,
): Readonly<Record<string, string>> {
  if (origin === undefined || !frontEnds.hasOrigin(origin)) return { vary: 'Origin' }
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    ...(readsCookies && frontEnds.hasOrigin(origin, 'session') ? { 'access-control-allow-credentials': 'true' } : {}),
    'access-control-expose-headers': 'Broker-Reference, Retry-After, WWW-Authenticate',
  }
}

/**
 * Answers a preflight. A registered origin may send the headers that it requests: its libraries and its monitoring add
 * headers of their own (`X-Requested-With`, `Cache-Control`, `x-datadog-trace-id`), and the broker reads none of them.
 *
 * @param requested value of Access-Control-Request-Headers; untrusted
 */
export function preflightHeaders(
  origin: string | undefined,
  requested: string | undefined,
  frontEnds: FrontEnds,
  { methods, readsCookies }: CorsRoute,
): Readonly<Record<string, string>> {
  if (origin === undefined || !frontEnds.hasOrigin(origin)) return { vary: 'Origin' }
  return {
    ...corsHeaders(origin, frontEnds, readsCookies),
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers': requestedHeaders(requested),
    'access-control-max-age': '7200',
  }
}

/**
 * @param requested value of Access-Control-Request-Headers; untrusted
 * @returns the value of Access-Control-Allow-Headers
 */
export function requestedHeaders(requested: string | undefined): string {
  return [...new Set([...usualHeaders, ...parseHeaderNames(requested)])].join(', ')
}

const usualHeaders = ['broker-request', 'content-type', 'traceparent', 'tracestate', 'request-id', 'request-context']
const mostRequested = 64
const longestName = 100

/** @returns names in lower case; none where there are too many, or one is too long or no token (RFC 9110 §5.6.2) */
function parseHeaderNames(requested = ''): readonly string[] {
  if (requested.length > mostRequested * longestName) return []
  const names = requested.split(',').map((name) => name.trim().toLowerCase())
  const areValid = names.every((name) => name.length <= longestName && /^[!#$%&'+.^_`|~\da-z-]+$/.test(name))
  return areValid && names.length <= mostRequested ? names : []
}
