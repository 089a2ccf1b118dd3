/** Random texts, and PKCE made of them. RFC 7636 §4. */
import { hash } from 'node:crypto'
import { randomValue } from './random.ts'

/** 256 random bits, base64url; also the form of a code verifier (RFC 7636 §4.1). */
export function randomText(): string {
  return randomValue(32).toString('base64url')
}

/** RFC 7636 §4.2, S256. */
export function codeChallengeOf(codeVerifier: string): string {
  return hash('sha256', codeVerifier, 'base64url')
}
