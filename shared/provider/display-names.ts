/**
 * Reads a person's display names at the userinfo endpoint where the ID token has none. OpenID Connect Core §5.3, §5.4.
 */
import { BrokerError } from '../errors/errors.ts'
import { textOf } from './id-token.ts'
import type { Identity } from './identity.ts'
import type { IdentityProvider } from './provider.ts'

/**
 * Costs a request, so it is made only where the ID token has neither name nor user name and the provider has the
 * endpoint. The names are for display: without them the sign-in succeeds.
 *
 * @param accessToken of the same response as the ID token
 */
export async function addDisplayNames(
  identity: Identity,
  accessToken: string,
  { provider, onFault }: { provider: Pick<IdentityProvider, 'userInfo'>; onFault: (error: unknown) => void },
): Promise<Identity> {
  if (identity.name !== undefined || identity.username !== undefined) return identity
  try {
    const claims = await provider.userInfo(accessToken)
    if (!claims) return identity
    // §5.3.2: with another `sub`, the values belong to another person and must not be used.
    if (claims.sub !== identity.subject) throw new BrokerError('provider_answer_invalid', { detail: 'userinfo: sub' })
    const username = textOf(claims.preferred_username) ?? textOf(claims.upn)
    return { ...identity, name: textOf(claims.name), username }
  } catch (error) {
    onFault(error)
    return identity
  }
}
