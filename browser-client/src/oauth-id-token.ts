/** The claims of the broker's ID tokens. OpenID Connect Core §2. */
import { failure } from './broker-error.ts'
import type { Person } from './client.ts'
import { decode } from './page.ts'

/** The person, read from the ID token. */
export interface OAuthSession extends Person {
  readonly email?: string
  /** All claims of the ID token. The double of `testing` has none. */
  readonly claims?: Claims
  /** The ID token, with which `signOut` names the session. */
  readonly idToken?: string
}

type Claims = Readonly<Record<string, unknown>>

/**
 * The ID token comes from the token endpoint by TLS, which replaces the check of its signature (Core §3.1.3.7). `exp`
 * is not compared: an answer to a request of this moment is new, and the clock of the device may be wrong by hours.
 *
 * @param expected of its claims: issuer, audience, and the nonce;
 *   a renewal has no nonce, but the person of before (§12.2)
 * @throws {BrokerError} `id_token_refused`
 */
export function checkIdToken(idToken: string, expected: Claims): void {
  const claims = claimsOf(idToken)
  for (const [name, value] of Object.entries(expected)) if (claims[name] !== value) throw failure('id_token_refused')
}

export function sessionOf(idToken: string): OAuthSession {
  const claims = claimsOf(idToken) as Record<string, string>
  const { sub: subject = '', oid: object_id, tid: tenant_id, name, preferred_username: username, email } = claims
  return { subject, object_id, tenant_id, name, username, email, claims, idToken } as OAuthSession
}

export function claimsOf(idToken: string): Claims {
  const payload = decode(idToken.split('.')[1] ?? '')
  const bytes = Uint8Array.from(payload, (character) => character.charCodeAt(0))
  return JSON.parse(new TextDecoder().decode(bytes)) as Claims
}
