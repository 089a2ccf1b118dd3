/** Contract: keys of the broker's own application at the identity provider. The adapter calls Microsoft Graph. */
import type { SignerVersion } from './signed-jwt.ts'

/** A version that the provider accepts: it proves that the application changes its own keys. */
export type ProvingVersion = SignerVersion & { readonly expires: number }

/** Every method throws BrokerError: `registration_refused`, `provider_…`, and the faults of the vault. */
export interface ApplicationKeys {
  /** @param certificate DER @returns the id of the new key, by which it can be removed */
  add(certificate: Uint8Array, by: ProvingVersion): Promise<string>
  /** A key that is not there counts as removed. */
  remove(keyId: string, by: ProvingVersion): Promise<void>
}
