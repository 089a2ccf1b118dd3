/** Redirect URIs of OAuth clients: compared exactly (RFC 9700 §4.1.3), but for a loopback address's port (RFC 8252 §7.3). */
import type { FrontEnd } from './front-ends.ts'

/** @param redirectUri as the client sent it; untrusted */
export function isRegisteredRedirectUri(redirectUri: string, frontEnd: FrontEnd): boolean {
  return frontEnd.redirectUris.some(
    (registered) => registered === redirectUri || isSameButForPort(redirectUri, registered),
  )
}

/** Only for an IP literal: `localhost` is a name, and may resolve to somebody else. */
function isSameButForPort(redirectUri: string, registered: string): boolean {
  const literal = /^http:\/\/(127\.0\.0\.1|\[::1\])(:\d{1,5})?(?=\/)/
  const [asked, known] = [literal.exec(redirectUri), literal.exec(registered)]
  if (!asked || !known || asked[1] !== known[1]) return false
  const port = asked[2] === undefined ? 80 : Number(asked[2].slice(1))
  return port > 0 && port < 65536 && redirectUri.slice(asked[0].length) === registered.slice(known[0].length)
}
