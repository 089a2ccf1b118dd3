/**
 * Return URLs: the pages of a front end to which the browser goes after a sign-in or a sign-out. The origin is compared
 * exactly, without patterns or prefixes (RFC 9700 §4.1.3). The rest belongs to the front end: its pages pass their own
 * `location.href`, with every character that a browser puts there.
 */
import { BrokerError } from '../errors/errors.ts'
import type { FrontEnd } from './front-ends.ts'
import { hasControlCharacter } from './login-parameters.ts'
import { isRegisteredRedirectUri } from './redirect-uri.ts'

/** As the browser sends it, percent-encoded; the URL must fit into a cookie. */
const maxLength = 1024

/**
 * Scheme, authority, path, query and fragment (RFC 3986, appendix B). In the authority and the path no space and no
 * `\`, which the URL parser of a browser reads as `/`, and other parsers do not. In the query and the fragment it is
 * data (WHATWG URL).
 */
const plainUrl = /^https?:\/\/[^\s\\/?#]+(?:\/[^\s\\?#]*)?(?:\?[^#]*)?(?:#.*)?$/is

/**
 * @param text the parameter; untrusted. Left out, it is the front end's first return URL,
 *   or the root of its first origin
 * @returns the URL as a browser parses it, fragment included: the checked URL is the one that the browser is sent to
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

/**
 * @param text untrusted. Left out, it is the first registered page on the origin of the request, or the first of all
 * @param origin the header Origin; untrusted
 * @returns the page after a sign-out: one of the registered ones, exactly; for an OAuth client by the rules of its
 *   redirect URIs, since a native application has a private scheme or any port of loopback (RFC 8252 §7)
 * @throws {BrokerError} `return_url_invalid`, `return_url_not_registered`
 */
export function checkSignedOutUrl(text: string | undefined, frontEnd: FrontEnd, origin?: string): string {
  const { kind, signedOutUrls, origins } = frontEnd
  if (text === undefined) {
    const onOrigin = origin === undefined ? undefined : signedOutUrls.find((url) => url.startsWith(`${origin}/`))
    return onOrigin ?? signedOutUrls[0] ?? `${origins[0] ?? ''}/`
  }
  if (kind === 'oauth' && isRegisteredRedirectUri(text, { redirectUris: signedOutUrls })) return new URL(text).href
  const url = parseUrl(text)
  if (!signedOutUrls.includes(url.href)) throw new BrokerError('return_url_not_registered', { remedy: signedOutRemedy })
  return url.href
}

const signedOutRemedy =
  'Send a URL exactly as signedOutUrls of the front end in Broker__FrontEnds has it, add it there, or leave the parameter out.'

function parseUrl(text: string): URL {
  // The URL parser drops tabs and newlines and accepts any number of slashes; no page needs that.
  if (hasControlCharacter(text) || !plainUrl.test(text) || !URL.canParse(text)) {
    throw new BrokerError('return_url_invalid')
  }
  const url = new URL(text)
  if (url.href.length > maxLength || url.username !== '' || url.password !== '') {
    throw new BrokerError('return_url_invalid')
  }
  return url
}

function withoutFragment(url: URL): string {
  const copy = new URL(url)
  copy.hash = ''
  return copy.href
}
