/**
 * Verifies a token that an identity provider or an OAuth client signed, with the signer's kept keys.
 * RFC 7515 §5.2, RFC 8725.
 */
import { isAbsent, isObject } from '../json/json.ts'
import { isSignedBy, isSupportedAlgorithm } from './algorithms.ts'
import type { KeptKeys } from './kept-keys.ts'
import type { Json, TokenOrigin } from './provider.ts'

const maxLength = 64 * 1024

interface VerifiedToken {
  readonly header: Json
  readonly claims: Json
  readonly algorithm: string
  readonly signatureBytes: number
}

/**
 * @param text untrusted
 * @param origin chooses the budget of key fetches: an unauthenticated token must not use up that of sign-ins
 * @param refuse makes the error for the check that failed
 * @returns the token, signed by a key of the signer; its claims are not checked yet
 * @throws the error of `refuse`, and BrokerError `provider_…` where no keys can be fetched
 */
export async function verifySignedToken(
  text: string,
  origin: TokenOrigin,
  provider: KeptKeys,
  refuse: (check: string) => Error,
): Promise<VerifiedToken> {
  if (text.length > maxLength) throw refuse('larger than 64 KB')
  const header = readHeader(text)
  const { alg, crit } = header ?? {}
  if (!isSupportedAlgorithm(alg)) throw refuse('alg')
  const kid = isAbsent(header?.kid) ? undefined : header?.kid
  if (kid !== undefined && typeof kid !== 'string') throw refuse('kid')
  const token = parseCompact(text)
  // RFC 7515 §4.1.11: the broker understands no critical extension.
  if (!token || crit !== undefined) throw refuse('not a signed token')

  const { signingInput, signature, payload } = token
  const claims = parseJson(payload)
  // Not verified yet. It narrows the keys: a token that names another issuer loses those of this one.
  const issuer = typeof claims?.iss === 'string' ? claims.iss : undefined
  const isSigned = (keys: Awaited<ReturnType<typeof provider.keysFor>>) =>
    keys.some((key) => isSignedBy(key, alg, signingInput, signature))
  const verified = (): VerifiedToken => {
    if (header && claims) return { header, claims, algorithm: alg, signatureBytes: signature.length }
    throw refuse('not JSON')
  }

  const keys = await provider.keysFor(kid, alg, issuer)
  if (isSigned(keys)) return verified()
  // The provider may have changed its keys since the fetch. Some give a new key the id of the old one.
  const renewed = await provider.refetchKeys(kid, alg, origin, issuer)
  if (isSigned(renewed)) return verified()
  throw refuse(kid === undefined || renewed.length > 0 ? 'signature' : 'no key of the provider fits')
}

interface CompactToken {
  /** The signed bytes: header and payload as they are in the token. RFC 7515 §5.1. */
  readonly signingInput: Buffer
  readonly payload: string
  readonly signature: Buffer
}

/** @returns undefined unless it has three parts of base64url */
function parseCompact(token: string): CompactToken | undefined {
  const [, signingInput, payload, signature] = /^([\w-]+\.([\w-]+))\.([\w-]+)$/.exec(token) ?? []
  if (signingInput === undefined || payload === undefined || signature === undefined) return undefined
  return {
    signingInput: Buffer.from(signingInput),
    payload: Buffer.from(payload, 'base64url').toString('utf8'),
    signature: Buffer.from(signature, 'base64url'),
  }
}

/** @param token untrusted @returns the header of a token; undefined where it cannot be read */
export function readHeader(token: string): Json | undefined {
  const [header] = token.split('.')
  return parseJson(Buffer.from(header ?? '', 'base64url').toString('utf8'))
}

/** @param token untrusted @returns the claims, whose signature is not checked; undefined where they cannot be read */
export function readClaims(token: string): Json | undefined {
  const [, payload] = token.split('.')
  return parseJson(Buffer.from(payload ?? '', 'base64url').toString('utf8'))
}

function parseJson(text: string): Json | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return isObject(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}
