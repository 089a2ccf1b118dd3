/** Permissions: an access policy for each identity, by client id. */
import type { Identity } from '../managed-identity/access-tokens.ts'
import { VaultError } from './vault-error.ts'

type Area = 'certificates' | 'keys' | 'secrets'

/** Permission names as access policies spell them; case makes no difference, as in Azure. */
export type AccessPolicy = Readonly<Partial<Record<Area, readonly string[]>>>

/** Exactly the permissions that infra/ grants the broker. */
export const brokerAccessPolicy: AccessPolicy = {
  certificates: ['get', 'list'],
  keys: ['get', 'sign', 'wrapKey', 'unwrapKey'],
  secrets: [],
}

export interface Permission {
  readonly area: Area
  readonly permission: string
}

/**
 * @throws {VaultError} 403 `Forbidden`. The inner code is AccessDenied; a vault in Azure may also return
 * ForbiddenByPolicy or ForbiddenByRbac.
 */
export function checkPermission(
  policies: ReadonlyMap<string, AccessPolicy>,
  { clientId, principalId }: Identity,
  { area, permission }: Permission,
): void {
  const granted = policies.get(clientId)?.[area] ?? []
  if (granted.some((name) => name.toLowerCase() === permission.toLowerCase())) return
  throw new VaultError(
    403,
    'Forbidden',
    `The user, group or application 'appid=${clientId};oid=${principalId}' does not have ${area} ${permission} permission on key vault 'local'.`,
    'AccessDenied',
  )
}
