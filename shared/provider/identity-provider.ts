/**
 * One entry of the registry: a profile with its metadata (OpenID Connect Discovery 1.0) and its signing keys. Both are
 * fetched once and kept, so that a provider that is down later does not affect an instance that has them.
 */
import { BrokerError } from '../errors/errors.ts'
import type { Network } from '../http/network.ts'
import { withDeadline } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { withBackOff } from '../async/back-off.ts'
import { singleFlight } from '../async/single-flight.ts'
import { keysThatFit, parseKeys } from './keys.ts'
import type { SigningKey } from './keys.ts'
import type { IdentityProvider, Json, ProviderMetadata, ProviderProfile, TokenOrigin } from './provider.ts'

export interface IdentityProviderOptions extends Pick<
  IdentityProvider,
  'clientId' | 'redirectUri' | 'postLogoutRedirectUri' | 'responseMode' | 'tokenEndpoint'
> {
  readonly profile: ProviderProfile
  readonly network: Network
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

const freshMilliseconds = 24 * 60 * 60 * 1000
const retryPause = 5_000
/**
 * A token that no kept key fits causes a fetch at once, so that a key rotation takes effect. In this time there is one
 * fetch a key id and a few in all of each origin, so that a flood of made-up ids is no flood of fetches, and hides no rotation from sign-ins.
 */
const refetchPause = 30_000
const refetchBudget = 3
/** A person waits for it, and a sign-in succeeds without it. */
const userinfoDeadline = 2_000
const userinfoPause = 60_000

export function createIdentityProvider(options: IdentityProviderOptions): IdentityProvider {
  const { profile, clock, onFault } = options

  const fetchJson = async (url: string, subject: string): Promise<Json> => {
    const { status, json } = await options.network({ method: 'GET', url })
    if (status !== 200) throw new BrokerError('provider_answer_invalid', { detail: `${subject}: status ${status}` })
    return json
  }
  const metadata = keep({
    fetch: async (): Promise<ProviderMetadata> =>
      profile.checkMetadata(await fetchJson(profile.metadataUrl, 'metadata')),
    clock,
    onFault,
  })
  const fetchKeys = async (url: string): Promise<readonly SigningKey[]> =>
    parseKeys(await fetchJson(url, 'keys'), (entry) => profile.acceptsKey(entry))
  const keys = keep({ fetch: async () => fetchKeys((await metadata.get()).jwksUri), clock, onFault })
  let userinfoRefusedAt = -Infinity
  let missed: readonly { readonly name: string; readonly origin: TokenOrigin; readonly at: number }[] = []

  return {
    profile,
    issuer: profile.issuer,
    clientId: options.clientId,
    redirectUri: options.redirectUri,
    postLogoutRedirectUri: options.postLogoutRedirectUri,
    responseMode: options.responseMode,
    tokenEndpoint: options.tokenEndpoint,
    metadata: metadata.get,
    keysFor: async (kid, algorithm) => keysThatFit(await keys.get(), kid, algorithm),
    refetchKeys: async (kid, algorithm, origin) => {
      const name = JSON.stringify([kid, algorithm])
      missed = missed.filter(({ at }) => Math.abs(clock() - at) < refetchPause)
      const ofOrigin = missed.filter((one) => one.origin === origin)
      if (ofOrigin.length >= refetchBudget || ofOrigin.some((one) => one.name === name)) {
        return keysThatFit(await keys.get(), kid, algorithm)
      }
      const found = keysThatFit(await keys.refetch(), kid, algorithm)
      // Only a fetch that succeeded counts: after one that failed, the keys may still have changed.
      missed = [...missed, { name, origin, at: clock() }]
      return found
    },
    userInfo: async (accessToken) => {
      const { userinfoEndpoint: url } = await metadata.get()
      const isPaused = Math.abs(clock() - userinfoRefusedAt) < userinfoPause
      // RFC 6750 §2.1: the only characters of a bearer token, and of a header.
      if (url === undefined || isPaused || !/^[\w.~+/-]+=*$/.test(accessToken)) return undefined
      try {
        const headers = { authorization: `Bearer ${accessToken}` }
        const request = options.network({ method: 'GET', url, headers })
        const { status, json } = await withDeadline(request, userinfoDeadline, () => refused('no answer in time'))
        if (status !== 200) throw refused(`status ${status}`)
        return json
      } catch (error) {
        userinfoRefusedAt = clock()
        throw error
      }
    },
    assertionForm: async () => {
      const { algorithm, keyId, lifetimeSeconds } = profile.assertion
      return { algorithm: algorithm ?? (await metadata.get()).assertionAlgorithm, keyId, lifetimeSeconds }
    },
  }
}

interface Kept<T> {
  readonly value: T
  readonly at: number
  triedAt: number
}

/** Fetches a value when it is first needed, and renews it once a day without making a request wait. */
function keep<T>({
  fetch,
  clock,
  onFault,
}: {
  fetch: () => Promise<T>
  clock: Clock
  onFault: (error: unknown) => void
}): { readonly get: () => Promise<T>; readonly refetch: () => Promise<T> } {
  let kept: Kept<T> | undefined
  // An unauthenticated request can cause a fetch, so a provider that is down is called at intervals only.
  const refetch = singleFlight(
    withBackOff(async () => {
      const value = await fetch()
      kept = { value, at: clock(), triedAt: clock() }
      return value
    }, clock),
  )
  return {
    refetch,
    get: async () => {
      if (!kept) return refetch()
      if (clock() - kept.at > freshMilliseconds && clock() - kept.triedAt > retryPause) {
        kept.triedAt = clock()
        refetch().catch(onFault)
      }
      return kept.value
    },
  }
}

function refused(reason: string): BrokerError {
  return new BrokerError('provider_answer_invalid', { detail: `userinfo: ${reason}` })
}
