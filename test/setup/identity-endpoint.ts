/**
 * Points the managed identity client of this process at an endpoint.
 * MSAL keeps its first endpoint, and its tokens, for all of the process.
 */
import { ManagedIdentityApplication } from '@azure/msal-node'
import { vi } from 'vitest'
import type { ManagedIdentity } from '../../local/managed-identity/managed-identity.ts'

interface Kept {
  nodeStorage: unknown
  new (): { managedIdentityClient: { constructor: { identitySource: unknown } } }
}

/** Sets the variables until `vi.unstubAllEnvs()`. */
export function useIdentityEndpoint({ url, header }: Pick<ManagedIdentity, 'url' | 'header'>): void {
  vi.stubEnv('IDENTITY_ENDPOINT', url)
  vi.stubEnv('IDENTITY_HEADER', header)
  const application = ManagedIdentityApplication as unknown as Kept
  new application().managedIdentityClient.constructor.identitySource = undefined
  application.nodeStorage = undefined
}
