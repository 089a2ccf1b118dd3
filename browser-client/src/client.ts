/** The interface of a client: the same verbs for a session front end and for an OAuth client. */
import type { BrokerError } from './broker-error.ts'

/** The signed-in person. `name`, `username` and `email` are for display: they can change hands. */
export interface Person {
  readonly subject: string
  /** Id of the identity provider, where it is not the primary one. */
  readonly provider?: string
  readonly object_id?: string
  readonly tenant_id?: string
  readonly name?: string
  readonly username?: string
}

/** The answer of `GET /session`. Times are seconds since 1970. */
export interface Session extends Person {
  /** The authentication context class, and the time when the person authenticated, where the provider names them. */
  readonly acr?: string
  readonly authenticated_at?: number
  /** Claims that the front end has registered; an object is the claim `address`. */
  readonly claims?: Readonly<
    Record<string, string | number | boolean | readonly string[] | Readonly<Record<string, string>>>
  >
  /** Registered claims that the provider sent and the broker left out. */
  readonly claims_omitted?: readonly string[]
  /** The person is in more groups than the provider puts into a token. */
  readonly groups_overage?: true
  readonly signed_in_at: number
  readonly expires_at: number
  readonly idle_expires_at: number
}

/**
 * - `loading`: the broker has not answered yet.
 * - `signed-in`, `signed-out`: the broker's last answer.
 * - `degraded`: the broker does not answer. `session` keeps the last known person, so that the page can stay as it is.
 */
export type Status = 'loading' | 'signed-in' | 'signed-out' | 'degraded'

/** The cause of the newest state. */
export type Reason = 'start' | 'checked' | 'signed-out-here' | 'other-tab' | 'unreachable'

/** A snapshot; each change makes a new object. */
export interface State<Who extends Person = Session> {
  readonly status: Status
  readonly session: Who | undefined
  readonly error: BrokerError | undefined
  readonly reason: Reason
}

type Prompt = 'login' | 'select_account' | 'consent'

export interface SignInOptions {
  /** Where the browser returns, on a registered origin. Default: the current address, fragment included. */
  readonly returnUrl?: string
  readonly prompt?: Prompt | `${Prompt} ${Prompt}`
  readonly loginHint?: string
  readonly domainHint?: string
  /** Id of the identity provider, where the front end takes several. Default: a hint or the person chooses. */
  readonly provider?: string
  readonly uiLocales?: string
  /** A claims challenge, decoded. */
  readonly claims?: string
  readonly scope?: string
  /** The error that made the sign-in necessary; its `signInUrl` carries what the provider requires. */
  readonly error?: BrokerError
}

export interface Client<Who extends Person = Session, Options = SignInOptions> {
  /** The current snapshot. */
  readonly getState: () => State<Who>
  /**
   * Calls the listener after each change, and checks the session at the first subscription. Returns the unsubscriber.
   */
  readonly subscribe: (listener: (state: State<Who>) => void) => () => void
  /**
   * Requests the session from the broker. Parallel calls, also of other tabs, share one request.
   *
   * @returns the session, or `undefined` when signed out; the last known session while the broker does not answer
   * @throws {BrokerError} when the broker does not answer and no session is known, or the front end is set up wrongly
   */
  readonly getSession: (options?: { signal?: AbortSignal }) => Promise<Who | undefined>
  /**
   * @param api the name of a registered API
   * @returns an access token; kept in memory only
   * @throws {BrokerError} `signed_out`, `interaction_required`, …
   */
  readonly getToken: (api: string, options?: { scope?: string; signal?: AbortSignal }) => Promise<string>
  /**
   * `fetch` with an access token of the API. An answer with a claims challenge is repeated once with a new token by it.
   * Where that needs the person, the browser goes to sign in with it, once; the promise then stays pending, because the
   * page is about to be left.
   */
  readonly fetch: (api: string, input: RequestInfo | URL, init?: RequestInit) => Promise<Response>
  /**
   * Sends the browser to the broker. Never resolves: the page is left.
   *
   * @throws {BrokerError} `sign_in_loop` when an automatic sign-in (without a click)
   *   has already come back without success
   */
  readonly signIn: (options?: Options) => Promise<never>
  /** Ends the session, then sends the browser on to end it at the provider. Never resolves: the page is left. */
  readonly signOut: (options?: { returnUrl?: string }) => Promise<never>
  /** Stops listening to other tabs and to the page. */
  readonly close: () => void
}
