/**
 * RSA on digests, which node:crypto's sign does not support:
 * PKCS #1 v1.5 and PSS signatures, OAEP. RFC 8017 §7.1, §8, §9.
 */
import {
  constants,
  createHash,
  privateDecrypt,
  privateEncrypt,
  publicDecrypt,
  publicEncrypt,
  randomBytes,
} from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { badParameter } from './vault-error.ts'

const hashBytes = 32
const sha256Prefix = Buffer.from('3031300d060960864801650304020105000420', 'hex')

/** @param digest SHA-256 of the signed content */
export function signDigest(key: KeyObject, algorithm: string, digest: Buffer): Buffer {
  if (digest.length !== hashBytes) throw badParameter('Invalid length of digest: SHA-256 has 32 bytes.')
  if (algorithm === 'RS256') {
    return privateEncrypt({ key, padding: constants.RSA_PKCS1_PADDING }, Buffer.concat([sha256Prefix, digest]))
  }
  if (algorithm === 'PS256')
    return privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, encodePss(digest, bits(key)))
  throw badParameter(`The local vault signs with RS256 and PS256, not with ${algorithm}.`)
}

export function isSignature(key: KeyObject, algorithm: string, digest: Buffer, signature: Buffer): boolean {
  try {
    if (algorithm === 'RS256') {
      const found = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature)
      return found.equals(Buffer.concat([sha256Prefix, digest]))
    }
    if (algorithm === 'PS256') {
      return isPss(publicDecrypt({ key, padding: constants.RSA_NO_PADDING }, signature), digest, bits(key))
    }
  } catch {
    return false
  }
  throw badParameter(`The local vault verifies RS256 and PS256, not ${algorithm}.`)
}

export function wrap(key: KeyObject, algorithm: string, value: Buffer): Buffer {
  const oaepHash = hashOf(algorithm)
  return unlessBad(() => publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, value))
}

export function unwrap(key: KeyObject, algorithm: string, value: Buffer): Buffer {
  const oaepHash = hashOf(algorithm)
  return unlessBad(() => privateDecrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash }, value))
}

function hashOf(algorithm: string): string {
  if (algorithm === 'RSA-OAEP-256') return 'sha256'
  if (algorithm === 'RSA-OAEP') return 'sha1'
  throw badParameter(`The local vault wraps with RSA-OAEP-256 and RSA-OAEP, not with ${algorithm}.`)
}

function unlessBad(work: () => Buffer): Buffer {
  try {
    return work()
  } catch {
    throw badParameter('The parameter is incorrect.')
  }
}

const bits = (key: KeyObject) => key.asymmetricKeyDetails?.modulusLength ?? 0
const sha256 = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest()

/** RFC 8017 §9.1.1, with a salt as long as the hash. */
function encodePss(digest: Buffer, modulusBits: number): Buffer {
  const salt = randomBytes(hashBytes)
  const hash = sha256(Buffer.alloc(8), digest, salt)
  const block = Buffer.alloc(modulusBits / 8 - hashBytes - 1)
  block[block.length - hashBytes - 1] = 1
  salt.copy(block, block.length - hashBytes)
  return Buffer.concat([masked(block, hash), hash, Buffer.of(0xbc)])
}

/** RFC 8017 §9.1.2. */
function isPss(encoded: Buffer, digest: Buffer, modulusBits: number): boolean {
  const blockBytes = modulusBits / 8 - hashBytes - 1
  const hash = encoded.subarray(blockBytes, -1)
  const block = masked(encoded.subarray(0, blockBytes), hash)
  const salt = block.subarray(-hashBytes)
  const padding = block.subarray(0, -hashBytes)
  return (
    encoded.at(-1) === 0xbc &&
    padding.every((byte, index) => byte === (index === padding.length - 1 ? 1 : 0)) &&
    sha256(Buffer.alloc(8), digest, salt).equals(hash)
  )
}

/** Applies MGF1 to the block, to mask or to unmask; the topmost bit is cleared, so that it stays below the modulus. */
function masked(block: Buffer, seed: Buffer): Buffer {
  const mask = Array.from({ length: Math.ceil(block.length / hashBytes) }, (_, counter) => {
    const suffix = Buffer.alloc(4)
    suffix.writeUInt32BE(counter)
    return sha256(seed, suffix)
  })
  const stream = Buffer.concat(mask)
  const result = Buffer.from(block.map((byte, index) => byte ^ (stream[index] ?? 0)))
  result[0] = (result[0] ?? 0) & 0x7f
  return result
}
