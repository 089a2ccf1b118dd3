/**
 * Completes the claims of an ID token at the userinfo endpoint. OpenID Connect Core §5.4: with the code flow, a
 * provider returns the claims of the scopes profile, email, address and phone there, and need not repeat them in the ID
 * token. Other claims, such as roles, are read from the signed ID token alone, which each renewal repeats.
 */
import { BrokerError } from '../errors/errors.ts'
import { specifiedClaims } from '../settings/openid-scopes.ts'
import { textOf } from './id-token.ts'
import type { Identity } from './identity.ts'
import type { IdentityProvider } from './provider.ts'
import { completeClaims, isKnown } from './registered-claims.ts'

interface UserinfoRequest {
  readonly provider: Pick<IdentityProvider, 'userInfo'>
  /** Names of the claims that the front end has registered, as `claimNamesOf` returns them. */
  readonly claimNames: readonly string[]
  /** True where an OAuth client receives the email address, also without a registered claim. */
  readonly hasEmailScope: boolean
  readonly onFault: (error: unknown) => void
}

/**
 * Costs a request, so it is made only where the ID token lacks one of these claims, or has neither name nor user name,
 * and the provider has the endpoint. Without the claims the sign-in succeeds.
 *
 * @param accessToken of the same response as the ID token
 */
export async function addUserinfoClaims(
  identity: Identity,
  accessToken: string,
  { provider, claimNames, hasEmailScope, onFault }: UserinfoRequest,
): Promise<Identity> {
  const names = claimNames.filter((name) => specifiedClaims.has(name))
  const lacksClaims = names.some((name) => !isKnown(name, identity.claims ?? { values: {} }))
  const lacksNames = identity.name === undefined && identity.username === undefined
  if (!lacksNames && !lacksClaims && !(hasEmailScope && identity.email === undefined)) return identity
  try {
    const userinfo = await provider.userInfo(accessToken)
    if (!userinfo) return identity
    // §5.3.2: with another `sub`, the values belong to another person and must not be used.
    if (userinfo.sub !== identity.subject) throw new BrokerError('provider_answer_invalid', { detail: 'userinfo: sub' })
    const username = textOf(userinfo.preferred_username) ?? textOf(userinfo.upn)
    return {
      ...identity,
      ...(lacksNames ? { name: textOf(userinfo.name), username } : {}),
      email: identity.email ?? textOf(userinfo.email),
      claims: identity.claims && completeClaims(identity.claims, userinfo, names),
    }
  } catch (error) {
    onFault(error)
    return identity
  }
}
