/** The facts about a certificate version that its DER holds: thumbprint and public key. */
import { createPublicKey, hash, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

export interface CertificateFacts {
  /** SHA-256 of the DER, base64url: `x5t#S256` (RFC 7515 §4.1.8). */
  readonly thumbprint: string
  /** SubjectPublicKeyInfo in DER, base64url (RFC 5280 §4.1.2.7). */
  readonly publicKey: string
}

/** @param certificate DER, from the vault */
export function readFacts(certificate: Uint8Array): CertificateFacts {
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })
  return { thumbprint: hash('sha256', certificate, 'base64url'), publicKey: spki.toString('base64url') }
}

/**
 * The names of a certificate for a provider that identifies it by SHA-1: `x5t` (RFC 7515 §4.1.7), and the same hash in
 * upper-case hexadecimal digits as `kid`, as Windows shows a thumbprint. The hash only finds the certificate.
 *
 * @param certificate DER
 */
export function sha1NamesOf(certificate: Uint8Array): { readonly kid: string; readonly x5t: string } {
  const digest = hash('sha1', certificate, 'buffer')
  return { kid: digest.toString('hex').toUpperCase(), x5t: digest.toString('base64url') }
}

export function toPublicKey(publicKey: string): KeyObject {
  return createPublicKey({ key: Buffer.from(publicKey, 'base64url'), format: 'der', type: 'spki' })
}
