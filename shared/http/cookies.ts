/** The broker's cookies (RFC 6265bis): names with `__Host-`, so that no sibling host and no path can plant one. */
import type { Cookie } from '../errors/errors.ts'

export type { Cookie } from '../errors/errors.ts'

/** Cookies of one request; a name that stands twice counts for nothing, since nobody can say which is meant. */
export type RequestCookies = ReadonlyMap<string, string>

const maxHeaderLength = 32 * 1024

/** @param header the request's Cookie header; untrusted */
export function parseCookies(header: string | null | undefined): RequestCookies {
  const cookies = new Map<string, string>()
  if (!header || header.length > maxHeaderLength) return cookies
  const seen = new Set<string>()
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=')
    const name = pair.slice(0, Math.max(at, 0)).trim()
    if (!name.startsWith('__Host-')) continue
    if (seen.has(name)) cookies.delete(name)
    else cookies.set(name, pair.slice(at + 1).trim())
    seen.add(name)
  }
  return cookies
}

export const sessionCookiePrefix = '__Host-session-'

export function sessionCookieName(frontEndId: string): string {
  return `${sessionCookiePrefix}${frontEndId}`
}

/** Lax: fetch from the front end's own site carries it, and so does a link; another site's form does not. */
export function sessionCookie(frontEndId: string, value: string): Cookie {
  return { name: sessionCookieName(frontEndId), value, sameSite: 'Lax' }
}

export function endSessionCookie(frontEndId: string): Cookie {
  return { ...sessionCookie(frontEndId, ''), maxAge: 0 }
}

export const transactionCookiePrefix = '__Host-signin-'

/** None: the provider's `form_post` comes from the provider's site. It opens nothing without the answer. */
export function transactionCookie(name: string, value: string, maxAge: number): Cookie {
  return { name, value, sameSite: 'None', maxAge }
}

export function endTransactionCookie(name: string): Cookie {
  return transactionCookie(name, '', 0)
}
