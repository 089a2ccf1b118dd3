/** The keys that sign a provider's tokens: fetched once, kept, fetched again after a change. RFC 7517, RFC 8725. */
import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { Json } from './provider.ts'

export interface SigningKey {
  readonly kid: string | undefined
  readonly key: KeyObject
  fits(algorithm: string): boolean
}

/** @returns the keys that may have signed a token with this header */
export function keysThatFit(
  keys: readonly SigningKey[],
  kid: string | undefined,
  algorithm: string,
): readonly KeyObject[] {
  return keys.filter((key) => key.fits(algorithm) && (kid === undefined || key.kid === kid)).map(({ key }) => key)
}

/**
 * Keeps the public signing keys of an accepted type that are strong enough.
 *
 * @param json the key set; untrusted
 * @throws {BrokerError} `provider_answer_invalid` where it is no key set
 */
export function parseKeys(json: Json): readonly SigningKey[] {
  if (!Array.isArray(json.keys)) throw new BrokerError('provider_answer_invalid', { detail: 'keys: no list' })
  const entries = json.keys.filter(
    (entry): entry is Record<string, unknown> => typeof entry === 'object' && entry !== null,
  )
  const fit = entries.flatMap((entry): readonly SigningKey[] => {
    if (entry.use !== undefined && entry.use !== 'sig') return []
    if ('d' in entry || 'k' in entry) return []
    if (entry.kty !== 'RSA' && entry.kty !== 'EC') return []
    if (Array.isArray(entry.key_ops) && !entry.key_ops.includes('verify')) return []
    if (entry.kid !== undefined && typeof entry.kid !== 'string') return []
    const key = importKey(entry)
    if (!key) return []
    const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {}
    if (entry.kty === 'RSA' && (modulusLength ?? 0) < 2048) return []
    return [
      {
        kid: entry.kid,
        key,
        fits: (algorithm) =>
          (entry.alg === undefined || entry.alg === algorithm) &&
          (entry.kty === 'RSA' ? /^[RP]S(256|384|512)$/.test(algorithm) : ecAlgorithms[namedCurve ?? ''] === algorithm),
      },
    ]
  })
  // Two keys with one id: there is no telling which of them is meant.
  return fit.filter(({ kid }) => kid === undefined || fit.filter((other) => other.kid === kid).length === 1)
}

const ecAlgorithms: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384' }

function importKey(entry: Record<string, unknown>): KeyObject | undefined {
  try {
    return createPublicKey({ key: entry, format: 'jwk' })
  } catch {
    return undefined
  }
}
