/**
 * Forms of ids: tenants and applications, including ids that would admit too many people;
 * front ends, providers, domains.
 */
import type { Refusal } from './settings-error.ts'

/**
 * Entra's authorities for people of many tenants. provider-relations.ts requires the settings that name the tenants.
 */
export const authoritiesForMany: readonly string[] = ['organizations', 'common']

/** The value of AzureAd__TenantId: one tenant, or an authority for many. */
export function checkTenant(value: string): Refusal | undefined {
  return authoritiesForMany.includes(value.toLowerCase()) ? undefined : checkTenantId(value)
}

/** The tenant of all personal Microsoft accounts; the GUID of `consumers`. */
export const personalTenantId = '9188040d-6c67-4c5b-b112-36a304b66dad'

export function checkTenantId(value: string): Refusal | undefined {
  const fix = "Write the tenant's GUID, as the overview page of Entra ID shows it (Tenant ID)."
  const consumers: Refusal = {
    problem: 'admits personal accounts, which belong to no tenant of yours',
    fix: `${fix} Invite personal accounts as guests of that tenant.`,
  }
  switch (value.toLowerCase()) {
    case 'common':
      return { problem: 'admits accounts of every tenant, and personal accounts', fix }
    case 'organizations':
      return { problem: 'admits accounts of every tenant', fix }
    case 'consumers':
    case personalTenantId:
      return consumers
  }
  if (/^[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(value)) {
    return { problem: 'is a domain name, which can move to another tenant', fix }
  }
  return checkGuid(value, fix)
}

export function checkAnyClientId(value: string): Refusal | undefined {
  // RFC 6749, appendix A.1.
  if (/^[\x20-\x7e]{1,255}$/.test(value)) return undefined
  return {
    problem: 'is not a client id',
    fix: 'Write it as the provider shows it: 1 to 255 printable ASCII characters.',
  }
}

/** Entra ID's client ids are GUIDs. */
export function checkEntraClientId(value: string): Refusal | undefined {
  return checkGuid(value, 'Write the Application (client) ID, as the overview page of the app registration shows it.')
}

export const guidPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export function checkGuid(value: string, fix: string): Refusal | undefined {
  if (/^[<{[]|your|enter|placeholder|^0{8}-0{4}-0{4}-0{4}-0{12}$/i.test(value))
    return { problem: 'is a placeholder', fix }
  if (guidPattern.test(value)) return undefined
  return { problem: 'is not a GUID', fix }
}

/** The form of the ids of front ends and providers: they are part of URLs and of names of cookies. */
export const plainIdForm = '[a-z0-9][a-z0-9-]{0,31}'
export const plainIdPattern = new RegExp(`^${plainIdForm}$`)
export const fixOfPlainId = 'Write 1 to 32 lower-case letters, digits and hyphens, a letter or digit first.'

/** At least two labels (RFC 1035 §2.3.1), in lower case. */
export const domainPattern = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$/
