/**
 * What the broker knows of the identity provider: its metadata (OpenID Connect Discovery 1.0) and the keys that sign
 * its ID tokens. Both are fetched once and kept; a provider that is down later does not matter to those who have them.
 */
import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { Network } from '../http/network.ts'
import type { Clock } from '../async/deadline.ts'
import { withBackOff } from '../async/back-off.ts'
import { singleFlight } from '../async/single-flight.ts'
import { checkMetadata, metadataUrlOf } from './metadata.ts'
import type { ProviderIdentity, ProviderMetadata, ProviderWishes } from './metadata.ts'

export type { ProviderMetadata } from './metadata.ts'

export interface IdentityProvider {
  /**
   * @throws {BrokerError} `provider_unavailable`, `provider_metadata_untrusted`, `provider_unsuitable`, … while nothing
   *   is kept
   */
  metadata(): Promise<ProviderMetadata>
  /**
   * @param kid as the ID token names it; untrusted
   * @returns the keys that may have signed it: one by its id, or all of the algorithm's family where there is no id
   */
  keysFor(kid: string | undefined, algorithm: string): Promise<readonly KeyObject[]>
  /** As `keysFor`, where none of its keys would do: asks the provider again, unless it was asked for that just now. */
  keysAnew(kid: string | undefined, algorithm: string): Promise<readonly KeyObject[]>
}

const metadataFreshFor = 24 * 60 * 60 * 1000
const keysFreshFor = 24 * 60 * 60 * 1000
/**
 * A token that no known key fits costs a fetch at once, so that a rotation shows: once a name, and a few times in all,
 * in this time, so that a flood of made-up names is none of fetches.
 */
const anewPause = 30_000
const anewFetches = 3
const retryPause = 5_000

export type IdentityProviderOptions = ProviderIdentity & IdentityProviderParts

export interface IdentityProviderParts extends ProviderWishes {
  readonly network: Network
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

export function createIdentityProvider(options: IdentityProviderOptions): IdentityProvider {
  const { network, clock, onFault } = options
  let metadata: Kept<ProviderMetadata> | undefined
  let keys: Kept<readonly SigningKey[]> | undefined
  let missed: readonly { readonly name: string; readonly at: number }[] = []

  const isDue = (kept: Kept<unknown>, freshFor: number) =>
    clock() - kept.at > freshFor && clock() - kept.triedAt > retryPause

  // Anybody may begin a sign-in, so a provider that is down is asked now and then only.
  const fetchMetadata = singleFlight(
    withBackOff(async (): Promise<ProviderMetadata> => {
      const { status, json } = await network({ method: 'GET', url: metadataUrlOf(options) })
      if (status !== 200) throw new BrokerError('provider_answer_invalid', { detail: `metadata: status ${status}` })
      const value = checkMetadata(json, options, options)
      metadata = { value, at: clock(), triedAt: clock() }
      return value
    }, clock),
  )

  const getMetadata = async (): Promise<ProviderMetadata> => {
    if (!metadata) return fetchMetadata()
    if (isDue(metadata, metadataFreshFor)) {
      metadata.triedAt = clock()
      fetchMetadata().catch(onFault)
    }
    return metadata.value
  }

  const fetchKeys = singleFlight(
    withBackOff(async (): Promise<readonly SigningKey[]> => {
      const { jwksUri } = await getMetadata()
      const { status, json } = await network({ method: 'GET', url: jwksUri })
      if (status !== 200) throw new BrokerError('provider_answer_invalid', { detail: `keys: status ${status}` })
      const value = parseKeys(json)
      keys = { value, at: clock(), triedAt: clock() }
      return value
    }, clock),
  )

  const getKeys = async (): Promise<readonly SigningKey[]> => {
    if (!keys) return fetchKeys()
    if (isDue(keys, keysFreshFor)) {
      keys.triedAt = clock()
      fetchKeys().catch(onFault)
    }
    return keys.value
  }

  const fitting = (list: readonly SigningKey[], kid: string | undefined, algorithm: string) =>
    list.filter((key) => key.fits(algorithm) && (kid === undefined || key.kid === kid)).map(({ key }) => key)

  return {
    metadata: getMetadata,
    keysFor: async (kid, algorithm) => fitting(await getKeys(), kid, algorithm),
    keysAnew: async (kid, algorithm) => {
      const name = JSON.stringify([kid, algorithm])
      missed = missed.filter(({ at }) => Math.abs(clock() - at) < anewPause)
      if (missed.length >= anewFetches || missed.some((one) => one.name === name)) {
        return fitting(await getKeys(), kid, algorithm)
      }
      const found = fitting(await fetchKeys(), kid, algorithm)
      // Only an answer counts: after a fetch that failed nobody knows whether the keys have changed.
      missed = [...missed, { name, at: clock() }]
      return found
    },
  }
}

interface Kept<T> {
  readonly value: T
  readonly at: number
  triedAt: number
}

interface SigningKey {
  readonly kid: string | undefined
  readonly key: KeyObject
  fits(algorithm: string): boolean
}

/** Only fit public keys serve: for signing, of a family that is taken, strong enough, without a private part. */
function parseKeys(json: Readonly<Record<string, unknown>>): readonly SigningKey[] {
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
  // Two keys under one name: nobody can say which of them is meant.
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
