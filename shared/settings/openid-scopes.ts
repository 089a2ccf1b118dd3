/** Scopes of OpenID Connect. No API has one of these names. OpenID Connect Core §5.4, §11. */

/** In the order of the specification. */
export const openidScopes: readonly string[] = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access']

/** Granted by registered claims alone, and requested only of providers that list them: few have them. */
export const registeredScopes: readonly string[] = ['address', 'phone']

/** Scopes that the broker requests of a provider only where a front end receives one of their claims. */
export const claimsOfScope: Readonly<Record<string, readonly string[]>> = {
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
}
