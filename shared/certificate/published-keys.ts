/** The keys that /.well-known/jwks.json publishes: before they sign, while they do, and for the overlap after that. */
import { hash, X509Certificate } from 'node:crypto'
import { defined } from '../json/json.ts'
import type { CertificateVault } from '../vault/vault.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import type { RollTiming } from './roll-timing.ts'
import { sha1NamesOf } from './certificate-facts.ts'
import { byAge, chooseRecorded } from './certificate-state.ts'
import type { CertificateRecord } from './certificate-state.ts'

/** A public key with its certificate. RFC 7517 §4, RFC 7518 §6.3.1. */
type PublishedKey = Readonly<Record<string, unknown>>

export interface PublishedKeys {
  readonly keys: readonly PublishedKey[]
  readonly cacheSeconds: number
}

interface PublishedKeysOptions {
  readonly vault: Pick<CertificateVault, 'readCertificate'>
  /** One for each provider at which the certificate is registered. */
  readonly records: () => Promise<readonly CertificateRecord[]>
  /** The keys' algorithm; undefined where the provider's metadata decides it, and may change it. */
  readonly algorithm: 'PS256' | 'RS256' | undefined
  /**
   * The names of a key in the headers of assertions; the default is `x5t#S256`. With both, each key is published under
   * both ids: one provider may find it by one of them, and another by the other.
   */
  readonly certificateHeaders?: ReadonlySet<'x5t' | 'x5t#S256'>
  readonly timing: RollTiming
  readonly clock: Clock
}

/** The route is public: after a failure of vault or store, requests do not cause further calls for this long. */
const pauseAfterFailure = 5_000

export function createPublishedKeys({
  vault,
  records,
  algorithm,
  certificateHeaders = new Set(['x5t#S256']),
  timing,
  clock,
}: PublishedKeysOptions): () => Promise<PublishedKeys> {
  const made = new BoundedMap<string, readonly PublishedKey[]>(32)
  let failed: { readonly error: unknown; readonly at: number } | undefined

  /** A version's certificate never changes, so an instance reads each once, however many requests come. */
  const keysOf = async (version: string): Promise<readonly PublishedKey[]> => {
    const known = made.get(version)
    if (known) return known
    const certificate = await vault.readCertificate(version)
    const keys = [...certificateHeaders].map((header) => toKey(certificate, algorithm, header))
    made.set(version, keys)
    return keys
  }

  const publish = singleFlight(async (): Promise<PublishedKeys> => {
    try {
      const versions = publishedVersions(await records(), clock(), timing)
      return {
        keys: (await Promise.all(versions.map(keysOf))).flat(),
        cacheSeconds: Math.max(1, Math.floor(timing.publishedCache / 1000)),
      }
    } catch (error) {
      failed = { error, at: clock() }
      throw error
    }
  })

  return async () => {
    if (failed && Math.abs(clock() - failed.at) < pauseAfterFailure) throw failed.error
    return publish()
  }
}

/** Newest first: every version that signs, will sign or has just signed for a provider. Pure. */
function publishedVersions(records: readonly CertificateRecord[], now: number, timing: RollTiming): readonly string[] {
  const published = records.flatMap((known) => {
    const signing = chooseRecorded(known, now)
    return known.versions
      .filter(({ enabled, expires }) => enabled && now < expires)
      .filter((version) => {
        const isReplaced = signing !== undefined && byAge(signing, version) < 0
        return !isReplaced || now < signing.since + timing.overlap
      })
  })
  return [...new Set(published.sort(byAge).map(({ version }) => version))]
}

function toKey(
  certificate: Uint8Array,
  algorithm: string | undefined,
  certificateHeader: 'x5t' | 'x5t#S256',
): PublishedKey {
  const { n, e, kty } = new X509Certificate(certificate).publicKey.export({ format: 'jwk' })
  const thumbprint = hash('sha256', certificate, 'base64url')
  return {
    kty,
    use: 'sig',
    ...defined({ alg: algorithm }),
    kid: thumbprint,
    ...(certificateHeader === 'x5t' ? sha1NamesOf(certificate) : {}),
    n,
    e,
    'x5t#S256': thumbprint,
    x5c: [Buffer.from(certificate).toString('base64')],
  }
}
