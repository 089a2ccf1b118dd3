/** The settings of a provider for many tenants: which are allowed, and how they sign up. */
import { authoritiesForMany, checkTenantId, domainPattern } from './identifiers.ts'
import type { Refusal } from './settings-error.ts'

/** The allowed tenants: a list, or those that signed up. */
type TenantsSetting = 'signed-up' | readonly ListedTenant[]

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

export function checkSignUpRole(value: string): Refusal | undefined {
  return /^[\x21-\x7e]{1,120}$/.test(value)
    ? undefined
    : { problem: 'is not a value of an app role', fix: 'Write the value as the app registration shows it.' }
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

/**
 * The values of the primary provider's settings, or of an entry of Broker__Providers; undefined where one is not set.
 */
export interface ManyTenantsValues {
  readonly tenantId: string | undefined
  readonly tenants: TenantsSetting | undefined
  readonly homeTenantId: string | undefined
  readonly allowPersonalAccounts: boolean | undefined
  readonly signUpRole: string | undefined
  readonly invitations: readonly string[] | undefined
}

/** A provider for many tenants. */
export interface ManyTenants {
  readonly allowed: TenantsSetting
  /** The tenant of the app registration. */
  readonly homeTenantId: string
  readonly allowPersonalAccounts: boolean
  /** An app role that permits a sign-up, beside the directory's roles. */
  readonly signUpRole: string | undefined
  /** Domains and tenant ids; undefined: every organization may sign up. */
  readonly invitations: readonly string[] | undefined
}

/** @returns undefined where people of one tenant sign in */
export function manyTenantsOf(values: Omit<ManyTenantsValues, 'tenantId'>): ManyTenants | undefined {
  const { tenants, homeTenantId, allowPersonalAccounts = false, signUpRole, invitations } = values
  if (tenants === undefined || homeTenantId === undefined) return undefined
  return { allowed: tenants, homeTenantId, allowPersonalAccounts, signUpRole, invitations }
}

export type ManyTenantsMember = keyof ManyTenantsValues

/**
 * An authority for many tenants admits every organization, so the settings have to name them.
 *
 * @param values a member that was refused by itself is undefined
 * @param isSet true for a member that is written
 * @param nameOf the name of a member as the operator writes it
 */
export function findTenantProblems(
  values: ManyTenantsValues,
  isSet: (member: ManyTenantsMember) => boolean,
  nameOf: (member: ManyTenantsMember) => string,
): readonly (Refusal & { readonly member: ManyTenantsMember })[] {
  const { tenantId, tenants, allowPersonalAccounts } = values
  if (tenantId === undefined) return []
  const isForMany = authoritiesForMany.includes(tenantId)
  const require = (member: ManyTenantsMember, fix: string) =>
    isForMany && !isSet(member) ? [{ member, problem: `is missing: ${nameOf('tenantId')} is ${tenantId}`, fix }] : []
  const needs = (member: ManyTenantsMember, isThere: boolean, needed: string) =>
    isSet(member) && !isThere ? [{ member, problem: `needs ${needed}`, fix: 'Delete it, or write both.' }] : []
  const many = `${nameOf('tenantId')}=organizations`
  const signUp = `${nameOf('tenants')}=${signedUp}`
  return [
    ...require('tenants', 'Name the tenants whose people may sign in, or signed-up.'),
    ...require('homeTenantId', 'Name the tenant of the app registration, by its GUID.'),
    ...needs('tenants', isForMany, many),
    ...needs('homeTenantId', isForMany, many),
    ...(tenantId === 'common' && allowPersonalAccounts !== true
      ? [
          {
            member: 'tenantId' as const,
            problem: 'admits personal accounts',
            fix: `Write organizations; or write ${nameOf('allowPersonalAccounts')}=true if personal accounts may sign in.`,
          },
        ]
      : []),
    ...needs(
      'allowPersonalAccounts',
      tenantId === 'common' || allowPersonalAccounts === false,
      `${nameOf('tenantId')}=common`,
    ),
    ...needs('signUpRole', tenants === signedUp, signUp),
    ...needs('invitations', tenants === signedUp, signUp),
  ]
}
