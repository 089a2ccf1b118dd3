/** The keys of one month of the key ring, each derived for one purpose. */
import { createHmac, createSecretKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { deriveKey } from './sealing.ts'

/** One month's keys, each for one purpose. */
export interface RingKey {
  /**
   * The month, and 32 bits that distinguish this key from another of the same month: `2026-11-5f0c2a91`. It is stored
   * in clear beside the ciphertext. So a ciphertext under the key of a lost row is not mistaken for a forgery under the
   * new one.
   */
  readonly id: string
  readonly transaction: KeyObject
  readonly session: KeyObject
  /** @param purpose of a row of the broker's own, such as `certificate` */
  keyFor(purpose: string): KeyObject
  /** For a value that must be found again without being readable. @returns 96 bits, base64url */
  blindIndex(text: string): string
}

/** @param secret 256 random bits: what a row of the ring holds, wrapped */
export function toRingKey(month: string, secret: Uint8Array): RingKey {
  const root = createSecretKey(secret)
  const index = deriveKey(root, '', 'locator')
  const rowKeys = new Map<string, KeyObject>()
  return {
    id: `${month}-${deriveKey(root, '', 'name').export().subarray(0, 4).toString('hex')}`,
    transaction: deriveKey(root, '', 'transaction'),
    session: deriveKey(root, '', 'session'),
    keyFor: (purpose) => {
      const known = rowKeys.get(purpose)
      if (known) return known
      // A name of its own space: no purpose can be one of those above.
      const key = deriveKey(root, '', `row ${purpose}`)
      rowKeys.set(purpose, key)
      return key
    },
    blindIndex: (text) => createHmac('sha256', index).update(text).digest().subarray(0, 12).toString('base64url'),
  }
}

const idForm = /^(\d{4}-\d{2})-[0-9a-f]{8}$/

/** @param id untrusted @returns undefined for a text that is not an id of a key */
export function monthOfKeyId(id: string): string | undefined {
  return idForm.exec(id)?.[1]
}
