/**
 * Sealed tokens: a value that a browser keeps for the broker and cannot read or change, as `key id.ciphertext`. Used
 * for cookies and for the `state` of a sign-out. A token has no end of its own: its content carries one.
 */
import type { KeyRing, RingKey } from './key-ring.ts'
import { open, seal } from './sealing.ts'

/** Browsers drop a cookie whose name and value are longer (RFC 6265bis §5.6), so no longer token was ever issued. */
export const mostTokenCharacters = 4096

const form = /^(\d{4}-\d{2}-[0-9a-f]{8})\.([\w-]+)$/

/**
 * @param content is stored as JSON
 * @param context the use and the place of the token (the cookie's name): in any other place the token does not open
 * @param key of the ring, usually the current one
 */
export function sealToken(content: unknown, context: string, key: RingKey): string {
  return `${key.id}.${seal(key.transaction, JSON.stringify(content), context).toString('base64url')}`
}

/**
 * @param token untrusted
 * @param context as it was sealed
 * @returns the content, authenticated: its shape is the one that was sealed. `undefined` for any other token: another
 *   form or context, a changed byte, a key that the ring does not hold
 * @throws {BrokerError} what the ring throws where it cannot read a key that it holds
 */
export async function openToken(token: string | undefined, context: string, ring: KeyRing): Promise<unknown> {
  if (token === undefined || token.length > mostTokenCharacters) return undefined
  const [, keyId, sealed] = form.exec(token) ?? []
  const key = keyId === undefined ? undefined : await ring.find(keyId)
  const opened = key && open(key.transaction, Buffer.from(sealed ?? '', 'base64url'), context)
  return opened === undefined ? undefined : JSON.parse(opened)
}
