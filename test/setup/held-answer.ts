/** An answer of the provider's token endpoint that the test releases. */
import type { IdentityProvider } from '../../local/identity-provider/identity-provider.ts'

interface HeldAnswer {
  /** Resolves when the provider has done its work: tokens are issued, and a refresh token is rotated. */
  readonly requested: Promise<void>
  /** Sends the answer. */
  readonly release: () => void
}

/** Holds the answer to the next token request. */
export function holdTokenResponse(identityProvider: IdentityProvider): HeldAnswer {
  const [request, response] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()]
  identityProvider.changeTokenResponse(async ({ answer }) => {
    identityProvider.changeTokenResponse()
    request.resolve(undefined)
    await response.promise
    return answer
  })
  return { requested: request.promise, release: () => response.resolve(undefined) }
}
