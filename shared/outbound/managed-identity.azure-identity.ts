/** Tokens of the managed identity, from the identity endpoint of App Service (`IDENTITY_ENDPOINT`). */
import { ManagedIdentityCredential } from '@azure/identity'
import type { TokenCredential } from '@azure/identity'
import { directPolicy } from './proxy.ts'
import { sdkNetworkOptions } from './sdk-network.azure-core.ts'

/**
 * Always direct: each request carries the header that opens the identity endpoint, which is on this machine or on a
 * link-local address. For the same reason no redirect is followed.
 *
 * @param clientId of a user-assigned identity; the system-assigned one where it is undefined
 */
export function createManagedIdentity(clientId: string | undefined): TokenCredential {
  const options = {
    ...sdkNetworkOptions(directPolicy),
    retryOptions: { maxRetries: 1, retryDelayInMs: 200 },
    redirectOptions: { maxRetries: 0 },
  }
  return new ManagedIdentityCredential(clientId === undefined ? options : { clientId, ...options })
}
