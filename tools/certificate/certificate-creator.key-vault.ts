/** Creating a certificate by Key Vault's own SDK. */
import type { TokenCredential } from '@azure/identity'
import { CertificateClient } from '@azure/keyvault-certificates'
import type { CertificatePolicy as SdkPolicy } from '@azure/keyvault-certificates'
import { proxyPolicyOf } from '../../shared/outbound/proxy.ts'
import { sdkNetworkOptions } from '../../shared/outbound/sdk-network.azure-core.ts'
import { LocalError } from '../../local/http-server.ts'
import {
  CertificateDeleted,
  CertificateNetworkRefused,
  CertificateRefused,
  isOutsideVault,
  outsideVault,
} from './create.ts'
import type { CertificateCreator, CertificatePolicy } from './create.ts'

interface CertificateCreatorOptions {
  /** Checked: the cloud's vault suffix, or loopback. */
  readonly vaultUrl: string
  readonly credential: TokenCredential
  /** Between two polls of a running operation. */
  readonly intervalMilliseconds?: number
}

export function createKeyVaultCertificateCreator(options: CertificateCreatorOptions): CertificateCreator {
  const { vaultUrl, credential, intervalMilliseconds = 500 } = options
  const client = new CertificateClient(vaultUrl, credential, {
    ...sdkNetworkOptions(proxyPolicyOf(process.env)),
    // The challenge names the vault's public suffix, which an emulator on loopback can't have.
    disableChallengeResourceVerification: new URL(vaultUrl).hostname === 'localhost',
  })

  const may = async <T>(permission: string, work: Promise<T>): Promise<T> => {
    try {
      return await work
    } catch (error) {
      if (isFirewall(error)) throw new CertificateNetworkRefused(vaultUrl, { cause: error })
      if (statusOf(error) === 403) throw new CertificateRefused(permission, vaultUrl, { cause: error })
      throw error
    }
  }

  const waitForPending = async (name: string): Promise<void> => {
    const poller = await client.getCertificateOperation(name, { intervalInMs: intervalMilliseconds })
    await poller.pollUntilDone()
  }

  const request = async (name: string, policy: SdkPolicy): Promise<void> => {
    try {
      const options = { intervalInMs: intervalMilliseconds }
      const poller = await may('create', client.beginCreateCertificate(name, policy, options))
      await may('get', poller.pollUntilDone())
    } catch (error) {
      if (statusOf(error) !== 409) throw error
      if (isDeleted(error)) throw new CertificateDeleted(name, vaultUrl, { cause: error })
      // An earlier run requested it and was interrupted.
      await may('get', waitForPending(name))
    }
  }

  return {
    findPolicy: async (name) => {
      try {
        const found = await may('get', client.getCertificate(name))
        // A request that is not complete: there is no policy to compare yet.
        return found.cer && found.cer.length > 0 ? fromSdk(found.policy ?? {}) : undefined
      } catch (error) {
        if (statusOf(error) === 404) return undefined
        throw error
      }
    },

    create: (name, policy) => request(name, toSdk(policy)),

    renew: async (name) => {
      const policy = await may('get', client.getCertificatePolicy(name)).catch((error: unknown) => {
        if (statusOf(error) === 404) return undefined
        throw error
      })
      if (!policy) return false
      if (isOutsideVault(policy.issuerName ?? 'Unknown')) throw new LocalError(outsideVault)
      await request(name, policy)
      return true
    },

    updatePolicy: async (name, policy) => {
      await may('update', client.updateCertificatePolicy(name, toSdk(policy)))
    },

    newestVersion: async (name) => {
      const { properties, cer } = await may('get', client.getCertificate(name))
      if (!cer || !properties.version) throw new Error(`The vault has no certificate ${name} to read.`)
      const { version, notBefore, expiresOn } = properties
      return { version, der: cer, notBefore, expires: expiresOn }
    },
  }
}

function toSdk(policy: CertificatePolicy): SdkPolicy {
  const { renewDaysBeforeEnd } = policy
  return {
    issuerName: policy.issuer,
    subject: policy.subject,
    keyType: policy.keyType,
    keySize: policy.keySize,
    exportable: policy.exportable,
    reuseKey: policy.reuseKey,
    keyUsage: policy.keyUsage as NonNullable<SdkPolicy['keyUsage']>,
    // Client authentication, not server authentication.
    enhancedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
    contentType: 'application/x-pkcs12',
    validityInMonths: policy.validityMonths,
    lifetimeActions:
      renewDaysBeforeEnd === undefined ? [] : [{ action: 'AutoRenew', daysBeforeExpiry: renewDaysBeforeEnd }],
  }
}

function fromSdk(policy: Partial<SdkPolicy>): CertificatePolicy {
  const renewal = policy.lifetimeActions?.find(({ action }) => action === 'AutoRenew')
  return {
    subject: policy.subject ?? '',
    keyType: policy.keyType === 'RSA-HSM' ? 'RSA-HSM' : 'RSA',
    keySize: (policy.keySize ?? 2048) as CertificatePolicy['keySize'],
    // Key Vault's own default for an omitted value is weaker.
    exportable: policy.exportable ?? true,
    reuseKey: policy.reuseKey ?? true,
    keyUsage: policy.keyUsage ?? [],
    validityMonths: policy.validityInMonths ?? 12,
    renewDaysBeforeEnd: renewal?.daysBeforeExpiry,
    issuer: policy.issuerName ?? 'Unknown',
  }
}

function statusOf(error: unknown): number | undefined {
  return (error as { statusCode?: number } | undefined)?.statusCode
}

/** Key Vault names the cause of a 403 in an inner code, and in its message. */
function isFirewall(error: unknown): boolean {
  return (
    statusOf(error) === 403 &&
    /ForbiddenByFirewall|ForbiddenByConnection|Client address is not authorized|Public network access is disabled/i.test(
      textOf(error),
    )
  )
}

function isDeleted(error: unknown): boolean {
  return /ObjectIsDeletedButRecoverable|deleted but recoverable/i.test(textOf(error))
}

/** Message and inner codes of an error of the SDK. */
function textOf(error: unknown): string {
  const { message = '', details = '' } = error as { readonly message?: string; readonly details?: unknown }
  return message + JSON.stringify(details)
}
