/** The texts of Broker__Tenants and Broker__Invitations. */
import { checkTenantId, domainPattern } from './identifiers.ts'
import type { Refusal } from './settings-error.ts'

/** The allowed tenants: a list, or those that signed up. */
export type TenantsSetting = 'signed-up' | readonly ListedTenant[]

export interface ListedTenant {
  readonly tenantId: string
  /** For pages; undefined where the setting names none. */
  readonly domain: string | undefined
}

const signedUp = 'signed-up'
const isSignedUp = (value: string) => value.toLowerCase() === signedUp

export function checkTenants(value: string): Refusal | undefined {
  if (isSignedUp(value)) return undefined
  const ids = listOf(value).map(tenantOf)
  const bad = ids.find(
    ({ tenantId, domain }) =>
      checkTenantId(tenantId) !== undefined || (domain !== undefined && !domainPattern.test(domain)),
  )
  if (ids.length === 0 || bad !== undefined) {
    const { problem = 'is not a list of tenants' } = (bad && checkTenantId(bad.tenantId)) ?? {}
    return {
      problem: ids.length > 1 && bad !== undefined ? `has an entry that ${problem}` : problem,
      fix: 'Write GUIDs of tenants separated by commas, each with its domain behind a colon where pages may show it; or signed-up.',
    }
  }
  return new Set(ids.map(({ tenantId }) => tenantId)).size < ids.length
    ? { problem: 'names a tenant twice', fix: 'Write each tenant once.' }
    : undefined
}

export function parseTenants(value: string): TenantsSetting {
  return isSignedUp(value) ? signedUp : listOf(value).map(tenantOf)
}

export function checkInvitations(value: string): Refusal | undefined {
  const entries = listOf(value)
  return entries.length > 0 && entries.every((entry) => domainPattern.test(entry) || checkTenantId(entry) === undefined)
    ? undefined
    : {
        problem: 'is not a list of domains and tenant ids',
        fix: 'Write domains (contoso.com) and GUIDs of tenants, separated by commas.',
      }
}

/** @returns the entries of a list, in lower case */
export function listOf(value: string): readonly string[] {
  return value
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .filter((entry) => entry !== '')
}

function tenantOf(entry: string): ListedTenant {
  const at = entry.indexOf(':')
  if (at < 0) return { tenantId: entry, domain: undefined }
  return { tenantId: entry.slice(0, at).trim(), domain: entry.slice(at + 1).trim() }
}
