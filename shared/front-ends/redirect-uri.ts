/**
 * Redirect URIs of OAuth clients: compared exactly (RFC 9700 §4.1.3), except for the port of a loopback address
 * (RFC 8252 §7.3), and for the slash of an origin: pages send `location.origin`, and both are one address
 * (RFC 3986 §6.2.3). The URLs of these clients after a sign-out are compared in the same way.
 */
import type { FrontEnd } from './front-ends.ts'

/** @param redirectUri as the client sent it; untrusted */
export function isRegisteredRedirectUri(
  redirectUri: string,
  { redirectUris }: Pick<FrontEnd, 'redirectUris'>,
): boolean {
  const sent = /^https?:\/\/[^/?#\\@]+$/.test(redirectUri) ? `${redirectUri}/` : redirectUri
  return redirectUris.some((registered) => registered === sent || isSameExceptPort(sent, registered))
}

/**
 * For an IP literal; and for `localhost` where the registration has no port, which is how libraries of native
 * applications (MSAL) are registered. With a port it is the address of one server: `localhost` is a name, and an
 * application that can choose uses the literal (RFC 8252 §8.3).
 */
function isSameExceptPort(redirectUri: string, registered: string): boolean {
  const loopback = /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:\d{1,5})?(?=\/)/
  const [requested, known] = [loopback.exec(redirectUri), loopback.exec(registered)]
  if (!requested || !known || requested[1] !== known[1]) return false
  if (known[1] === 'localhost' && known[2] !== undefined) return false
  const port = requested[2] === undefined ? 80 : Number(requested[2].slice(1))
  return port > 0 && port < 65536 && redirectUri.slice(requested[0].length) === registered.slice(known[0].length)
}
