/**
 * The signature algorithms of tokens that the broker verifies. RFC 7518 §3, RFC 8037 §3.1, RFC 8812 §3.2, RFC 9864 §2.
 */
import { constants, createHash, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

const rsa = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
/** By the curve's name in Node. */
const elliptic: Readonly<Record<string, readonly string[]>> = {
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  secp521r1: ['ES512'],
  secp256k1: ['ES256K'],
}
/** `EdDSA` is the older name of both; RFC 9864 names each. */
const edwards: Readonly<Record<string, readonly string[]>> = {
  ed25519: ['EdDSA', 'Ed25519'],
  ed448: ['EdDSA', 'Ed448'],
}

const edwardsNames = Object.values(edwards).flat()

/**
 * @param named `alg` of a key
 * @returns true where a key of this `alg` may sign by the algorithm; the curve of the key decides between the names of
 *   RFC 9864
 */
export function isForAlgorithm(named: string, algorithm: string): boolean {
  return named === algorithm || [named, algorithm].every((one) => edwardsNames.includes(one))
}

const algorithms: ReadonlySet<string> = new Set([
  ...rsa,
  ...Object.values(elliptic).flat(),
  ...Object.values(edwards).flat(),
])

export function isSupportedAlgorithm(value: unknown): value is string {
  return typeof value === 'string' && algorithms.has(value)
}

/** @returns the algorithms that this key may sign with; none where it is too weak or of a type that is not supported */
export function algorithmsOf(key: KeyObject): readonly string[] {
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  const type = key.asymmetricKeyType ?? ''
  if (type === 'rsa') return modulusLength >= 2048 ? rsa : []
  if (type === 'ec') return elliptic[namedCurve] ?? []
  return edwards[type] ?? []
}

/**
 * RFC 7515 §5.2, with node:crypto: a third of the CPU time of WebCrypto, which a library for tokens would use.
 *
 * @param key one whose `algorithmsOf` include the algorithm
 */
export function isSignedBy(key: KeyObject, algorithm: string, signingInput: Buffer, signature: Buffer): boolean {
  return verify(hashOf(algorithm), signingInput, withScheme(key, algorithm), signature)
}

function hashOf(algorithm: string): string | null {
  const bits = /^[A-Z]S(\d{3})K?$/.exec(algorithm)?.[1]
  // Ed25519 and Ed448 hash by themselves.
  return bits === undefined ? null : `sha${bits}`
}

function withScheme(key: KeyObject, algorithm: string) {
  if (algorithm.startsWith('ES')) return { key, dsaEncoding: 'ieee-p1363' } as const
  if (algorithm.startsWith('PS')) {
    return { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  }
  // RSASSA-PKCS1-v1_5 is Node's default for an RSA key; naming it costs 8 µs more than the 17 of the whole check.
  return key
}

/**
 * The value of `at_hash` or `c_hash`: the left half of a hash that belongs to the ID token's algorithm. OpenID Connect
 * Core §3.1.3.6 and §3.3.2.11; for Ed25519 and Ed448 the hash of their signature.
 *
 * @param signatureBytes length of the ID token's signature, which separates Ed25519 (64) from Ed448 (114) under
 *   `EdDSA`; other algorithms do not need it
 */
export function tokenHash(token: string, algorithm: string, signatureBytes?: number): string {
  const hash = hashOf(algorithm)
  const digest =
    hash !== null
      ? createHash(hash).update(token).digest()
      : signatureBytes === 114
        ? createHash('shake256', { outputLength: 114 }).update(token).digest()
        : createHash('sha512').update(token).digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}
