/**
 * A row of the key ring: the key of one month, wrapped and signed by the vault. Wrapping needs only the public half of
 * the wrapping key, so it does not authenticate the writer; the signature (PS256, RFC 7518 §3.5) needs the private
 * half. An instance of the previous release reads these rows, since it ignores the columns that it does not know.
 */
import { BrokerError } from '../errors/errors.ts'
import type { StoredRow, Values } from '../store/store.ts'
import { isVersionId } from '../vault/vault.ts'
import type { WrappingKey, WrappingKeyVersion } from '../vault/vault.ts'
import { isSignedText, signText } from './signed-text.ts'

export interface RingRow {
  /** `2026-11`: the row's name. */
  readonly month: string
  readonly wrapped: Uint8Array
  /** Version of the wrapping key that wrapped. */
  readonly wrappingVersion: string
  /** Undefined in a row of the previous release, which signed none. */
  readonly signature: RingSignature | undefined
}

interface RingSignature {
  readonly bytes: Uint8Array
  /** Version of the wrapping key that signed. It may be newer than the one that wrapped. */
  readonly version: string
}

const format = '1'
const secretBytes = 32

/**
 * @param row as the store returned it; untrusted
 * @throws {BrokerError} `key_ring_unreadable` for any other form
 */
export function parseRingRow({ row: month, values }: StoredRow): RingRow {
  const { wrapped, wrappingVersion, signature, signedBy } = values
  const isSigned = signature !== undefined || signedBy !== undefined
  if (
    values.format !== format ||
    !(wrapped instanceof Uint8Array) ||
    !isVersionId(wrappingVersion) ||
    (isSigned && !(signature instanceof Uint8Array && isVersionId(signedBy)))
  ) {
    throw unreadable(month, 'has a format that is not known here')
  }
  return {
    month,
    wrapped,
    wrappingVersion,
    signature:
      signature instanceof Uint8Array && isVersionId(signedBy) ? { bytes: signature, version: signedBy } : undefined,
  }
}

export function ringRowValues({ wrapped, wrappingVersion, signature }: RingRow): Values {
  const signed = signature && { signature: signature.bytes, signedBy: signature.version }
  return { format, wrapped, wrappingVersion, ...signed }
}

/** Wraps and signs a new key: three calls to the vault. */
export async function makeRingRow(vault: WrappingKey, month: string, secret: Uint8Array): Promise<RingRow> {
  const newest = await vault.readWrappingKey()
  const wrapped = await vault.wrap(secret, newest.version)
  return signRingRow(vault, newest, { month, wrapped, wrappingVersion: newest.version })
}

/**
 * @throws {BrokerError} `signature_invalid` where the vault's signature does not verify: such a row would stop every
 *   new instance. `wrapping_key_cannot_sign`, and what the vault throws.
 */
export async function signRingRow(
  vault: WrappingKey,
  by: WrappingKeyVersion,
  row: Omit<RingRow, 'signature'>,
): Promise<RingRow> {
  const bytes = await signText(signedText(row), vault, by)
  return { ...row, signature: { bytes, version: by.version } }
}

/**
 * Opens a signed row: one unwrap, and beside it one read of the public key that verifies the signature. The unwrapped
 * bytes are dropped where it does not verify.
 *
 * @returns the month's 256 bits
 * @throws {BrokerError} `key_ring_unreadable`, `vault_forbidden` where a version that it needs is disabled, and what
 *   else the vault throws
 */
export async function openRingRow(
  vault: WrappingKey,
  row: RingRow & { readonly signature: RingSignature },
): Promise<Uint8Array> {
  const { signature } = row
  const [secret, signer] = await Promise.all([unwrapRingRow(vault, row), vault.readWrappingKey(signature.version)])
  // The vault still returns the public half of a disabled version. An operator disables a version to end its use.
  if (!signer.isEnabled) {
    throw new BrokerError('vault_forbidden', {
      detail: `version ${signature.version}, which signed the row, is disabled`,
    })
  }
  if (!isSignedText(signedText(row), signature.bytes, signer.publicKey)) {
    throw unreadable(row.month, 'has a signature that does not verify')
  }
  return secret
}

/** Without its signature: only for a row of the previous release. */
export async function unwrapRingRow(
  vault: WrappingKey,
  { month, wrapped, wrappingVersion }: RingRow,
): Promise<Uint8Array> {
  const secret = await vault.unwrap(wrapped, wrappingVersion)
  if (secret.length !== secretBytes) throw unreadable(month, 'holds a key of another size')
  return secret
}

/** No other text that the wrapping key signs has this beginning. JWTs are signed by the certificate's key. */
function signedText({ month, wrapped, wrappingVersion }: Omit<RingRow, 'signature'>): string {
  const encoded = Buffer.from(wrapped).toString('base64url')
  return JSON.stringify(['row of the key ring', format, month, wrappingVersion, encoded])
}

function unreadable(month: string, problem: string): BrokerError {
  return new BrokerError('key_ring_unreadable', { detail: `row ${month} ${problem}` })
}
