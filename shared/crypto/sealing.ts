/** Authenticated encryption of what leaves the broker's hands: AES-256-GCM (NIST SP 800-38D), keys by HKDF-Expand (RFC 5869). */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey, randomBytes } from 'node:crypto'
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

/**
 * A key of its own for one purpose, by HKDF-Expand alone (RFC 5869 §2.3). To extract first is for what is not uniformly
 * random (§3.3), and would be half of what it costs to open a session. A KeyObject, because raw buffers cost each later
 * call several microseconds.
 *
 * @param root 256 random bits: a key of the ring, or one that was made of it here
 * @param secret what the holder brings: of a cookie, a code; empty where the ring's key is enough
 */
export function deriveKey(root: KeyObject, secret: string | Uint8Array, purpose: string): KeyObject {
  // One block is as long as the key. No purpose has a zero in it, so no two of them read the same.
  return createSecretKey(createHmac('sha256', root).update(`${purpose}\0`).update(secret).update('\x01').digest())
}
