/**
 * The broker's own identity towards Azure: the user-assigned managed identity in Azure, the developer's `az` or `azd`
 * sign-in on a laptop. Never DefaultAzureCredential, which would use the first credential it finds.
 */
import type { AccessToken, TokenCredential } from '@azure/core-auth'
import { withDeadline } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { identityRefusal } from './identity-refusals.ts'
import { lazy } from '../async/lazy.ts'
import { managedIdentityToken } from './managed-identity.msal.ts'

interface TokenCredentialOptions {
  readonly managedIdentity: boolean
  readonly managedIdentityClientId: string | undefined
  readonly clock: Clock
}

const deadlineMilliseconds = 5_000
const developerDeadlineMilliseconds = 20_000
const renewBefore = 5 * 60 * 1000
/** With less life left, a request waits for the next token. */
const leastLife = 30 * 1000

/** One token for all clients and all waiting requests; each SDK client alone would fetch one of its own. */
export function createTokenCredential(options: TokenCredentialOptions): TokenCredential {
  const { managedIdentity, managedIdentityClientId } = options
  const deadline = managedIdentity ? deadlineMilliseconds : developerDeadlineMilliseconds
  const getToken = managedIdentity
    ? (scope: string) => managedIdentityToken(managedIdentityClientId, scope)
    : developerToken()
  const kept = new Map<string, AccessToken>()

  const fetchToken = singleFlight(async (scope: string): Promise<AccessToken> => {
    try {
      const token = await withDeadline(getToken(scope), deadline, () => new Error('deadline'))
      if (!token) throw new Error('no token')
      kept.set(scope, token)
      return token
    } catch (cause) {
      throw identityRefusal(cause, options.managedIdentity)
    }
  })

  return {
    getToken: async (scopes) => {
      const scope = typeof scopes === 'string' ? scopes : scopes.join(' ')
      const token = kept.get(scope)
      const left = token ? token.expiresOnTimestamp - options.clock() : 0
      if (token && left > renewBefore) return token
      const fetched = fetchToken(scope)
      if (!token || left <= 0) return fetched
      // Still valid: an identity endpoint that fails must not make the request fail, and one that hangs must not use up
      // its deadline.
      const orKept = fetched.catch(() => token)
      return left > leastLife ? token : orKept
    },
  }
}

/** Loaded on a laptop alone. */
function developerToken(): (scope: string) => Promise<AccessToken | null> {
  const credential = lazy(async () =>
    (await import('./developer-credential.azure-identity.ts')).createDeveloperCredential(),
  )
  return async (scope) => (await credential()).getToken(scope)
}
