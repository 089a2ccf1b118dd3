/** Authenticated encryption of what leaves the broker's hands: AES-256-GCM (NIST SP 800-38D), keys by HKDF (RFC 5869). */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

const ivBytes = 12
const tagBytes = 16

/** @param context what the sealed bytes belong to (where they stand, for whom); `open` must be given the same */
export function seal(key: KeyObject, plaintext: string, context: string): Buffer {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv)
  cipher.setAAD(Buffer.from(context))
  return Buffer.concat([iv, cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
}

/** @returns undefined when the bytes were changed, cut, sealed with another key or for another context */
export function open(key: KeyObject, sealed: Uint8Array, context: string): string | undefined {
  if (sealed.length < ivBytes + tagBytes) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, ivBytes), { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes))
  try {
    // All of it at once; nothing is left for `final` but to check the tag.
    const opened = decipher.update(sealed.subarray(ivBytes, sealed.length - tagBytes))
    decipher.final()
    return opened.toString('utf8')
  } catch {
    return undefined
  }
}

/** A key of its own for one purpose. A KeyObject, because raw buffers cost each later call several microseconds. */
export function deriveKey(root: KeyObject, salt: string | Uint8Array, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', root, salt, purpose, 32)))
}
