/**
 * Who may call from a script. Reads: a registered origin of the same site. Changes: also the header that no form can
 * send. One guard for all script routes; a front end's pages pass, everybody else's do not.
 */
import { BrokerError } from '../errors/errors.ts'
import type { FrontEnds } from './front-ends.ts'

/** The headers that tell where a request comes from; a script can't forge them. */
export interface CallerHeaders {
  readonly origin: string | undefined
  readonly secFetchSite: string | undefined
  readonly brokerRequest: string | undefined
  readonly secFetchDest: string | undefined
}

/**
 * @throws {BrokerError} `front_end_cross_site`: registered, but browsers keep the cookie back; the mend is a domain,
 *   not a sign-in
 */
export function checkSameSite({ origin, secFetchSite, secFetchDest }: CallerHeaders, frontEnds: FrontEnds): void {
  if (secFetchSite !== 'cross-site') return
  // A page's script cannot send this destination. The request comes from a server of the same host that passed on a
  // navigation's headers, or it is a top-level navigation, whose answer no other page can read.
  if (secFetchDest === 'document') return
  // OAuth clients needs no cookie, so it works from any site.
  if (origin !== undefined && frontEnds.hasOrigin(origin, 'oauth')) return
  if (origin !== undefined && frontEnds.hasOrigin(origin)) throw new BrokerError('front_end_cross_site')
  throw new BrokerError('request_not_from_front_end')
}

/** @throws {BrokerError} `request_not_from_front_end`, `front_end_cross_site` */
export function checkStateChange(caller: CallerHeaders, frontEnds: FrontEnds): void {
  checkSameSite(caller, frontEnds)
  const { origin, secFetchSite, secFetchDest, brokerRequest } = caller
  const isOwnScript =
    // A simple request (a form, an image) can't carry it, and a preflight answers registered origins only.
    brokerRequest === '1' &&
    // Browsers send Origin with every POST.
    origin !== undefined &&
    frontEnds.hasOrigin(origin) &&
    // Another site got here only where it is an OAuth client's, which comes without a cookie.
    // A navigation's destination beside the header above comes from a server: a browser sends one or the other.
    (secFetchSite === undefined ||
      secFetchDest === 'document' ||
      ['same-site', 'same-origin', 'cross-site'].includes(secFetchSite))
  if (!isOwnScript) throw new BrokerError('request_not_from_front_end')
}

/** CORS for registered origins, echoed exactly; nothing for others, `null` among them. */
export function corsHeaders(origin: string | undefined, frontEnds: FrontEnds): Readonly<Record<string, string>> {
  if (origin === undefined || !frontEnds.hasOrigin(origin)) return { vary: 'Origin' }
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    ...(frontEnds.hasOrigin(origin, 'session') ? { 'access-control-allow-credentials': 'true' } : {}),
    'access-control-expose-headers': 'Broker-Reference, Retry-After, WWW-Authenticate',
  }
}

/**
 * Answers a preflight. A registered origin may send the headers that it requests: its libraries and its monitoring add
 * headers of their own (`X-Requested-With`, `Cache-Control`, `x-datadog-trace-id`), and the broker reads none of them.
 *
 * @param requested value of Access-Control-Request-Headers; untrusted
 * @param methods of the route
 */
export function preflightHeaders(
  origin: string | undefined,
  requested: string | undefined,
  frontEnds: FrontEnds,
  methods: readonly string[],
): Readonly<Record<string, string>> {
  if (origin === undefined || !frontEnds.hasOrigin(origin)) return { vary: 'Origin' }
  return {
    ...corsHeaders(origin, frontEnds),
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers': [...new Set([...usualHeaders, ...parseHeaderNames(requested)])].join(', '),
    'access-control-max-age': '7200',
  }
}

const usualHeaders = ['broker-request', 'content-type', 'traceparent', 'tracestate', 'request-id', 'request-context']
const mostRequested = 64
const longestName = 100

/** @returns names in small letters; none where there are too many, or one is too long or no token (RFC 9110 §5.6.2) */
function parseHeaderNames(requested = ''): readonly string[] {
  if (requested.length > mostRequested * longestName) return []
  const names = requested.split(',').map((name) => name.trim().toLowerCase())
  const areValid = names.every((name) => name.length <= longestName && /^[!#$%&'+.^_`|~\da-z-]+$/.test(name))
  return areValid && names.length <= mostRequested ? names : []
}
