/** The request at `/login`, for both kinds of front end, checked before a sign-in starts. */
import type { ClientRequest } from '../oauth/authorization-request.ts'
import { BrokerError } from '../errors/errors.ts'
import { checkReturnUrl } from '../front-ends/return-url.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { checkHints, parseLoginParameters } from '../front-ends/login-parameters.ts'
import { signInScopes } from '../front-ends/scopes.ts'
import type { Hints, LoginParameters } from '../front-ends/login-parameters.ts'
import { urlOf } from '../http/routes.ts'

export interface SignInRequest {
  readonly frontEnd: FrontEnd
  /** The return URL, or the redirect URI of the OAuth client. */
  readonly returnUrl: string
  readonly hints: Hints
  readonly scopes: readonly string[]
  /** The id of the provider that the request names; untrusted. */
  readonly provider: string | undefined
  /** Session front ends: the most seconds since the person authenticated. */
  readonly maxAge?: number | undefined
  /** Session front ends: the other parameters of the link. An error page repeats them. */
  readonly repeated?: LoginParameters
  /** Only for an OAuth client. */
  readonly client?: ClientRequest
}

/**
 * @param query of `/login`; untrusted. With `client_id` it is an OAuth client's
 * @param origin the header Origin, where a browser sent one
 * @param issuer the broker's own, for an OAuth client's answer
 * @throws {BrokerError} for a page; with `redirectTo` where an OAuth client is to receive it
 */
export async function parseSignInRequest(
  query: URLSearchParams,
  origin: string | undefined,
  frontEnds: FrontEnds,
  issuer: string,
): Promise<SignInRequest> {
  if (query.has('client_id')) {
    // Loaded on first use: a session front end needs none of it.
    const { parseAuthorizationRequest } = await import('../oauth/authorization-request.ts')
    const { frontEnd, client, scopes, hints, provider } = parseAuthorizationRequest(query, frontEnds, issuer)
    return {
      frontEnd,
      client,
      hints,
      provider,
      returnUrl: client.redirectUri,
      scopes: signInScopes(frontEnd, scopes, client.openid),
    }
  }
  const parameters = parseLoginParameters(query)
  const { frontend, return_url: target, provider, ...repeated } = parameters
  const frontEnd = frontEnds.get(frontend, origin, target)
  const hints = checkHints(parameters, frontEnd)
  return {
    frontEnd,
    returnUrl: checkReturnUrl(target, frontEnd),
    hints,
    provider,
    repeated,
    maxAge: parameters.max_age === undefined ? undefined : Number(parameters.max_age),
    scopes: signInScopes(frontEnd, hints.extraScopes),
  }
}

/** True for a sign-in that the identity provider starts (initiated-login.ts). An OAuth client may send an `iss` too. */
export function isInitiatedLogin(query: URLSearchParams): boolean {
  return query.has('iss') && !query.has('response_type')
}

/**
 * An OAuth client may post its request (OpenID Connect Core §3.1.2.1), and so may an identity provider that starts a
 * sign-in (§4). The browser repeats it by GET, with the cookies that a post of another site does not carry.
 *
 * @param form of the post to `/login`, with the query of its address; untrusted
 * @param baseUrl the broker's own
 * @returns the URL of the same request by GET
 * @throws {BrokerError} `method_not_allowed` for any other post: a session front end sends a person by a link
 */
export function repeatByGet(form: URLSearchParams, baseUrl: string): string {
  if (!form.get('client_id') && !isInitiatedLogin(form)) throw new BrokerError('method_not_allowed')
  return `${urlOf(baseUrl, 'login')}?${form.toString()}`
}
