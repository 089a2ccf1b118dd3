/** Contract: Key Vault, as the credential and the key ring use it. The adapter is in key-vault/. */
import type { KeyObject } from 'node:crypto'

/**
 * Every method throws a BrokerError that names the fault: `vault_unavailable`, `vault_throttled`,
 * `vault_forbidden`, `managed_identity_unavailable`, `certificate_missing`.
 */
export interface CertificateVault {
  listVersions(): Promise<readonly CertificateVersion[]>
  /** @returns the certificate's DER */
  readCertificate(version: string): Promise<Uint8Array>
  /** @param digest SHA-256 of the signed text @returns the signature, which the caller verifies */
  sign(version: string, digest: Uint8Array, algorithm: SigningAlgorithm): Promise<Uint8Array>
}

/** RFC 7518 §3.5 and §3.3. RS256 is for Graph, and for providers that accept no other. */
export type SigningAlgorithm = 'PS256' | 'RS256'

/** The vault's id of a version of a certificate or a key: 32 hex digits. */
export function isVersionId(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f]{32}$/i.test(value)
}

/** A version in the vault's list; dates are milliseconds since the epoch. */
export interface CertificateVersion {
  readonly version: string
  readonly enabled: boolean
  readonly notBefore: number | undefined
  readonly expires: number | undefined
  readonly created: number
}

/** The wrapping key: an RSA key that never leaves the vault. It wraps, unwraps and signs the rows of the key ring. */
export interface WrappingKey {
  /** @param version the newest one where it is left out */
  readWrappingKey(version?: string): Promise<WrappingKeyVersion>
  wrap(key: Uint8Array, version: string): Promise<Uint8Array>
  unwrap(wrapped: Uint8Array, version: string): Promise<Uint8Array>
  /** @param digest SHA-256 of the signed text @returns the PS256 signature (RFC 7518 §3.5) */
  signRow(digest: Uint8Array, version: string): Promise<Uint8Array>
}

export interface WrappingKeyVersion {
  readonly version: string
  readonly publicKey: KeyObject
  readonly isEnabled: boolean
}
