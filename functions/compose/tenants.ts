/**
 * Composes the tenants of each provider for many: settings `provider.manyTenants`,
 * of the primary provider and of the others.
 */
import { lazy, lazyObject } from '../../shared/async/lazy.ts'
import { BrokerError, parameterInvalid } from '../../shared/errors/errors.ts'
import type { FrontEnds } from '../../shared/front-ends/front-ends.ts'
import { personalTenantId } from '../../shared/settings/identifiers.ts'
import type { ManyTenants } from '../../shared/settings/settings.ts'
import { createListedTenants, isTenantAllowed } from '../../shared/tenants/tenants.ts'
import type { Admission } from '../../shared/tenants/admission.ts'
import type { TenantAdministration } from '../../shared/tenants/tenant-administration.ts'
import type { SignedUpTenants } from '../../shared/tenants/tenants.store.ts'
import type { TenantMember, Tenants, TenantsOf } from '../../shared/tenants/tenants.ts'
import type { Azure } from './azure.ts'
import type { Log } from '../../shared/telemetry/log.ts'
import type { Base } from './telemetry.ts'

export interface ComposedTenants {
  readonly tenantsOf: TenantsOf
  readonly isTenantAllowed: (person: TenantMember, frontEndId: string) => Promise<boolean>
  /** Ids of the providers at which organizations sign up. */
  readonly signUpProviders: ReadonlySet<string>
  readonly admit: Admission['admit']
  readonly tenantAdministration: TenantAdministration
}

/** The tenants of one provider. */
interface OfProvider {
  readonly tenants: Tenants
  /** Their rows, and their sign-up; undefined where the settings list them. */
  readonly signUp: SignUp | undefined
}

interface SignUp {
  readonly signedUp: () => Promise<SignedUpTenants>
  readonly admission: () => Promise<Admission>
}

export function composeTenants(
  base: Base,
  azure: Pick<Azure, 'vault' | 'store'>,
  frontEnds: FrontEnds,
): ComposedTenants {
  const { provider: primary, primary: names, otherProviders } = base.settings
  const entries = [
    { id: undefined, name: names.id, manyTenants: primary.manyTenants },
    ...otherProviders.map(({ id, provider }) => ({ id, name: id, manyTenants: provider.manyTenants })),
  ].flatMap(({ id, name, manyTenants }) =>
    manyTenants ? [{ id, name, ...composeOne(base, azure, manyTenants, { id, name }) }] : [],
  )
  const tenantsOf: TenantsOf = (provider) => entries.find(({ id }) => id === provider)?.tenants
  const signUps = entries.flatMap(({ id, name, signUp }) => (signUp ? [{ id, name, ...signUp }] : []))
  return {
    tenantsOf,
    signUpProviders: new Set(signUps.map(({ name }) => name)),
    tenantAdministration: lazyObject(
      lazy(async () => {
        const { createTenantAdministration } = await import('./sign-up-chunk.ts')
        return createTenantAdministration(async (provider) => {
          const found = provider === undefined ? signUps[0] : signUps.find(({ name }) => name === provider)
          if (found) return found.signedUp()
          if (provider === undefined) throw new BrokerError('sign_up_closed', { remedy: forOperator })
          throw parameterInvalid('provider', 'no provider at which tenants sign up')
        })
      }),
      { run: true },
    ),
    admit: async (identity, ...of) => {
      const found = signUps.find(({ id }) => id === identity.provider)
      if (!found) throw new BrokerError('sign_up_closed')
      return (await found.admission()).admit(identity, ...of)
    },
    isTenantAllowed: (person, frontEndId) =>
      isTenantAllowed(person, frontEnds.find(frontEndId), tenantsOf(person.provider)),
  }
}

/** The catalogue's remedy is for the administrator of an organization. */
const forOperator =
  'Change the list of tenants in the setting Broker__Tenants. These calls change tenants with Broker__Tenants=signed-up only.'

function composeOne(
  { log, clock, onFault }: Base,
  { vault, store }: Pick<Azure, 'vault' | 'store'>,
  { allowed, allowPersonalAccounts, signUpRole, invitations }: ManyTenants,
  provider: { readonly id: string | undefined; readonly name: string },
): OfProvider {
  const personal = allowPersonalAccounts ? personalTenantId : undefined
  if (allowed !== 'signed-up') return { tenants: createListedTenants(allowed, personal), signUp: undefined }
  const signedUp = lazy(async () => {
    const { createSignedUpTenants } = await import('./sign-up-chunk.ts')
    return createSignedUpTenants({ store, vault, clock, provider: provider.id, personalTenantId: personal, onFault })
  })
  const admission = lazy(async () => {
    const { createAdmission } = await import('./sign-up-chunk.ts')
    const named: Log = (level, event, fields) => log(level, event, { ...fields, provider: provider.name })
    return createAdmission({ tenants: await signedUp(), personalTenantId, signUpRole, invitations, log: named })
  })
  const tenants: Tenants = {
    stateOf: async (tenantId) => (await signedUp()).stateOf(tenantId),
    domainOf: () => undefined,
  }
  return { tenants, signUp: { signedUp, admission } }
}
