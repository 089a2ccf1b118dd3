/** The ID token that a session keeps for the sign-out at the provider. RP-Initiated Logout 1.0 §2, `id_token_hint`. */
import { textOf } from '../provider/id-token.ts'
import type { IdentityProvider } from '../provider/provider.ts'
import { readClaims } from '../provider/signed-token.ts'
import type { Session } from './session-row.ts'

type Hinted = Pick<IdentityProvider, 'profile'>

/** The token is written with the access tokens of the session at each renewal. */
const mostTokenCharacters = 12_000

/** @returns undefined where the provider needs none, or where the token is too long */
export function keptIdToken({ profile }: Hinted, idToken: string): string | undefined {
  return profile.usesIdTokenHint && idToken.length <= mostTokenCharacters ? idToken : undefined
}

/**
 * Some providers refuse a hint that has expired (PingOne, FusionAuth), and a renewal usually brings a newer one.
 *
 * @param idToken of a renewal, about the person of the session; its signature is not checked
 * @returns the token to keep: the newer one, where it names the same session of the provider
 */
export function newerIdToken(
  { owner, tokens }: Pick<Session, 'owner' | 'tokens'>,
  idToken: string | undefined,
  provider: Hinted,
): string | undefined {
  const newer = idToken === undefined ? undefined : keptIdToken(provider, idToken)
  const claims = newer === undefined ? undefined : readClaims(newer)
  return claims && textOf(claims.sid) === owner.identity.sessionId ? newer : tokens.idToken
}
