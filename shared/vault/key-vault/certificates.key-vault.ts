/**
 * Certificates' public parts and versions by Key Vault's own SDK. A chunk of its own: the store has the version that
 * signs, so a request seldom needs this module.
 */
import type { TokenCredential } from '@azure/core-auth'
import { CertificateClient } from '@azure/keyvault-certificates'
import type { CertificateClientOptions } from '@azure/keyvault-certificates'
import { BrokerError } from '../../errors/errors.ts'
import { directPolicy } from '../../outbound/proxy.ts'
import type { ProxyPolicy } from '../../outbound/proxy.ts'
import { sdkNetworkOptions } from '../../outbound/sdk-network.azure-core.ts'
import { withDeadline } from '../../async/deadline.ts'
import type { Clock } from '../../async/deadline.ts'
import type { CertificateVault } from '../vault.ts'
import { innerCodeOf, passing, refusal } from './vault-refusals.ts'

interface KeyVaultCertificatesOptions {
  /** Checked by the settings: the cloud's vault suffix, or loopback. */
  readonly vaultUrl: string
  readonly certificateName: string
  readonly credential: TokenCredential
  readonly deadlineMilliseconds: number
  /** For a `Retry-After` that is a date. */
  readonly clock?: Clock
  /** Which requests go through a proxy; none where it is left out. */
  readonly proxies?: ProxyPolicy
}

export function createKeyVaultCertificates(
  options: KeyVaultCertificatesOptions,
): Pick<CertificateVault, 'listVersions' | 'readCertificate'> {
  const { vaultUrl, certificateName, credential, deadlineMilliseconds } = options
  const { clock = Date.now, proxies = directPolicy } = options
  const certificates = new CertificateClient(vaultUrl, credential, {
    ...sdkNetworkOptions(proxies),
    retryOptions: { maxRetries: 1, retryDelayInMs: 100, maxRetryDelayInMs: 500 },
    redirectOptions: { maxRetries: 0 },
    additionalPolicies: [{ policy: plainAnswers(clock), position: 'perRetry' as const }],
    // The challenge names the vault's public suffix, which an emulator on loopback can't have.
    disableChallengeResourceVerification: new URL(vaultUrl).hostname === 'localhost',
  })

  const call = async <T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    const abort = new AbortController()
    try {
      return await withDeadline(work(abort.signal), deadlineMilliseconds, () => {
        abort.abort()
        return new BrokerError('vault_unavailable', { detail: 'deadline' })
      })
    } catch (error) {
      if (error instanceof BrokerError) throw error
      const { statusCode, code } = (error ?? {}) as { statusCode?: number; code?: string }
      if (code === 'proxy_unavailable') throw new BrokerError(code, { cause: error, detail: 'on the way to the vault' })
      throw refusal(statusCode ?? code ?? 'nothing', 'certificate_missing', error)
    }
  }

  return {
    listVersions: () =>
      call(async (abortSignal) => {
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
      call(async (abortSignal) => {
        const { cer } = await certificates.getCertificateVersion(certificateName, version, { abortSignal })
        if (!cer) throw new BrokerError('certificate_missing', { detail: `version ${version} has no certificate` })
        return cer
      }),
  }
}

type PipelinePolicy = NonNullable<CertificateClientOptions['additionalPolicies']>[number]['policy']

/**
 * Runs inside the SDK's retries, which would sleep for the whole Retry-After, past the deadline; and its parsers
 * read a page of HTML as an empty answer, so that a proxy's page would read as a vault without certificates.
 */
const plainAnswers = (clock: Clock): PipelinePolicy => ({
  name: 'plainAnswers',
  sendRequest: async (request, next) => {
    const response = await next(request)
    const { status, headers } = response
    const passes = passing(status, headers.get('retry-after'), clock())
    if (passes) throw passes
    // The SDK drops the inner code of a list's refusal. A 401 is left to its challenge policy.
    if (status > 401 && status < 500) {
      throw refusal(status, 'certificate_missing', undefined, innerCodeOf(errorOf(response.bodyAsText)))
    }
    if (status < 400 && !/^application\/json\b/i.test(headers.get('content-type') ?? '')) {
      throw new BrokerError('vault_unavailable', { detail: `vault answered ${status} without JSON` })
    }
    return response
  },
})

function errorOf(body: string | null | undefined): unknown {
  try {
    return (JSON.parse(body ?? '') as { error?: unknown } | null)?.error
  } catch {
    return undefined
  }
}
