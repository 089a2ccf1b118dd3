/**
 * A pending sign-in, kept by the browser in a sealed cookie: the store has no row for a sign-in that only started.
 * The cookie is named for the state's beginning, so several tabs can sign in at once.
 */
import { BrokerError, parameterInvalid } from '../errors/errors.ts'
import type { ClientRequest } from '../oauth/authorization-request.ts'
import type { LoginParameters } from '../front-ends/login-parameters.ts'
import { checkReturnUrl } from '../front-ends/return-url.ts'
import type { FrontEnds } from '../front-ends/front-ends.ts'
import { isRegisteredRedirectUri } from '../front-ends/redirect-uri.ts'
import { endTransactionCookie, transactionCookie, transactionCookiePrefix } from '../http/cookies.ts'
import type { Cookie, RequestCookies } from '../http/cookies.ts'
import type { KeyRing, RingKey } from '../crypto/key-ring.ts'
import { randomText } from '../crypto/pkce.ts'
import { isSameText } from '../crypto/same-text.ts'
import { mostTokenCharacters, openToken, sealToken } from '../crypto/sealed-token.ts'
import type { ResponseMode, ResponseType } from '../provider/provider.ts'
import type { RowKey } from '../store/store.ts'
import type { Clock } from '../async/deadline.ts'

export interface Transaction {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  /** The provider that the browser was sent to; a response of another issuer is a mix-up attack (RFC 9700 §4.4). */
  readonly issuer: string
  readonly issuerInAnswers: boolean
  /** The id of that provider, where it is not the primary one: the last part of its redirect URI. */
  readonly provider?: string
  readonly clientId: string
  readonly frontEndId: string
  readonly returnUrl: string
  readonly responseMode: ResponseMode
  /** Only with the hybrid flow; left out for `code`. */
  readonly responseType?: Exclude<ResponseType, 'code'>
  readonly scopes: readonly string[]
  /** OAuth clients: what the answer to the client needs. */
  readonly client?: ClientRequest
  /** Session front ends: the most seconds since the person authenticated; that of an OAuth client is in `client`. */
  readonly maxAge?: number | undefined
  /** `prompt=login`: the person authenticates after this sign-in began. */
  readonly freshLogin?: boolean
  /** Session front ends: parameters of the link, untrusted, which the link of an error page repeats where they fit. */
  readonly repeated?: LoginParameters
  /** An administrator signs an organization up. The tenant is the one that the answer about the consent named. */
  readonly signUp?: { readonly consentedTenantId: string | undefined }
  /** The session that the new one replaces: its row, not its cookie. */
  readonly replaces: RowKey | undefined
  /** Milliseconds since the epoch. */
  readonly begunAt: number
}

/** At most this many at once: three of the largest still fit a header. */
const atOnce = 3

const ownName = new RegExp(`^${transactionCookiePrefix}[\\w-]{8}$`)

declare const current: unique symbol

/** A transaction that has not expired, and whose front end and return URL are still registered. */
export type CurrentTransaction = Transaction & { readonly [current]: true }

/**
 * The most seconds since the person authenticated (OpenID Connect Core §3.1.2.1); undefined where none was requested.
 */
export function maxAgeOf({ client, maxAge }: Transaction): number | undefined {
  return client ? client.maxAge : maxAge
}

/** Unguessable. It also names the front end, so that an error page has links even without the transaction. */
export function newState(frontEndId: string): string {
  return `${randomText()}.${frontEndId}`
}

/** @param state untrusted: it only chooses among registered pages */
export function frontEndIdOf(state: string): string {
  return state.slice(state.indexOf('.') + 1)
}

/** @returns the front ends of the sign-ins that are pending in this browser, each once; registered or not */
export async function frontEndIdsOf(cookies: RequestCookies, ring: KeyRing): Promise<readonly string[]> {
  const names = [...cookies.keys()].filter((name) => ownName.test(name)).slice(0, atOnce)
  const opened = await Promise.all(names.map((name) => openNamed(name, cookies, ring)))
  return [...new Set(opened.flatMap((transaction) => transaction?.frontEndId ?? []))]
}

export function transactionCookieName(state: string): string {
  return `${transactionCookiePrefix}${state.slice(0, 8)}`
}

/** @throws {BrokerError} `parameter_invalid` where a browser would not keep it */
export function sealTransaction(transaction: Transaction, key: RingKey, lifetimeSeconds: number): Cookie {
  const name = transactionCookieName(transaction.state)
  const value = sealToken(transaction, name, key)
  if (name.length + value.length <= mostTokenCharacters) return transactionCookie(name, value, lifetimeSeconds)
  // The sign-in works without them. The longest goes first, so that a new attempt keeps `prompt` and `max_age`.
  const [longest, ...others] = Object.entries(transaction.repeated ?? {}).sort(([, a], [, b]) => b.length - a.length)
  if (longest) return sealTransaction({ ...transaction, repeated: Object.fromEntries(others) }, key, lifetimeSeconds)
  throw parameterInvalid('scope', 'too long, together with the state or the return URL')
}

/** Cookies to end so that a new sign-in is one of three: those that no longer open, then the oldest. */
export async function endOldest(cookies: RequestCookies, ring: KeyRing): Promise<readonly Cookie[]> {
  // A name goes back into a header, so only names that the broker sets count; a host answers 500 for some others.
  const names = [...cookies.keys()].filter((name) => ownName.test(name))
  if (names.length < atOnce) return []
  const aged = await Promise.all(
    names.map(async (name) => ({ name, begunAt: (await openNamed(name, cookies, ring))?.begunAt ?? 0 })),
  )
  aged.sort((a, b) => a.begunAt - b.begunAt)
  return aged.slice(0, names.length - atOnce + 1).map(({ name }) => endTransactionCookie(name))
}

/**
 * The transaction that an answer's state belongs to.
 *
 * @param state of the response; untrusted
 * @throws {BrokerError} `sign_in_unknown` where this browser began no such sign-in
 */
export async function openTransaction(state: string, cookies: RequestCookies, ring: KeyRing): Promise<Transaction> {
  const transaction = await openNamed(transactionCookieName(state), cookies, ring)
  if (!transaction || !isSameText(transaction.state, state)) throw new BrokerError('sign_in_unknown')
  return transaction
}

/**
 * Checks again what was valid when the sign-in began: it may have expired, or have left the settings.
 *
 * @throws {BrokerError} `sign_in_expired`, `front_end_unknown`, `return_url_not_registered`
 */
export function checkTransaction(
  transaction: Transaction,
  { frontEnds, lifetimeSeconds, clock }: { frontEnds: FrontEnds; lifetimeSeconds: number; clock: Clock },
): CurrentTransaction {
  const frontEnd = frontEnds.find(transaction.frontEndId)
  if (!frontEnd) throw new BrokerError('front_end_unknown')
  if (!transaction.client) checkReturnUrl(transaction.returnUrl, frontEnd)
  else if (!isRegisteredRedirectUri(transaction.client.redirectUri, frontEnd)) {
    throw new BrokerError('redirect_uri_not_registered')
  }
  if (clock() > transaction.begunAt + lifetimeSeconds * 1000) throw new BrokerError('sign_in_expired')
  return transaction as CurrentTransaction
}

async function openNamed(name: string, cookies: RequestCookies, ring: KeyRing): Promise<Transaction | undefined> {
  return (await openToken(cookies.get(name), name, ring)) as Transaction | undefined
}
