/**
 * Key Vault by its own SDK: certificates' public parts and versions, signing, wrapping. One client for each key that is
 * used, since each new one pays the vault's challenge again.
 */
import type { TokenCredential } from '@azure/identity'
import { CertificateClient } from '@azure/keyvault-certificates'
import { CryptographyClient, KeyClient } from '@azure/keyvault-keys'
import type { KeyClientOptions } from '@azure/keyvault-keys'
import { BrokerError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import type { KeyWrapper } from '../session/key-ring.ts'
import { withDeadline } from '../timing/deadline.ts'
import { BoundedMap } from '../timing/bounded-map.ts'
import type { RollVault } from './vault.ts'

export interface KeyVaultOptions {
  /** Checked by the settings: the cloud's vault suffix, or loopback. */
  readonly vaultUrl: string
  readonly certificateName: string
  readonly wrappingKeyName: string
  readonly credential: TokenCredential
  readonly deadlineMilliseconds?: number
}

export interface KeyVault extends RollVault, KeyWrapper {}

export function createKeyVault(options: KeyVaultOptions): KeyVault {
  const { vaultUrl, certificateName, wrappingKeyName, credential } = options
  const deadline = options.deadlineMilliseconds ?? 8_000
  const clientOptions = {
    retryOptions: { maxRetries: 1, retryDelayInMs: 100, maxRetryDelayInMs: 500 },
    redirectOptions: { maxRetries: 0 },
    additionalPolicies: [{ policy: plainAnswers, position: 'perRetry' as const }],
    // The challenge names the vault's public suffix, which an emulator on loopback can't have.
    disableChallengeResourceVerification: new URL(vaultUrl).hostname === 'localhost',
  }
  const keys = new KeyClient(vaultUrl, credential, clientOptions)
  const certificates = new CertificateClient(vaultUrl, credential, clientOptions)
  const cryptography = new BoundedMap<string, CryptographyClient>(16)

  const cryptographyFor = (name: string, keyVersion: string): CryptographyClient => {
    const id = `${name}/${keyVersion}`
    const known = cryptography.get(id)
    if (known) return known
    // Given a key without dates and parts, the client leaves every decision to the vault. Given only an id, it would read
    // the key first and judge its dates by our clock: for unwrapping too, which the vault allows after a key's end, and
    // for as long as the client lives, whatever an operator has mended since.
    const key = { id: `${vaultUrl}/keys/${id}`, name, properties: { vaultUrl, name, version: keyVersion } }
    const made = new CryptographyClient(key, credential, { ...clientOptions })
    cryptography.set(id, made)
    return made
  }

  const call = async <T>(missing: ErrorCode, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const abort = new AbortController()
    try {
      return await withDeadline(work(abort.signal), deadline, () => {
        abort.abort()
        return new BrokerError('vault_unavailable', { detail: 'deadline' })
      })
    } catch (error) {
      throw toBrokerError(error, missing)
    }
  }

  const sign = (algorithm: 'PS256' | 'RS256', version: string, digest: Uint8Array) =>
    call('certificate_missing', async (abortSignal) => {
      const { result } = await cryptographyFor(certificateName, version).sign(algorithm, digest, { abortSignal })
      return checkBytes(result, 256)
    })

  return {
    listVersions: () =>
      call('certificate_missing', async (abortSignal) => {
        const versions = []
        for await (const listed of certificates.listPropertiesOfCertificateVersions(certificateName, { abortSignal })) {
          versions.push({
            version: listed.version ?? '',
            enabled: listed.enabled === true,
            notBefore: listed.notBefore?.getTime(),
            expires: listed.expiresOn?.getTime(),
            created: listed.createdOn?.getTime() ?? 0,
          })
        }
        return versions
      }),

    readCertificate: (version) =>
      call('certificate_missing', async (abortSignal) => {
        const { cer } = await certificates.getCertificateVersion(certificateName, version, { abortSignal })
        if (!cer) throw new BrokerError('certificate_missing', { detail: `version ${version} has no certificate` })
        return cer
      }),

    sign: (version, digest) => sign('PS256', version, digest),

    signRs256: (version, digest) => sign('RS256', version, digest),

    wrap: (key) =>
      call('wrapping_key_missing', async (abortSignal) => {
        // The version first: a wrap by a name alone does not say which version wrapped.
        const { properties } = await keys.getKey(wrappingKeyName, { abortSignal })
        const version = properties.version
        if (!version) throw new BrokerError('wrapping_key_missing', { detail: 'the key has no version' })
        const { result } = await cryptographyFor(wrappingKeyName, version).wrapKey('RSA-OAEP-256', key, { abortSignal })
        return { wrapped: checkBytes(result, 256), version }
      }),

    unwrap: (wrapped, version) =>
      call('key_ring_unreadable', async (abortSignal) => {
        // The version comes from the store, so it may only be a version, never an address.
        if (!/^[0-9a-f]{32}$/i.test(version)) throw new BrokerError('key_ring_unreadable', { detail: 'no key version' })
        const { result } = await cryptographyFor(wrappingKeyName, version)
          .unwrapKey('RSA-OAEP-256', wrapped, { abortSignal })
          .catch((error: unknown) => {
            // These bytes were never wrapped by this key: it is the row that can't be read, not the vault.
            if ((error as { statusCode?: number }).statusCode !== 400) throw error
            throw new BrokerError('key_ring_unreadable', { cause: error, detail: 'vault answered 400' })
          })
        return checkBytes(result, 32)
      }),
  }
}

type PipelinePolicy = NonNullable<KeyClientOptions['additionalPolicies']>[number]['policy']

/**
 * Runs inside the SDK's retries, which would sleep for as long as Retry-After says, past our deadline; and its parsers
 * take a page of HTML for an empty answer, so that a proxy's page would read as a vault without certificates.
 */
const plainAnswers: PipelinePolicy = {
  name: 'plainAnswers',
  sendRequest: async (request, next) => {
    const response = await next(request)
    const { status, headers } = response
    if (status === 429) throw passing('vault_throttled', status, headers.get('retry-after'))
    if (status === 503 && headers.has('retry-after')) {
      throw passing('vault_unavailable', status, headers.get('retry-after'))
    }
    if (status < 400 && !/^application\/json\b/i.test(headers.get('content-type') ?? '')) {
      throw new BrokerError('vault_unavailable', { detail: `vault answered ${status} without JSON` })
    }
    return response
  },
}

function passing(code: ErrorCode, status: number, retryAfter: string | undefined): BrokerError {
  const seconds = Number(retryAfter)
  return new BrokerError(code, {
    detail: `vault answered ${status}`,
    ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfterSeconds: Math.min(seconds, 120) } : {}),
  })
}

/** The SDK takes an answer without a result for a success. */
function checkBytes(result: Uint8Array | undefined, atLeast: number): Uint8Array {
  if (result && result.length >= atLeast) return result
  throw new BrokerError('vault_unavailable', { detail: 'the vault’s answer has no result' })
}

function toBrokerError(error: unknown, missing: ErrorCode): BrokerError {
  if (error instanceof BrokerError) return error
  const { statusCode, code } = (error ?? {}) as { statusCode?: number; code?: string }
  const options = { cause: error, detail: `vault answered ${String(statusCode ?? code)}` }
  switch (statusCode) {
    case 401:
    case 403:
      return new BrokerError('vault_forbidden', options)
    case 404:
      return new BrokerError(missing, options)
    default:
      return new BrokerError('vault_unavailable', options)
  }
}
