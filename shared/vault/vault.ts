/** What the credential asks of Key Vault; the adapter beside it speaks to the vault. */
import type { CertificateVersion } from '../credential/certificate-version.ts'

/**
 * Every method throws a BrokerError that names what is wrong: `vault_unavailable`, `vault_throttled`,
 * `vault_forbidden`, `managed_identity_unavailable`, `certificate_missing`.
 */
export interface CertificateVault {
  listVersions(): Promise<readonly CertificateVersion[]>
  /** @returns the certificate's DER */
  readCertificate(version: string): Promise<Uint8Array>
  /** @param digest SHA-256 of what is signed @returns the PS256 signature (RFC 7518 §3.5) */
  sign(version: string, digest: Uint8Array): Promise<Uint8Array>
}

/** What the certificate's roll asks for on top. */
export interface RollVault extends CertificateVault {
  /** @param digest SHA-256 of what is signed @returns the RS256 signature (RFC 7518 §3.3): for Graph, and providers that take no other */
  signRs256(version: string, digest: Uint8Array): Promise<Uint8Array>
}
