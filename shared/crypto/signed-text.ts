/**
 * Texts of rows that the wrapping key signs in the vault: PS256, RFC 7518 §3.5. A writer of the store has no such
 * signature, so it cannot add a row of its own.
 */
import { constants, hash, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { WrappingKey, WrappingKeyVersion } from '../vault/vault.ts'

/**
 * Signs in the vault, and verifies the signature that comes back: a row with another one would be refused later.
 *
 * @throws {BrokerError} `signature_invalid`, `wrapping_key_cannot_sign`, and what the vault throws
 */
export async function signText(
  text: string,
  vault: Pick<WrappingKey, 'signRow'>,
  { version, publicKey }: WrappingKeyVersion,
): Promise<Uint8Array> {
  const signature = await vault.signRow(hash('sha256', text, 'buffer'), version)
  if (isSignedText(text, signature, publicKey)) return signature
  throw new BrokerError('signature_invalid', { detail: `version ${version} of the wrapping key` })
}

/** @param signature untrusted @param key of the version that the row names */
export function isSignedText(text: string, signature: Uint8Array, key: KeyObject): boolean {
  const padding = constants.RSA_PKCS1_PSS_PADDING
  const saltLength = constants.RSA_PSS_SALTLEN_DIGEST
  return verify('sha256', Buffer.from(text), { key, padding, saltLength }, signature)
}
