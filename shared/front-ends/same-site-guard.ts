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
}

/**
 * @throws {BrokerError} `front_end_cross_site`: registered, but browsers keep the cookie back; the mend is a domain,
 *   not a sign-in
 */
export function checkSameSite({ origin, secFetchSite }: CallerHeaders, frontEnds: FrontEnds): void {
  if (secFetchSite !== 'cross-site') return
  // OAuth clients needs no cookie, so it works from any site.
  if (origin !== undefined && frontEnds.hasOrigin(origin, 'oauth')) return
  if (origin !== undefined && frontEnds.hasOrigin(origin)) throw new BrokerError('front_end_cross_site')
  throw new BrokerError('request_not_from_front_end')
}

/** @throws {BrokerError} `request_not_from_front_end`, `front_end_cross_site` */
export function checkStateChange(caller: CallerHeaders, frontEnds: FrontEnds): void {
  checkSameSite(caller, frontEnds)
  const { origin, secFetchSite, brokerRequest } = caller
  const isOwnScript =
    // A simple request (a form, an image) can't carry it, and a preflight answers registered origins only.
    brokerRequest === '1' &&
    // Browsers send Origin with every POST.
    origin !== undefined &&
    frontEnds.hasOrigin(origin) &&
    // Another site got here only where it is an OAuth client's, which comes without a cookie.
    (secFetchSite === undefined || ['same-site', 'same-origin', 'cross-site'].includes(secFetchSite))
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

/** @param methods what the route takes */
export function preflightHeaders(
  origin: string | undefined,
  frontEnds: FrontEnds,
  methods: readonly string[],
): Readonly<Record<string, string>> {
  if (origin === undefined || !frontEnds.hasOrigin(origin)) return { vary: 'Origin' }
  return {
    ...corsHeaders(origin, frontEnds),
    'access-control-allow-methods': methods.join(', '),
    'access-control-allow-headers':
      'Broker-Request, Content-Type, traceparent, tracestate, request-id, request-context',
    'access-control-max-age': '7200',
  }
}
