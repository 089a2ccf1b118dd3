/**
 * Decides who may sign an organization up. Nothing that the browser brought counts, only the verified ID token: the
 * tenant is its `tid`, and the right is one of its directory roles (`wids`) or an app role (`roles`).
 */
import { BrokerError } from '../errors/errors.ts'
import { domainOf } from '../provider/email-domain.ts'
import { isEmailProven, isGuest } from '../provider/entra.ts'
import type { Identity } from '../provider/identity.ts'
import type { Log } from '../telemetry/log.ts'
import type { ManyTenants } from '../settings/settings.ts'
import type { SignedUpTenants } from './tenants.store.ts'

/**
 * Roles of the directory that may consent for the organization, by their template ids (Microsoft Entra built-in roles):
 * Global Administrator, Privileged Role Administrator, Cloud Application Administrator, Application Administrator.
 * Every member has the id b79fbf4d-3ef9-4689-8143-76b194e85509 in `wids`, so the claim alone proves nothing.
 */
const administrators: readonly string[] = [
  '62e90394-69f5-4237-9190-012177145e10',
  'e8611ab8-c189-46e8-94e1-60213ab1f814',
  '158c047a-c907-4556-b7ef-446551a6b5f7',
  '9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3',
]

export interface Admission {
  /**
   * Signs the organization of an administrator up, once.
   *
   * @param identity of the administrator
   * @param claims of the same verified ID token
   * @param consentedTenantId the tenant that the consent's answer named, untrusted: it can only lead to a refusal
   * @throws {BrokerError} `sign_up_mismatch`, `guest_not_allowed`, `personal_account_not_allowed`,
   *   `sign_up_not_permitted`, `sign_up_not_invited`, and what store and vault throw
   */
  admit(
    identity: Identity,
    claims: Readonly<Record<string, unknown>>,
    consentedTenantId: string | undefined,
  ): Promise<void>
}

interface AdmissionOptions extends Pick<ManyTenants, 'signUpRole' | 'invitations'> {
  readonly tenants: Pick<SignedUpTenants, 'add'>
  readonly personalTenantId: string
  readonly log: Log
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { tenants, signUpRole, invitations } = options

  const isInvited = (tenantId: string, domain: string | undefined) =>
    invitations === undefined ||
    invitations.includes(tenantId) ||
    (domain !== undefined && invitations.includes(domain))

  return {
    admit: async (identity, claims, consentedTenantId) => {
      const { tenantId, objectId } = identity
      // A provider for one tenant has no tenants that sign up.
      if (identity.tokenIssuer === undefined || tenantId === undefined || objectId === undefined) {
        throw new BrokerError('sign_up_closed')
      }
      if (consentedTenantId !== undefined && consentedTenantId !== tenantId) throw new BrokerError('sign_up_mismatch')
      if (tenantId === options.personalTenantId) throw new BrokerError('personal_account_not_allowed')
      // Also where guests may sign in: a member signs the organization up.
      if (isGuest(claims, tenantId)) throw new BrokerError('guest_not_allowed')
      if (!isAdministrator(claims, signUpRole)) {
        // Without the claim the app registration lacks `groupMembershipClaims`: an operator has to see the difference.
        const wids = Array.isArray(claims.wids) ? 'wids name no administrator' : 'wids are missing'
        throw new BrokerError('sign_up_not_permitted', { detail: `tenant ${tenantId}: ${wids}` })
      }
      const domain = provenDomainOf(claims)
      if (!isInvited(tenantId, domain)) throw new BrokerError('sign_up_not_invited', { detail: `tenant ${tenantId}` })
      await tenants.add({ tenantId, signedUpBy: objectId, domain })
      options.log('info', 'tenant signed up', { tenant: tenantId, objectId })
    },
  }
}

function isAdministrator({ wids, roles }: Readonly<Record<string, unknown>>, signUpRole: string | undefined): boolean {
  const has = (list: unknown, accepted: readonly string[]) =>
    Array.isArray(list) && list.some((one) => typeof one === 'string' && accepted.includes(one))
  return has(wids, administrators) || (signUpRole !== undefined && has(roles, [signUpRole]))
}

/**
 * The domain of `upn`: Entra ID accepts only verified domains of the tenant there. `preferred_username` and `email` may
 * have any domain; `email` counts where `xms_edov` confirms that the tenant owns its domain.
 */
function provenDomainOf(claims: Readonly<Record<string, unknown>>): string | undefined {
  return domainOf(claims.upn) ?? (isEmailProven(claims) ? domainOf(claims.email) : undefined)
}
