/**
 * The broker's own identity towards Azure: the user-assigned managed identity in Azure, the developer's `az` or `azd`
 * sign-in on a laptop. Never DefaultAzureCredential, which would use the first credential it finds.
 */
import { AzureCliCredential, AzureDeveloperCliCredential, ChainedTokenCredential } from '@azure/identity'
import type { AccessToken, TokenCredential } from '@azure/identity'
import { withDeadline } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { identityRefusal } from './identity-refusals.ts'
import { createManagedIdentity } from '../outbound/managed-identity.azure-identity.ts'

export interface TokenCredentialOptions {
  readonly managedIdentity: boolean
  readonly managedIdentityClientId: string | undefined
  readonly clock: Clock
}

/** ManagedIdentityCredential ignores abort signals, so the bound is a race. */
const deadlineMilliseconds = 5_000
const developerDeadlineMilliseconds = 20_000
const renewBefore = 5 * 60 * 1000

/** One token for all clients and all waiting requests; each SDK client alone would fetch one of its own. */
export function createTokenCredential(options: TokenCredentialOptions): TokenCredential {
  const source = options.managedIdentity ? createManagedIdentity(options.managedIdentityClientId) : developer()
  const deadline = options.managedIdentity ? deadlineMilliseconds : developerDeadlineMilliseconds
  const kept = new Map<string, AccessToken>()

  const fetchToken = singleFlight(async (scope: string): Promise<AccessToken> => {
    try {
      const token = await withDeadline(source.getToken(scope), deadline, () => new Error('deadline'))
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
      if (token && left > 0) {
        // Still good: an identity endpoint that is down for a moment is no reason to fail.
        return fetched.catch(() => token)
      }
      return fetched
    },
  }
}

function developer(): TokenCredential {
  return new ChainedTokenCredential(new AzureCliCredential(), new AzureDeveloperCliCredential())
}
