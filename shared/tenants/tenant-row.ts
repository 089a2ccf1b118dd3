/**
 * The row of a tenant that signed up, signed by the vault. A writer of the store must not admit a tenant of its own, so
 * a row counts only where the signature of the wrapping key verifies (PS256, RFC 7518 §3.5). The ring's keys cannot
 * seal it: they end after weeks, and a tenant stays for years.
 */
import { isSignedText, signText } from '../crypto/signed-text.ts'
import type { StoredRow, Values } from '../store/store.ts'
import { isVersionId } from '../vault/vault.ts'
import type { WrappingKey, WrappingKeyVersion } from '../vault/vault.ts'

export interface Tenant {
  readonly tenantId: string
  readonly state: 'active' | 'suspended'
  /** Milliseconds since the epoch. */
  readonly signedUpAt: number
  /** The object id of the administrator in that tenant; or `operator`. */
  readonly signedUpBy: string
  /** Of the administrator's user name, where the ID token proved it; or as the operator wrote it. For display. */
  readonly domain?: string | undefined
  /** Of the last change of the state, milliseconds since the epoch. */
  readonly changedAt: number
}

const format = '1'

/** @param provider the id of the provider; undefined: the primary one */
export function tenantPartitionOf(provider: string | undefined): string {
  return provider === undefined ? 'tenants' : `tenants.${provider}`
}

/** Signs a tenant: one request to the vault, and one that reads the newest version of the key. */
export async function signTenant(vault: TenantVault, tenant: Tenant, partition: string): Promise<Values> {
  const text = JSON.stringify(tenant)
  const newest = await vault.readWrappingKey()
  const signature = await signText(signedText(text, partition), vault, newest)
  return { format, tenant: text, signature, signedBy: newest.version }
}

export type TenantVault = Pick<WrappingKey, 'readWrappingKey' | 'signRow'>

/**
 * @param row as the store returned it; untrusted
 * @param keyOf the version of the wrapping key that signed
 * @returns the tenant; or the reason for which the row does not count
 */
export async function openTenant(
  { partition, row, values }: StoredRow,
  keyOf: (version: string) => Promise<WrappingKeyVersion>,
): Promise<Tenant | { readonly problem: string }> {
  const { format: written, tenant: text, signature, signedBy } = values
  if (written !== format || typeof text !== 'string' || !(signature instanceof Uint8Array) || !isVersionId(signedBy)) {
    return { problem: 'has a format that is not known here' }
  }
  const key = await keyOf(signedBy)
  if (!isSignedText(signedText(text, partition), signature, key.publicKey))
    return { problem: 'has a signature that does not verify' }
  const tenant = JSON.parse(text) as Tenant
  if (tenant.tenantId !== row) return { problem: 'is the row of another tenant' }
  // An operator disables a version to end its use; the vault still returns its public half. A suspension admits no
  // tenant, so it stays: otherwise the tenant's administrator could sign up again.
  return key.isEnabled || tenant.state === 'suspended'
    ? tenant
    : { problem: `is signed by version ${signedBy} of the wrapping key, which is disabled` }
}

/**
 * No other text that the wrapping key signs has this beginning. With the partition, so that a row of one provider
 * admits no tenant at another one; rows of the primary provider were signed before there were others.
 */
function signedText(text: string, partition: string): string {
  const isPrimary = partition === tenantPartitionOf(undefined)
  return JSON.stringify(['row of a tenant', format, text, ...(isPrimary ? [] : [partition])])
}
