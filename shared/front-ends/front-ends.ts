/** The registered front ends: who may send people here, where they may be sent back, which APIs they may ask for. */
import { BrokerError } from '../errors/errors.ts'
import { isLoopbackHost, isSecureOrLoopback } from '../settings/addresses.ts'
import type { FrontEndSettings, FrontEndKind } from '../settings/settings.ts'

export type FrontEnd = FrontEndSettings

export interface FrontEnds {
  /**
   * The front end that a request is for: named by its parameter, by the page's origin, or the only one there is.
   *
   * @param id the parameter `frontend`; untrusted
   * @param origin the header Origin; untrusted
   * @param returnUrl where the browser wants to go back to; untrusted, and only for what an unknown one is shown
   * @returns one of session front ends; an OAuth client names its client in each request
   * @throws {BrokerError} `front_end_missing`, `front_end_unknown`, `front_end_conflict`, `front_end_kind_mismatch`
   */
  get(id: string | undefined, origin: string | undefined, returnUrl?: string): FrontEnd
  find(id: string): FrontEnd | undefined
  /** True where any front end, or one of this way, has this origin: its scripts may read answers (CORS). */
  hasOrigin(origin: string, kind?: FrontEndKind): boolean
  readonly all: readonly FrontEnd[]
}

export function createFrontEnds(all: readonly FrontEnd[]): FrontEnds {
  const byId = new Map(all.map((frontEnd) => [frontEnd.id, frontEnd]))
  const byOrigin = new Map<string, FrontEnd[]>()
  for (const frontEnd of all) {
    for (const origin of frontEnd.origins) byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), frontEnd])
  }

  const named = (id: string, origin: string | undefined, returnUrl: string | undefined): FrontEnd => {
    const frontEnd = byId.get(id)
    if (!frontEnd) throw unknown(id, origin ?? loopbackOrigin(returnUrl))
    if (frontEnd.kind !== 'session') throw new BrokerError('front_end_kind_mismatch')
    // An origin that nobody registered is the guard's matter; one of another front end is a mix-up.
    if (origin !== undefined && byOrigin.has(origin) && !frontEnd.origins.includes(origin)) {
      throw new BrokerError('front_end_conflict')
    }
    return frontEnd
  }

  return {
    all,
    find: (id) => byId.get(id),
    hasOrigin: (origin, kind) =>
      (byOrigin.get(origin) ?? []).some((frontEnd) => kind === undefined || frontEnd.kind === kind),
    get: (id, origin, returnUrl) => {
      if (id !== undefined) return named(id, origin, returnUrl)
      const ofOrigin = origin === undefined ? [] : (byOrigin.get(origin) ?? [])
      const [only, ...others] = (ofOrigin.length > 0 ? ofOrigin : all).filter(({ kind }) => kind === 'session')
      if (!only || others.length > 0) throw new BrokerError('front_end_missing')
      return only
    },
  }
}

/** The line that would register it, so that a developer's first error is also its mend. */
function unknown(id: string, origin: string | undefined): BrokerError {
  const isPlainId = /^[a-z0-9][a-z0-9-]{0,31}$/.test(id)
  const registration = {
    id: isPlainId ? id : 'my-app',
    kind: 'session',
    origins: [origin !== undefined && isPlainOrigin(origin) ? origin : 'https://app.example.com'],
    apis: [],
  }
  return new BrokerError('front_end_unknown', { members: { registration: JSON.stringify(registration) } })
}

/**
 * A browser that is sent to `/login` has no Origin to tell, so that a developer's line would never be theirs. Of the
 * return URL only loopback is believed: any other may be a stranger's link, and nobody should be shown it to register.
 */
function loopbackOrigin(returnUrl: string | undefined): string | undefined {
  if (returnUrl === undefined || !URL.canParse(returnUrl)) return undefined
  const { origin, hostname, protocol } = new URL(returnUrl)
  return isLoopbackHost(hostname) && /^https?:$/.test(protocol) ? origin : undefined
}

/** One that the settings take: the line that is shown must work. */
function isPlainOrigin(origin: string): boolean {
  return origin.length <= 255 && URL.canParse(origin) && new URL(origin).origin === origin && isSecureOrLoopback(origin)
}

const maxReturnUrlBytes = 1024

/**
 * Parses a return URL and compares its origin exactly: no patterns, no prefixes (RFC 9700 §4.1.3).
 *
 * @param text the parameter; untrusted. Left out, it is the front end's first return URL, or its first origin
 * @returns the URL as parsed, fragment included: what was checked is what the browser is sent to
 * @throws {BrokerError} `return_url_invalid`, `return_url_not_registered`; the value is not repeated
 */
export function checkReturnUrl(text: string | undefined, frontEnd: FrontEnd): string {
  if (text === undefined) return frontEnd.returnUrls?.[0] ?? `${frontEnd.origins[0] ?? ''}/`
  const url = parseUrl(text)
  if (!frontEnd.origins.includes(url.origin)) throw new BrokerError('return_url_not_registered')
  if (frontEnd.returnUrls && !frontEnd.returnUrls.includes(withoutFragment(url))) {
    throw new BrokerError('return_url_not_registered')
  }
  return url.href
}

/** @param text as it was parsed once; true where it is registered still */
export function isReturnUrl(text: string, frontEnd: FrontEnd): boolean {
  try {
    return checkReturnUrl(text, frontEnd) === text
  } catch {
    return false
  }
}

/** Where the browser may go after a sign-out: one of the registered pages, exactly. */
export function checkSignedOutUrl(text: string | undefined, frontEnd: FrontEnd): string {
  if (text === undefined) return frontEnd.signedOutUrls[0] ?? `${frontEnd.origins[0] ?? ''}/`
  const url = parseUrl(text)
  if (!frontEnd.signedOutUrls.includes(url.href)) throw new BrokerError('return_url_not_registered')
  return url.href
}

function parseUrl(text: string): URL {
  // The URL parser drops tabs and newlines, turns backslashes round and takes any number of slashes; a URL that needs
  // that was made to deceive.
  const isPlain = Buffer.byteLength(text) <= maxReturnUrlBytes && /^https?:\/\/[^\s\\/][^\s\\]*$/i.test(text)
  if (!isPlain || hasControlCharacter(text) || !URL.canParse(text)) throw new BrokerError('return_url_invalid')
  const url = new URL(text)
  // Percent-encoded it may be three times as long, and it is this form that must fit a cookie.
  if (url.href.length > maxReturnUrlBytes) throw new BrokerError('return_url_invalid')
  if (url.username !== '' || url.password !== '') throw new BrokerError('return_url_invalid')
  return url
}

export function hasControlCharacter(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what it looks for
  return /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)
}

function withoutFragment(url: URL): string {
  const copy = new URL(url)
  copy.hash = ''
  return copy.href
}
