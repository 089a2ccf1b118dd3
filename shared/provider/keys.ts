/** The keys that sign a provider's tokens: read from a key set, chosen by a token's header. RFC 7517, RFC 8725 §3. */
import { createPublicKey, X509Certificate } from 'node:crypto'
import type { JsonWebKey, KeyObject } from 'node:crypto'
import { isAbsent, isObject } from '../json/json.ts'
import { BrokerError } from '../errors/errors.ts'
import { algorithmsOf, isForAlgorithm } from './algorithms.ts'
import type { Json } from './provider.ts'

export interface SigningKey {
  readonly kid: string | undefined
  /** RFC 7517 §4.4: optional; names the one algorithm that the key is for. */
  readonly alg: string | undefined
  /** The issuer whose tokens the key signs, where the key set names one (Entra ID); may contain `{tenantid}`. */
  readonly issuer?: string | undefined
  readonly key: KeyObject
}

/**
 * @param kid of the token's header; undefined where there is none, and then every key that fits the algorithm counts
 * @param issuer `iss` of the token; untrusted. Left out: every key counts. A key set for many tenants has keys that are
 *   for one of them alone, or for personal accounts
 * @returns the keys that may have signed a token with this header. RFC 7517 §4.5: an id is OPTIONAL, and only SHOULD be
 *   of one key alone, so there may be several
 */
export function keysThatFit(
  keys: readonly SigningKey[],
  kid: string | undefined,
  algorithm: string,
  issuer?: string,
): readonly KeyObject[] {
  const named = keys.filter((entry) => kid === undefined || entry.kid === kid)
  const candidates = named.length > 0 ? named : keys.filter((entry) => entry.kid === undefined)
  const fit = candidates.filter(
    (entry) =>
      (entry.alg === undefined || isForAlgorithm(entry.alg, algorithm)) &&
      (entry.issuer === undefined || issuer === undefined || isIssuerOf(entry.issuer, issuer)) &&
      algorithmsOf(entry.key).includes(algorithm),
  )
  return fit.map(({ key }) => key)
}

/** @param template of a key; `{tenantid}` in it means any tenant */
function isIssuerOf(template: string, issuer: string): boolean {
  const [before, after, ...more] = template.split('{tenantid}')
  if (before === undefined || after === undefined || more.length > 0) return template === issuer
  const tenantId = issuer.slice(before.length, issuer.length - after.length)
  return issuer === `${before}${tenantId}${after}` && /^[0-9a-f-]{36}$/.test(tenantId)
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
  return json.keys.flatMap((entry: unknown) => (isObject(entry) && accepts(entry) ? (parseKey(entry) ?? []) : []))
}

function parseKey(entry: Json): SigningKey | undefined {
  const { kty, kid, alg, use, key_ops: operations } = entry
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return undefined
  if (!isAbsent(use) && use !== 'sig') return undefined
  // A private or symmetric part means that others may sign with it too.
  if (!isAbsent(entry.d) || !isAbsent(entry.k)) return undefined
  if (Array.isArray(operations) && operations.length > 0 && !operations.includes('verify')) return undefined
  if (!isOptionalText(kid) || !isOptionalText(alg)) return undefined
  const key = importKey(entry)
  if (!key || algorithmsOf(key).length === 0) return undefined
  const { issuer } = entry
  return { kid: kid || undefined, alg: alg || undefined, issuer: typeof issuer === 'string' ? issuer : undefined, key }
}

function isOptionalText(value: unknown): value is string | null | undefined {
  return isAbsent(value) || typeof value === 'string'
}

/**
 * The key of the public members, or of the first certificate where the entry has none: some servers publish `x5c`
 * alone. RFC 7517 §4.7: a certificate of another key is refused. The certificate is only a container for the key: the
 * key set came by TLS from the address that the metadata names, so its issuer and its dates decide nothing.
 */
function importKey(entry: Json): KeyObject | undefined {
  const { kty, n, e, crv, x, y } = entry
  const certified = certifiedKey(entry.x5c)
  try {
    if ([n, e, x, y].every(isAbsent)) return certified && isOfType(certified, entry) ? certified : undefined
    // By the public members alone: Node refuses a private one that is null.
    const key = createPublicKey({ key: { kty, n, e, crv, x, y } as JsonWebKey, format: 'jwk' })
    return certified && !key.equals(certified) ? undefined : key
  } catch {
    return undefined
  }
}

/** @returns undefined where there is no readable certificate: beside the public members it is not needed */
function certifiedKey(x5c: unknown): KeyObject | undefined {
  const [first] = Array.isArray(x5c) ? (x5c as readonly unknown[]) : []
  if (typeof first !== 'string') return undefined
  try {
    return new X509Certificate(Buffer.from(first, 'base64')).publicKey
  } catch {
    return undefined
  }
}

function isOfType(key: KeyObject, { kty, crv }: Json): boolean {
  const jwk = key.export({ format: 'jwk' })
  return jwk.kty === kty && (isAbsent(crv) || jwk.crv === crv)
}
