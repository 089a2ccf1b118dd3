/** What the credential asks of Key Vault; the adapter beside it speaks to the vault. */

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

/** What the vault's list says of a version; dates are milliseconds since the epoch. */
export interface CertificateVersion {
  /** The vault's id of the version: 32 hex digits. */
  readonly version: string
  readonly enabled: boolean
  readonly notBefore: number | undefined
  readonly expires: number | undefined
  readonly created: number
}

/** Wraps and unwraps with a key that never leaves the vault. */
export interface KeyWrapper {
  /** @returns the wrapped bytes and the version of the wrapping key that made them */
  wrap(key: Uint8Array): Promise<{ wrapped: Uint8Array; version: string }>
  unwrap(wrapped: Uint8Array, version: string): Promise<Uint8Array>
}
