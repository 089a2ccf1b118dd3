/** Authenticated encryption of rows and tokens: AES-256-GCM (NIST SP 800-38D), keys by HKDF-Expand (RFC 5869). */
import { createCipheriv, createDecipheriv, createHmac, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { randomValue } from './random.ts'

const ivBytes = 12
const tagBytes = 16

/** @param context the place and the owner of the sealed bytes; `open` needs the same */
export function seal(key: KeyObject, plaintext: string, context: string): Buffer {
  const iv = randomValue(ivBytes)
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
    // The whole plaintext at once; `final` only checks the tag.
    const opened = decipher.update(sealed.subarray(ivBytes, sealed.length - tagBytes))
    decipher.final()
    return opened.toString('utf8')
  } catch {
    return undefined
  }
}

/**
 * Derives a key for one purpose, by HKDF-Expand alone (RFC 5869 §2.3). HKDF-Extract is for input that is not uniformly
 * random (§3.3), and would double the cost of opening a session. Returns a KeyObject, because a raw buffer costs each
 * later call several microseconds.
 *
 * @param root 256 random bits: a key of the ring, or one derived from it
 * @param secret the holder's part, from a cookie or a code; empty where the ring's key is enough
 */
export function deriveKey(root: KeyObject, secret: string | Uint8Array, purpose: string): KeyObject {
  // One block is as long as the key. No purpose contains a zero byte, so no two inputs are the same.
  return createSecretKey(createHmac('sha256', root).update(`${purpose}\0`).update(secret).update('\x01').digest())
}
