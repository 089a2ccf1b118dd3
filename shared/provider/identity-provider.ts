/**
 * One entry of the registry: a profile with its metadata (OpenID Connect Discovery 1.0) and its signing keys. Both are
 * fetched once and kept, so that a provider that is down later does not affect an instance that has them.
 */
import { asBrokerError, BrokerError } from '../errors/errors.ts'
import type { Network } from '../http/network.ts'
import { withDeadline } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { createKeptKeys, keep } from './kept-keys.ts'
import { parseKeys } from './keys.ts'
import type { SigningKey } from './keys.ts'
import { checkResponseType } from './metadata.ts'
import type { ProviderNames } from '../settings/settings.ts'
import type { IdentityProvider, Json, ProviderMetadata, ProviderProfile } from './provider.ts'

export interface IdentityProviderOptions extends Pick<
  IdentityProvider,
  'clientId' | 'redirectUri' | 'postLogoutRedirectUri' | 'responseMode' | 'responseType' | 'tokenEndpoint'
> {
  readonly names: ProviderNames
  readonly profile: ProviderProfile
  readonly network: Network
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

/** A person waits for it, and a sign-in succeeds without it. */
const userinfoDeadline = 2_000
const userinfoPause = 60_000

export function createIdentityProvider(options: IdentityProviderOptions): IdentityProvider {
  const { profile, clock, onFault } = options
  const { id, displayName, domains, claims, scopes } = options.names

  /** The log names the provider that fails. */
  const named = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      throw asBrokerError(error).with({ provider: id })
    }
  }

  const fetchJson = async (url: string, subject: string, headers = {}): Promise<Json> => {
    const { status, json } = await options.network({ method: 'GET', url, headers }).catch((error: unknown) => {
      const { detail } = asBrokerError(error)
      throw asBrokerError(error).with({ detail: [subject, detail].filter(Boolean).join(': ') })
    })
    if (status !== 200) throw new BrokerError('provider_answer_invalid', { detail: `${subject}: status ${status}` })
    return json
  }
  const fetchMetadata = async (): Promise<ProviderMetadata> => {
    const json = await fetchJson(profile.metadataUrl, 'metadata')
    const checked = profile.checkMetadata(json)
    checkResponseType(json, options.responseType)
    return checked
  }
  const metadata = keep({ fetch: () => named(fetchMetadata()), clock, onFault })
  const fetchKeys = async (): Promise<readonly SigningKey[]> => {
    const { jwksUri } = await metadata.get()
    return parseKeys(await fetchJson(jwksUri, 'keys'), (entry) => profile.acceptsKey(entry))
  }
  const keys = createKeptKeys({ fetch: () => named(fetchKeys()), clock, onFault })
  /** The check of `iss`, after the signature, refuses a foreign issuer; it must not look like a missing key. */
  const ownIssuer = (issuer: string | undefined) =>
    issuer !== undefined && profile.keysNameIssuers && profile.isTokenIssuer(issuer) ? issuer : undefined
  let userinfoFailedAt = -Infinity

  return {
    id,
    displayName,
    domains,
    claims,
    scopes,
    profile,
    issuer: profile.issuer,
    clientId: options.clientId,
    redirectUri: options.redirectUri,
    postLogoutRedirectUri: options.postLogoutRedirectUri,
    responseMode: options.responseMode,
    responseType: options.responseType,
    tokenEndpoint: options.tokenEndpoint,
    metadata: metadata.get,
    keysFor: (kid, algorithm, issuer) => keys.keysFor(kid, algorithm, ownIssuer(issuer)),
    refetchKeys: (kid, algorithm, origin, issuer) => keys.refetchKeys(kid, algorithm, origin, ownIssuer(issuer)),
    userInfo: async (accessToken) => {
      const { userinfoEndpoint: url } = await metadata.get()
      const isPaused = Math.abs(clock() - userinfoFailedAt) < userinfoPause
      // RFC 6749, appendix A.12, without the space, which would end the token in a header. RFC 6750 §2.1 has fewer
      // characters; Salesforce uses `!` too.
      if (url === undefined || isPaused || !/^[\x21-\x7e]+$/.test(accessToken)) return undefined
      try {
        const request = fetchJson(url, 'userinfo', { authorization: `Bearer ${accessToken}` })
        return await named(withDeadline(request, userinfoDeadline, lateUserinfo))
      } catch (error) {
        // An answer may refuse this access token alone; an endpoint that gives none would make each sign-in wait.
        if (asBrokerError(error).code !== 'provider_answer_invalid') userinfoFailedAt = clock()
        throw error
      }
    },
    assertionForm: async () => {
      const { algorithm = (await metadata.get()).assertionAlgorithm, ...form } = profile.assertion
      const { keyId, type, certificateHeader, lifetimeSeconds } = form
      return { algorithm, keyId, type, certificateHeader, lifetimeSeconds }
    },
  }
}

function lateUserinfo(): BrokerError {
  return new BrokerError('provider_unavailable', { detail: 'userinfo: no answer in time' })
}
