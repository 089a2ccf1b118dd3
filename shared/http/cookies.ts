/**
 * The broker's cookies (RFC 6265bis). Each name starts with `__Host-`, so neither a sibling host nor another path can
 * set one. Owns parsing, and names and SameSite of most; sign-in/ makes those of single sign-on and sign-up. The values
 * are sealed tokens and belong to sign-in/ and session/. functions/host.ts adds Secure, HttpOnly and Path.
 */
import type { Cookie } from '../errors/errors.ts'

export type { Cookie } from '../errors/errors.ts'

/**
 * Cookies of one request by name. A name that occurs twice is ignored: there is no telling which one the broker set.
 */
export type RequestCookies = ReadonlyMap<string, string>

/** The browser of a request that another site may have caused; untrusted. */
export interface CallingBrowser {
  readonly cookies: RequestCookies
  /** By Fetch Metadata (Sec-Fetch-Site); false for an older browser, which does not name it. */
  readonly isSentByOtherSite: boolean
}

const maxHeaderLength = 32 * 1024

/**
 * Reads the broker's cookies, and no others. Around names and values only spaces and tabs are removed (RFC 6265 §5.2).
 * `trim()` would also remove U+00A0 and other spaces: a cookie named U+00A0 and `__Host-…`, which browsers accept from
 * a sibling host, would count as the broker's.
 *
 * @param header the request's Cookie header; untrusted
 */
export function parseCookies(header: string | null | undefined): RequestCookies {
  const cookies = new Map<string, string>()
  if (!header || header.length > maxHeaderLength) return cookies
  const seen = new Set<string>()
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=')
    const name = withoutBlanks(pair.slice(0, Math.max(at, 0)))
    if (!name.startsWith('__Host-')) continue
    if (seen.has(name)) cookies.delete(name)
    else cookies.set(name, withoutBlanks(pair.slice(at + 1)))
    seen.add(name)
  }
  return cookies
}

/** By a loop: a regular expression that ends in `$` needs quadratic time on a header of 32 KB of spaces. */
function withoutBlanks(text: string): string {
  let [from, to] = [0, text.length]
  while (from < to && isBlank(text[from])) from += 1
  while (from < to && isBlank(text[to - 1])) to -= 1
  return text.slice(from, to)
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t'
}

export const sessionCookiePrefix = '__Host-session-'

export function sessionCookieName(frontEndId: string): string {
  return `${sessionCookiePrefix}${frontEndId}`
}

/** Lax: the browser sends it with fetch from the same site and with links, but not with a form of another site. */
export function sessionCookie(frontEndId: string, value: string): Cookie {
  return { name: sessionCookieName(frontEndId), value, sameSite: 'Lax' }
}

export function endSessionCookie(frontEndId: string): Cookie {
  return { ...sessionCookie(frontEndId, ''), maxAge: 0 }
}

/** The front end at which this browser signed out last. It only chooses a link, so it is neither sealed nor needed. */
export const signedOutCookieName = '__Host-signed-out'

/**
 * For a provider that drops the state of a sign-out:
 * until it is back, the browser has no other cookie of the front end.
 */
export function signedOutCookie(frontEndId: string): Cookie {
  return { name: signedOutCookieName, value: frontEndId, sameSite: 'Lax', maxAge: 10 * 60 }
}

export const transactionCookiePrefix = '__Host-signin-'

/** None: the provider's `form_post` comes from the provider's site. Without the provider's response it is useless. */
export function transactionCookie(name: string, value: string, maxAge: number): Cookie {
  return { name, value, sameSite: 'None', maxAge }
}

export function endTransactionCookie(name: string): Cookie {
  return transactionCookie(name, '', 0)
}
