/**
 * Key Vault's refusals, for requests by REST and by the SDK: which error each one is, and the remedy that the operator
 * reads. The inner code decides the remedy; an unknown code gets the remedy of its status.
 */
import { retryAfterSecondsOf } from '../../http/exchange.ts'
import { isObject } from '../../json/json.ts'
import { forOperator } from '../../errors/catalogue.ts'
import { BrokerError } from '../../errors/errors.ts'
import type { ErrorCode } from '../../errors/catalogue.ts'

interface Remedy {
  /** Left out: the error of the status. */
  readonly code?: ErrorCode
  readonly remedy: string
}

const network =
  'allow the function app to reach the vault: add its subnet or outbound addresses to the vault’s firewall, or connect it by a private endpoint that DNS resolves. Permissions are not the cause.'
const disabled =
  'enable the version of the key or certificate that the log names, or create a new version and register it.'
const permissions = 'certificates get and list, and keys get, sign, verify, wrapKey and unwrapKey'

/** By the vault's inner code. Source: Key Vault documentation, "Azure Key Vault REST API error codes". */
export const vaultRemedies: Readonly<Record<string, Remedy>> = {
  ForbiddenByFirewall: { remedy: network },
  ForbiddenByConnection: { remedy: network },
  ForbiddenByNsp: { remedy: `${network} A network security perimeter needs an inbound rule for the app.` },
  ForbiddenByPolicy: {
    remedy: `add an access policy of the vault for the broker’s identity (AZURE_CLIENT_ID) with ${permissions}.`,
  },
  AccessDenied: {
    remedy: `add an access policy of the vault for the broker’s identity (AZURE_CLIENT_ID) with ${permissions}.`,
  },
  ForbiddenByRbac: {
    remedy: `assign roles on the vault to the broker’s identity (AZURE_CLIENT_ID) that permit ${permissions}. A new assignment takes effect after up to 10 minutes.`,
  },
  KeyDisabled: { remedy: disabled },
  CertificateDisabled: { remedy: disabled },
  SecretDisabled: { remedy: disabled },
  KeyNotYetValid: { remedy: 'check NotBefore of the version that the log names, and the clock.' },
  KeyExpired: { remedy: 'extend Expires of the version that the log names, or create a new version and register it.' },
  KeyOperationForbidden: {
    remedy:
      'create a version of the key that permits the operation: sign for the certificate, sign, verify, wrapKey and unwrapKey for the wrapping key.',
  },
  VaultNotFound: {
    code: 'vault_unavailable',
    remedy:
      'check AzureAd__ClientCredentials__0__KeyVaultUrl: this vault does not exist. Recover it if it was deleted.',
  },
  SubscriptionNotFound: {
    code: 'vault_unavailable',
    remedy: 'enable the subscription of the vault, or move the vault to an active subscription.',
  },
  ObjectIsDeletedButRecoverable: {
    remedy: 'recover the deleted key or certificate, or purge it and create it again.',
  },
  ObjectIsBeingDeleted: { remedy: 'wait until the key or certificate is deleted, then recover it.' },
  ObjectIsBeingRecovered: { remedy: 'wait until the key or certificate is recovered.' },
}

/** By status, for refusals without a known inner code. */
const remediesByStatus: Readonly<Record<number, string>> = {
  401: 'check that the vault and the broker’s identity belong to the same tenant, and the clock.',
}

/**
 * @param now milliseconds since the epoch
 * @returns the error of a response that names the time of the next attempt; undefined for any other response
 */
export function passing(status: number, retryAfter: string | undefined, now: number): BrokerError | undefined {
  const isBusy = status === 503 && retryAfter !== undefined
  if (status !== 429 && !isBusy) return undefined
  return new BrokerError(status === 429 ? 'vault_throttled' : 'vault_unavailable', {
    detail: `vault answered ${status}`,
    retryAfterSeconds: retryAfterSecondsOf(retryAfter, now),
  })
}

/**
 * @param answered the status, or the reason for which there was no response
 * @param missing the error of a 404 for this call
 * @param reason the inner code, made by `innerCodeOf`
 */
export function refusal(answered: number | string, missing: ErrorCode, cause?: unknown, reason?: string): BrokerError {
  const detail = ['vault answered', answered, reason].filter((part) => part !== undefined).join(' ')
  const known = reason !== undefined && Object.hasOwn(vaultRemedies, reason) ? vaultRemedies[reason] : undefined
  const remedy = known?.remedy ?? (typeof answered === 'number' ? remediesByStatus[answered] : undefined)
  return new BrokerError(known?.code ?? codeOf(answered, missing), {
    cause,
    detail,
    ...(remedy === undefined ? {} : { remedy: forOperator(remedy) }),
  })
}

/**
 * The innermost code of a refusal (`ForbiddenByPolicy`, `KeyDisabled`), never its text, which may quote the request.
 *
 * @param error the member `error` of the vault's JSON; untrusted
 */
export function innerCodeOf(error: unknown): string | undefined {
  let code: string | undefined
  // The SDK writes `innerError` where the vault's JSON has `innererror`.
  for (
    let level = error, depth = 0;
    isObject(level) && depth < 5;
    level = level.innererror ?? level.innerError, depth++
  ) {
    if (typeof level.code === 'string' && /^[a-z]{1,40}$/i.test(level.code)) ({ code } = level as { code: string })
  }
  return code
}

function codeOf(answered: number | string, missing: ErrorCode): ErrorCode {
  switch (answered) {
    case 401:
    case 403:
      return 'vault_forbidden'
    case 404:
      return missing
    default:
      return 'vault_unavailable'
  }
}
