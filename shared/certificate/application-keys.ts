/** The keys of the broker's own application at the identity provider; the adapter beside it speaks to Microsoft Graph. */

import type { SignerVersion } from './signed-jwt.ts'

/** What proves to the provider that the application changes its own keys: a version that it accepts. */
export type ProvingVersion = SignerVersion & { readonly expires: number }

/** Every method throws BrokerError: `registration_refused`, `provider_…`, and what the vault lacks. */
export interface ApplicationKeys {
  /** @param certificate DER @returns the id of the new key, by which it can be removed */
  add(certificate: Uint8Array, by: ProvingVersion): Promise<string>
  /** A key that is not there counts as removed. */
  remove(keyId: string, by: ProvingVersion): Promise<void>
}
