/**
 * The only error class, and everything that an error may carry to its answer. The codes with their texts are in
 * catalogue.ts.
 *
 * Does not own: the format of an answer (http/problem.ts, pages.ts, oauth-problem.ts).
 */
import { errorCatalogue } from './catalogue.ts'
import type { ErrorCode } from './catalogue.ts'

/** Everything that an error may carry beside its code. */
interface ErrorOptions {
  /** For the log only, under the reference; never a value that could sign someone in. */
  readonly detail?: string | undefined
  /** For the log only. */
  readonly cause?: unknown
  /** In place of the catalogue's remedy, where the cause is known more precisely; public. */
  readonly remedy?: string | undefined
  /** Public members of the problem details, also shown on a page: names and addresses that the reader may see. */
  readonly members?: Readonly<Record<string, unknown>>
  /** For 503: seconds until a repeated request is useful. */
  readonly retryAfterSeconds?: number | undefined
  /** The front end that the request names, for the links of a page; untrusted. */
  readonly frontEndId?: string | undefined
  /** Id of the identity provider at which the request failed; for the log and for telemetry. */
  readonly provider?: string | undefined
  /** Links that a page offers, most useful first. Left out, `findPageLinks` finds them from the request. */
  readonly links?: readonly Link[]
  /** Cookies that the answer sets, usually to end the cookie of a failed sign-in. */
  readonly cookies?: readonly Cookie[]
  /** The browser goes here instead of a page that shows the error: an OAuth client's redirect URI, with the error. */
  readonly redirectTo?: Destination | undefined
}

export interface Link {
  readonly text: string
  readonly url: string
}

/**
 * A cookie of an answer; shared/http/cookies.ts makes most. Secure, HttpOnly and Path=/ are the same for all:
 * functions/host.ts adds them.
 */
export interface Cookie {
  readonly name: string
  readonly value: string
  readonly sameSite: 'Lax' | 'None'
  /** Seconds; 0 removes the cookie; left out, it lives until the browser is closed. */
  readonly maxAge?: number
}

/** Fields that the browser posts to a registered address of an OAuth client. OAuth 2.0 Form Post Response Mode §2. */
export interface PostedAnswer {
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
}

/** The browser's next address: a URL that a redirect names, or a form that a page submits. */
export type Destination = string | PostedAnswer

/** The only error class of the broker. Branch on `code`, never on the message. */
export class BrokerError extends Error {
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly remedy: string
  readonly members: Readonly<Record<string, unknown>>
  readonly retryAfterSeconds: number | undefined
  readonly frontEndId: string | undefined
  readonly provider: string | undefined
  readonly links: readonly Link[]
  readonly cookies: readonly Cookie[]
  readonly redirectTo: Destination | undefined

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(code, { cause: options.cause })
    this.name = 'BrokerError'
    this.code = code
    this.detail = options.detail
    this.remedy = options.remedy ?? errorCatalogue[code].remedy
    this.members = options.members ?? {}
    this.retryAfterSeconds = options.retryAfterSeconds
    this.frontEndId = options.frontEndId
    this.provider = options.provider
    this.links = options.links ?? []
    this.cookies = options.cookies ?? []
    this.redirectTo = options.redirectTo
  }

  /** Returns the same error with more for its answer; everything that is not named in `more` stays as it is. */
  with(more: ErrorOptions): BrokerError {
    const { detail, cause, remedy, members, retryAfterSeconds, frontEndId, provider, links, cookies, redirectTo } = this
    const error = new BrokerError(this.code, {
      ...{ detail, cause, remedy, members, retryAfterSeconds, frontEndId, provider, links, cookies, redirectTo },
      ...more,
    })
    if (this.stack !== undefined) error.stack = this.stack
    return error
  }

  get status(): number {
    return errorCatalogue[this.code].status
  }
}

/** Turns any thrown value into a BrokerError. An unknown one becomes `internal`, and its message is not shown. */
export function asBrokerError(thrown: unknown): BrokerError {
  return thrown instanceof BrokerError ? thrown : new BrokerError('internal', { cause: thrown })
}

/** True for a fault that may pass by itself (5xx), so that a caller can continue with a value that is still valid. */
export function isPassingFault(error: unknown): boolean {
  return asBrokerError(error).status >= 500
}

/** @param parameter the name of the parameter or member; untrusted @param problem a few words, without its value */
export function parameterInvalid(parameter: string, problem: string): BrokerError {
  return new BrokerError('parameter_invalid', { members: { parameter: shown(parameter), problem } })
}

/** @param parameter untrusted */
export function parameterRepeated(parameter: string): BrokerError {
  return new BrokerError('parameter_repeated', { members: { parameter: shown(parameter) } })
}

/** The name of a parameter, unless it may be markup. */
function shown(name: string): string {
  return /^[\w.-]{1,40}$/.test(name) ? name : 'unknown'
}

/**
 * For the description of an OAuth error: many libraries show a developer nothing else of it.
 *
 * @returns the name of the faulty parameter and its problem, `state: too long`; undefined where the error names none
 */
export function faultyParameter({ members: { parameter, problem } }: BrokerError): string | undefined {
  if (typeof parameter !== 'string') return undefined
  return typeof problem === 'string' ? `${parameter}: ${problem}` : parameter
}

/** The remedy for the description of an OAuth error, which is ASCII (RFC 6749 §4.1.2.1 and §5.2). */
export function asciiRemedy({ remedy }: BrokerError): string {
  return remedy.replaceAll('’', "'")
}
