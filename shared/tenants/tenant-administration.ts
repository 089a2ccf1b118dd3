/**
 * An operator lists, adds, suspends, resumes and removes tenants that signed up.
 * The host admits operators by a function key.
 */
import { BrokerError, parameterInvalid } from '../errors/errors.ts'
import { checkTenantId, domainPattern } from '../settings/identifiers.ts'
import type { Log } from '../telemetry/log.ts'
import type { Tenant } from './tenant-row.ts'
import { tenantCacheMilliseconds } from './tenants.store.ts'
import type { SignedUpTenants } from './tenants.store.ts'

/** A tenant as operators see it. */
interface ShownTenant {
  readonly tenant: string
  readonly state: Tenant['state']
  readonly signed_up_at: string
  /** The object id of the administrator, or `operator`. */
  readonly signed_up_by: string
  readonly domain?: string | undefined
  readonly changed_at: string
}

export interface TenantsAnswer {
  /** All of them, or the one that the request names. */
  readonly tenants: readonly ShownTenant[]
  /** Seconds until the change has effect at every instance. */
  readonly effective_within?: number
}

/** In the path of the route. */
export const tenantActions: readonly string[] = ['list', 'add', 'suspend', 'resume', 'remove']

export interface TenantAdministration {
  /**
   * @param action of the path; untrusted
   * @param request the parsed body; untrusted
   * @throws {BrokerError} `parameter_invalid`, `tenant_unknown`, `sign_up_closed` where no tenants sign up at the
   *   provider, and what store and vault throw
   */
  run(
    action: string,
    request: Readonly<Partial<Record<'tenant' | 'domain' | 'provider', string>>>,
    invocation: { readonly log: Log; readonly reference: string },
  ): Promise<TenantsAnswer>
}

/**
 * @param signedUpAt finds the tenants of a provider by its id;
 *   of the first at which tenants sign up where none is named
 */
export function createTenantAdministration(
  signedUpAt: (provider: string | undefined) => Promise<SignedUpTenants>,
): TenantAdministration {
  const change = async (
    tenants: SignedUpTenants,
    action: string,
    tenantId: string,
    domain: string | undefined,
  ): Promise<readonly Tenant[]> => {
    switch (action) {
      case 'add':
        return [await tenants.add({ tenantId, signedUpBy: 'operator', domain })]
      case 'suspend':
        return [await tenants.setState(tenantId, 'suspended')]
      case 'resume':
        return [await tenants.setState(tenantId, 'active')]
      case 'remove':
        if (!(await tenants.remove(tenantId))) throw new BrokerError('tenant_unknown')
        return []
      default:
        throw parameterInvalid('action', `none of ${tenantActions.join(', ')}`)
    }
  }

  return {
    run: async (action, { tenant, domain: named, provider }, { log, reference }) => {
      const tenants = await signedUpAt(provider)
      if (action === 'list') {
        const all = await tenants.list()
        log('info', 'tenants listed by an operator', { reference, provider })
        return { tenants: all.map(shown) }
      }
      const tenantId = tenant?.toLowerCase() ?? ''
      const domain = named?.toLowerCase()
      if (checkTenantId(tenantId) !== undefined) throw parameterInvalid('tenant', 'not the id of a tenant')
      if (domain !== undefined && (action !== 'add' || !domainPattern.test(domain)))
        throw parameterInvalid('domain', 'not a domain')
      const changed = await change(tenants, action, tenantId, domain)
      log('warn', 'tenant changed by an operator', { reference, action, tenant: tenantId, provider })
      return { tenants: changed.map(shown), effective_within: tenantCacheMilliseconds / 1000 }
    },
  }
}

function shown({ tenantId, state, signedUpAt, signedUpBy, domain, changedAt }: Tenant): ShownTenant {
  const time = (milliseconds: number) => new Date(milliseconds).toISOString()
  return {
    tenant: tenantId,
    state,
    signed_up_at: time(signedUpAt),
    signed_up_by: signedUpBy,
    domain,
    changed_at: time(changedAt),
  }
}
