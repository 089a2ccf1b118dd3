/** Composes the tenants of a provider for many: settings `provider.manyTenants`. */
import { lazy, lazyObject } from '../../shared/async/lazy.ts'
import { BrokerError } from '../../shared/errors/errors.ts'
import type { FrontEnds } from '../../shared/front-ends/front-ends.ts'
import { personalTenantId } from '../../shared/provider/entra.ts'
import { createListedTenants, isTenantAllowed } from '../../shared/tenants/tenants.ts'
import type { Admission } from '../../shared/tenants/admission.ts'
import type { TenantAdministration } from '../../shared/tenants/tenant-administration.ts'
import type { SignedUpTenants } from '../../shared/tenants/tenants.store.ts'
import type { TenantMember, Tenants } from '../../shared/tenants/tenants.ts'
import type { Azure } from './azure.ts'
import type { Base } from './telemetry.ts'

export interface ComposedTenants {
  /** undefined where people of one tenant sign in. */
  readonly tenants: Tenants | undefined
  readonly isTenantAllowed: (person: TenantMember, frontEndId: string) => Promise<boolean>
  /**
   * The rows of tenants.
   *
   * @throws {BrokerError} `sign_up_closed` where the settings list the tenants, or one tenant signs in
   */
  readonly signedUpTenants: () => Promise<SignedUpTenants>
  readonly admit: Admission['admit']
  readonly tenantAdministration: TenantAdministration
}

export function composeTenants(
  { settings, log, clock, onFault }: Base,
  { vault, store }: Pick<Azure, 'vault' | 'store'>,
  frontEnds: FrontEnds,
): ComposedTenants {
  const { manyTenants } = settings.provider
  const personal = manyTenants?.allowPersonalAccounts === true ? personalTenantId : undefined
  const signedUpTenants = lazy(async () => {
    if (manyTenants?.allowed !== 'signed-up') throw new BrokerError('sign_up_closed')
    const { createSignedUpTenants } = await import('./sign-up-chunk.ts')
    return createSignedUpTenants({ store, vault, clock, personalTenantId: personal, onFault })
  })
  const tenantsOf = (): Tenants | undefined => {
    if (!manyTenants) return undefined
    if (manyTenants.allowed !== 'signed-up') return createListedTenants(manyTenants.allowed, personal)
    return { stateOf: async (tenantId) => (await signedUpTenants()).stateOf(tenantId), domainOf: () => undefined }
  }
  const tenants = tenantsOf()
  const admission = lazy(async () => {
    const { createAdmission } = await import('./sign-up-chunk.ts')
    const { signUpRole, invitations } = manyTenants ?? {}
    return createAdmission({ tenants: await signedUpTenants(), personalTenantId, signUpRole, invitations, log })
  })
  return {
    tenants,
    signedUpTenants,
    tenantAdministration: lazyObject(
      lazy(async () => {
        const { createTenantAdministration } = await import('./sign-up-chunk.ts')
        return createTenantAdministration(await signedUpTenants())
      }),
      { run: true },
    ),
    admit: async (...of) => (await admission()).admit(...of),
    isTenantAllowed: (person, frontEndId) => isTenantAllowed(person, frontEnds.find(frontEndId), tenants),
  }
}
