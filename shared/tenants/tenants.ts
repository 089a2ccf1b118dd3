/**
 * The tenants whose people may sign in at a provider for many tenants.
 *
 * This folder owns which tenant is allowed, at a sign-in and for as long as its sessions live, and the rows of tenants
 * that signed up. It does not own the sign-up in the browser (sign-in/organization-sign-up.ts), or the checks of issuer
 * and `tid` (provider/entra.ts).
 */
import { BrokerError } from '../errors/errors.ts'
import type { FrontEnd } from '../front-ends/front-ends.ts'
import type { Identity } from '../provider/identity.ts'
import type { ListedTenant } from '../settings/tenant-list.ts'

/** `unknown`: not listed, never signed up, or removed. */
type TenantState = 'active' | 'suspended' | 'unknown'

export interface Tenants {
  /** @throws {BrokerError} where the state cannot be read: then no session ends and no sign-in succeeds */
  stateOf(tenantId: string): Promise<TenantState>
  /** @returns the name of a tenant for pages, where an operator wrote one into the settings */
  domainOf(tenantId: string): string | undefined
}

/**
 * @param provider the id of a provider; undefined: the primary one
 * @returns undefined where people of one tenant sign in there, and where the settings no longer name the provider
 */
export type TenantsOf = (provider: string | undefined) => Tenants | undefined

/** The person of a sign-in or a session. */
export type TenantMember = Pick<Identity, 'tokenIssuer' | 'tenantId' | 'provider'>

/**
 * @param identity of a verified ID token
 * @param tenants of the provider of the person
 * @throws {BrokerError} `tenant_suspended`, `tenant_not_allowed`, and what `stateOf` throws
 */
export async function checkTenant(
  identity: TenantMember,
  frontEnd: Pick<FrontEnd, 'tenants'> | undefined,
  tenants: Tenants | undefined,
): Promise<void> {
  const { tenantId } = identity
  const state = await stateOfMember(identity, tenants)
  const detail = `tenant ${tenantId ?? 'none'}`
  if (state === 'suspended') throw new BrokerError('tenant_suspended', { detail })
  if (state === 'unknown') throw new BrokerError('tenant_not_allowed', { detail })
  checkTenantOfFrontEnd(identity, frontEnd, tenants)
}

/** @throws {BrokerError} `tenant_not_allowed` where the front end is limited to other tenants */
export function checkTenantOfFrontEnd(
  identity: TenantMember,
  frontEnd: Pick<FrontEnd, 'tenants'> | undefined,
  tenants: Tenants | undefined,
): void {
  if (isOfFrontEnd(identity, frontEnd)) return
  const names = frontEnd?.tenants?.flatMap((id) => tenants?.domainOf(id) ?? []) ?? []
  throw new BrokerError('tenant_not_allowed', {
    detail: `tenant ${identity.tenantId ?? 'none'} at this front end`,
    ...(names.length === 0 ? {} : { remedy: `Sign in with an account of ${names.join(', ')}.` }),
  })
}

/** @returns false where the tenant was suspended or removed since the sign-in: the session is over */
export async function isTenantAllowed(
  identity: TenantMember,
  frontEnd: Pick<FrontEnd, 'tenants'> | undefined,
  tenants: Tenants | undefined,
): Promise<boolean> {
  return (await stateOfMember(identity, tenants)) === 'active' && isOfFrontEnd(identity, frontEnd)
}

/** The registration admits people of a further provider of one tenant by `providers`. */
function isOfFrontEnd(
  { provider, tokenIssuer, tenantId }: TenantMember,
  frontEnd: Pick<FrontEnd, 'tenants'> | undefined,
): boolean {
  const { tenants: own } = frontEnd ?? {}
  const isByProvider = provider !== undefined && tokenIssuer === undefined
  return own === undefined || isByProvider || own.some((id) => id === tenantId)
}

/** A person of a provider of one tenant has no `tokenIssuer`: the settings name that tenant. */
async function stateOfMember(
  { tokenIssuer, tenantId }: TenantMember,
  tenants: Tenants | undefined,
): Promise<TenantState> {
  if (tokenIssuer === undefined) return 'active'
  // The settings name one tenant now, or another provider: people of the earlier tenants sign in again.
  if (!tenants || tenantId === undefined) return 'unknown'
  return tenants.stateOf(tenantId)
}

/** @param personalTenantId the tenant of personal accounts, where the settings allow them */
export function createListedTenants(list: readonly ListedTenant[], personalTenantId: string | undefined): Tenants {
  const byId = new Map(list.map((tenant) => [tenant.tenantId, tenant]))
  return {
    stateOf: (tenantId) => Promise.resolve(byId.has(tenantId) || tenantId === personalTenantId ? 'active' : 'unknown'),
    domainOf: (tenantId) => byId.get(tenantId)?.domain,
  }
}
