/** Scopes of OpenID Connect. No API has one of these names. OpenID Connect Core §5.4, §11. */
import type { Refusal } from './settings-error.ts'

/** In the order of the specification. */
export const openidScopes: readonly string[] = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access']

/** Those about the person, which a setting may limit; Broker__OfflineAccess decides about the other one. */
export const personScopes = ['openid', 'profile', 'email', 'address', 'phone'] as const

/** Granted by registered claims alone, and requested only of providers that list them: few have them. */
export const registeredScopes: readonly string[] = ['address', 'phone']

/** Scopes that the broker requests of a provider only where a front end receives one of their claims. */
export const claimsOfScope: Readonly<Record<string, readonly string[]>> = {
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
}

/** The claims of the scopes about the person: a provider may return them at userinfo alone. */
export const specifiedClaims: ReadonlySet<string> = new Set([
  ...['name', 'family_name', 'given_name', 'middle_name', 'nickname', 'preferred_username', 'profile', 'picture'],
  ...['website', 'gender', 'birthdate', 'zoneinfo', 'locale', 'updated_at'],
  ...Object.values(claimsOfScope).flat(),
])

/**
 * @param scopes the scopes of a provider, as a setting or an entry names them
 * @returns why they are refused; OpenID Connect Core §3.1.2.1 requires `openid`
 */
export function checkPersonScopes(scopes: readonly unknown[]): Refusal | undefined {
  const isKnown = scopes.every((scope) => (personScopes as readonly unknown[]).includes(scope))
  if (isKnown && scopes.includes('openid') && new Set(scopes).size === scopes.length) return undefined
  return {
    problem: 'is not a list of scopes about the person',
    fix: `Write openid, and of ${personScopes.slice(1).join(', ')} those that the provider accepts, each once. Scopes of APIs belong into Broker__FrontEnds.`,
  }
}
