/**
 * A failure of a call to the broker, typed by its code.
 * The codes are those of docs/errors.md, and a few of the browser.
 */

/** Codes that a front end can meet. Others are possible: treat an unknown code as a failure to show. */
export type ErrorCode =
  /** The session has ended, or there was none. */
  | 'signed_out'
  /** The provider requires the person: a second factor, a consent, a new password. `signInUrl` leads there. */
  | 'interaction_required'
  /** The page's origin is registered, but on another site than the broker. */
  | 'front_end_cross_site'
  | 'front_end_unknown'
  | 'front_end_missing'
  | 'front_end_conflict'
  | 'front_end_kind_mismatch'
  | 'request_not_from_front_end'
  | 'api_unknown'
  | 'scope_not_registered'
  | 'provider_unavailable'
  | 'store_unavailable'
  | 'internal'
  /** The answer of an OAuth sign-in failed verification. */
  | 'state_mismatch'
  | 'issuer_mismatch'
  | 'id_token_refused'
  | 'login_required'
  /** The browser got no answer: no network, a blocked request, or an answer that is not the broker's. */
  | 'unreachable'
  /**
   * An automatic sign-in came back without a session. The next one needs a click, so that no redirect loop can begin.
   */
  | 'sign_in_loop'
  /** The person or the provider refused an OAuth sign-in. */
  | 'access_denied'
  // Keeps the completion of the codes above, and accepts a code of a newer broker.
  | (string & Record<never, never>)

/** The broker's problem document (RFC 9457), as far as this library reads it. */
export interface Problem {
  readonly code?: string
  readonly title?: string
  readonly detail?: string
  readonly reference?: string
  readonly sign_in_url?: string | undefined
  /** Of an OAuth answer, in place of title and detail. */
  readonly error_description?: string
}

export class BrokerError extends Error {
  declare readonly code: ErrorCode
  /** The HTTP status; 0 where the broker did not answer. */
  declare readonly status: number
  /** Identifies the request in the operator's log. */
  declare readonly reference: string | undefined
  /** Where a person can resolve the failure: pass the error to `signIn`. */
  declare readonly signInUrl: string | undefined
  /** Of an OAuth client: the API whose token was requested. */
  declare readonly api?: string
  /** Seconds to wait before the next attempt, where the broker names them. */
  declare readonly retryAfter: number | undefined

  /** @param response left out where the broker did not answer */
  constructor(problem: Problem, { status = 0, headers }: Partial<Response> = {}, cause?: unknown) {
    const { code = 'unreachable', reference, sign_in_url: signInUrl, title, detail = '', error_description } = problem
    super(title ? `${title} ${detail}` : (error_description ?? code), { cause })
    const retryAfter = Number(headers?.get('retry-after')) || undefined
    Object.assign(this, { name: 'BrokerError', code, reference, signInUrl, retryAfter, status })
  }
}

/** A failure that the browser finds, without an answer of the broker. */
export function failure(code: ErrorCode): BrokerError {
  return new BrokerError({ code })
}
