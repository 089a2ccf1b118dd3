/**
 * One entry of the registry: a profile with its metadata (OpenID Connect Discovery 1.0) and its signing keys. Both are
 * fetched once and kept, so that a provider that is down later does not affect an instance that has them.
 */
import { BrokerError } from '../errors/errors.ts'
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

  const fetchJson = async (url: string, subject: string): Promise<Json> => {
    const { status, json } = await options.network({ method: 'GET', url })
    if (status !== 200) throw new BrokerError('provider_answer_invalid', { detail: `${subject}: status ${status}` })
    return json
  }
  const metadata = keep({
    fetch: async (): Promise<ProviderMetadata> => {
      const json = await fetchJson(profile.metadataUrl, 'metadata')
      const checked = profile.checkMetadata(json)
      checkResponseType(json, options.responseType)
      return checked
    },
    clock,
    onFault,
  })
  const fetchKeys = async (url: string): Promise<readonly SigningKey[]> =>
    parseKeys(await fetchJson(url, 'keys'), (entry) => profile.acceptsKey(entry))
  const keys = createKeptKeys({ fetch: async () => fetchKeys((await metadata.get()).jwksUri), clock, onFault })
  /** A foreign issuer is refused by its own check, after the signature; it must not look like a key that is missing. */
  const ownIssuer = (issuer: string | undefined) =>
    issuer !== undefined && profile.isTokenIssuer(issuer) ? issuer : undefined
  let userinfoRefusedAt = -Infinity

  const { id, displayName, domains, claims, scopes } = options.names
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
      const { algorithm = (await metadata.get()).assertionAlgorithm, ...form } = profile.assertion
      const { keyId, certificateHeader, lifetimeSeconds } = form
      return { algorithm, keyId, certificateHeader, lifetimeSeconds }
    },
  }
}

function refused(reason: string): BrokerError {
  return new BrokerError('provider_answer_invalid', { detail: `userinfo: ${reason}` })
}
