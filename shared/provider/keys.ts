/** The keys that sign a provider's tokens: read from a key set, chosen by a token's header. RFC 7517, RFC 8725 §3. */
import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import { algorithmsOf } from './algorithms.ts'
import type { Json } from './provider.ts'

export interface SigningKey {
  readonly kid: string | undefined
  /** RFC 7517 §4.4: optional; names the one algorithm that the key is for. */
  readonly alg: string | undefined
  readonly key: KeyObject
}

/**
 * @param kid of the token's header; undefined where there is none, and then every key that fits the algorithm counts
 * @returns the keys that may have signed a token with this header. One id may name keys of several types or algorithms
 *   (RFC 7517 §4.5), so a key that names the algorithm comes before one that names none
 */
export function keysThatFit(
  keys: readonly SigningKey[],
  kid: string | undefined,
  algorithm: string,
): readonly KeyObject[] {
  const fit = keys.filter(
    (entry) =>
      (kid === undefined || entry.kid === kid) &&
      (entry.alg === undefined || entry.alg === algorithm) &&
      algorithmsOf(entry.key).includes(algorithm),
  )
  const exact = fit.filter(({ alg }) => alg !== undefined)
  return (kid !== undefined && exact.length > 0 ? exact : fit).map(({ key }) => key)
}

/**
 * Keeps the public signing keys of a supported type that are strong enough. An optional member that is empty counts as
 * absent.
 *
 * @param json the key set; untrusted
 * @param accepts the provider's own rule about an entry
 * @throws {BrokerError} `provider_answer_invalid` where it is no key set
 */
export function parseKeys(json: Json, accepts: (entry: Json) => boolean = () => true): readonly SigningKey[] {
  if (!Array.isArray(json.keys)) throw new BrokerError('provider_answer_invalid', { detail: 'keys: no list' })
  const keys = json.keys.flatMap((entry: unknown): readonly SigningKey[] => {
    if (typeof entry !== 'object' || entry === null || Array.isArray(entry) || !accepts(entry as Json)) return []
    const key = parseKey(entry as Json)
    return key ? [key] : []
  })
  const byName = Map.groupBy(keys, ({ kid, alg, key }) => JSON.stringify([kid, alg, algorithmsOf(key)]))
  return [...byName.values()].flatMap(([first, ...others]) => {
    if (!first) return []
    const isOne = others.every(({ key }) => key.equals(first.key))
    if (first.kid === undefined) return [first, ...others]
    // One entry twice is one key. Two keys under one name and of one type: there is no telling which one is meant.
    return isOne ? [first] : []
  })
}

function parseKey(entry: Json): SigningKey | undefined {
  const { kty, kid, alg, use, key_ops: operations } = entry
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined
  if (!isAbsent(use) && use !== 'sig') return undefined
  // A private or symmetric part means that others may sign with it too.
  if ('d' in entry || 'k' in entry) return undefined
  if (Array.isArray(operations) && operations.length > 0 && !operations.includes('verify')) return undefined
  if (!isOptionalText(kid) || !isOptionalText(alg)) return undefined
  const key = importKey(entry)
  if (!key || algorithmsOf(key).length === 0) return undefined
  return { kid: kid || undefined, alg: alg || undefined, key }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null || value === ''
}

function isOptionalText(value: unknown): value is string | null | undefined {
  return isAbsent(value) || typeof value === 'string'
}

function importKey(entry: Json): KeyObject | undefined {
  try {
    return createPublicKey({ key: entry, format: 'jwk' })
  } catch {
    return undefined
  }
}
