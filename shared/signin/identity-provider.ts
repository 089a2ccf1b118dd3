/**
 * What the broker knows of the identity provider: its metadata (OpenID Connect Discovery 1.0) and the keys that sign
 * its ID tokens. Both are fetched once and kept; a provider that is down later does not matter to those who have them.
 */
import { createPublicKey } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { BrokerError } from '../errors.ts'
import type { Network } from '../http/network.ts'
import type { Clock } from '../timing/deadline.ts'
import { singleFlight } from '../timing/single-flight.ts'

export interface ProviderMetadata {
  readonly issuer: string
  readonly authorizationEndpoint: string
  readonly tokenEndpoint: string
  readonly endSessionEndpoint: string | undefined
  /** RFC 9207 §3: the provider puts `iss` into every answer, so a missing one is an attack. */
  readonly issuerInAnswers: boolean
  /** The document itself, which MSAL wants to have. */
  readonly document: string
}

/** What the settings say of the provider; metadata may not contradict it. */
export interface ProviderIdentity {
  /** Entra's cloud, with a slash at its end. */
  readonly instance: string
  readonly tenantId: string
}

export interface IdentityProvider {
  /** @throws {BrokerError} `provider_unavailable`, `provider_metadata_untrusted`, … while nothing is kept */
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
/** A token that no known key fits costs a fetch at once, so that a rotation shows; but no more often than this. */
const anewPause = 30_000
const retryPause = 5_000

export function authorityOf({ instance, tenantId }: ProviderIdentity): string {
  return `${instance}${tenantId}/v2.0`
}

export function tokenEndpointOf({ instance, tenantId }: ProviderIdentity): string {
  return `${instance}${tenantId}/oauth2/v2.0/token`
}

export interface IdentityProviderOptions extends ProviderIdentity {
  readonly network: Network
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

export function createIdentityProvider(options: IdentityProviderOptions): IdentityProvider {
  const { network, clock, onFault } = options
  const authority = authorityOf(options)
  let metadata: Kept<ProviderMetadata> | undefined
  let jwksUri: string | undefined
  let keys: Kept<readonly SigningKey[]> | undefined
  let keysMissedAt = -Infinity

  const fetchMetadata = singleFlight(async (): Promise<ProviderMetadata> => {
    const { status, json } = await network({ method: 'GET', url: `${authority}/.well-known/openid-configuration` })
    if (status !== 200) throw new BrokerError('provider_answer_invalid', { detail: `metadata: status ${status}` })
    const checked = checkMetadata(json, options)
    jwksUri = checked.jwksUri
    metadata = { value: checked.metadata, at: clock(), triedAt: clock() }
    return checked.metadata
  })

  const getMetadata = async (): Promise<ProviderMetadata> => {
    if (!metadata) return fetchMetadata()
    if (isDue(metadata, metadataFreshFor)) {
      metadata.triedAt = clock()
      fetchMetadata().catch(onFault)
    }
    return metadata.value
  }

  const fetchKeys = singleFlight(async (): Promise<readonly SigningKey[]> => {
    await getMetadata()
    const { status, json } = await network({ method: 'GET', url: jwksUri ?? '' })
    if (status !== 200) throw new BrokerError('provider_answer_invalid', { detail: `keys: status ${status}` })
    const value = parseKeys(json)
    keys = { value, at: clock(), triedAt: clock() }
    return value
  })

  const isDue = (kept: Kept<unknown>, freshFor: number) =>
    clock() - kept.at > freshFor && clock() - kept.triedAt > retryPause

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
      if (Math.abs(clock() - keysMissedAt) < anewPause) return fitting(await getKeys(), kid, algorithm)
      const found = await fetchKeys()
      // Only an answer counts: after a fetch that failed nobody knows whether the keys have changed.
      keysMissedAt = clock()
      return fitting(found, kid, algorithm)
    },
  }
}

interface Kept<T> {
  readonly value: T
  readonly at: number
  triedAt: number
}

function checkMetadata(
  json: Readonly<Record<string, unknown>>,
  identity: ProviderIdentity,
): { metadata: ProviderMetadata; jwksUri: string } {
  const untrusted = (detail: string) => new BrokerError('provider_metadata_untrusted', { detail })
  const endpoint = (name: string): string => {
    const value = json[name]
    if (typeof value !== 'string' || !isEndpoint(value, identity))
      throw untrusted(`${name} is not an address of ${identity.instance}`)
    return value
  }

  if (json.issuer !== authorityOf(identity)) throw untrusted(`issuer is not ${authorityOf(identity)}`)
  // The assertion's audience and the code's destination come from the settings; metadata may only agree.
  if (json.token_endpoint !== tokenEndpointOf(identity))
    throw untrusted(`token_endpoint is not ${tokenEndpointOf(identity)}`)

  return {
    jwksUri: endpoint('jwks_uri'),
    metadata: {
      issuer: authorityOf(identity),
      authorizationEndpoint: endpoint('authorization_endpoint'),
      tokenEndpoint: tokenEndpointOf(identity),
      endSessionEndpoint: json.end_session_endpoint === undefined ? undefined : endpoint('end_session_endpoint'),
      issuerInAnswers: json.authorization_response_iss_parameter_supported === true,
      document: JSON.stringify(json),
    },
  }
}

/** On the provider's own host; or, for the provider on a laptop, anywhere on loopback. */
function isEndpoint(value: string, { instance }: ProviderIdentity): boolean {
  if (!URL.canParse(value)) return false
  const url = new URL(value)
  const home = new URL(instance)
  if (isLoopback(home)) return isLoopback(url)
  return url.origin === home.origin && url.username === '' && url.password === ''
}

function isLoopback({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'
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
