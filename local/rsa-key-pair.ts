/**
 * RSA key pairs of the local cloud. A test can supply pairs that exist,
 * because a new pair costs 0.1 to 0.4 s of CPU time.
 */
import { generateKeyPair } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

export interface KeyPair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** @param modulusLength in bits */
export type MakeKeyPair = (modulusLength: number) => Promise<KeyPair>

export const makeRsaKeyPair: MakeKeyPair = (modulusLength) => promisify(generateKeyPair)('rsa', { modulusLength })
