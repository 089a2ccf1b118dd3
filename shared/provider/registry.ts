/** Finds an identity provider by its key, or by the issuer that a token names. */
import { BrokerError } from '../errors/errors.ts'
import type { IdentityProvider, Providers } from './provider.ts'

/** @param primary the provider at which new sign-ins begin @param others providers of sessions that are still alive */
export function createProviders(primary: IdentityProvider, ...others: readonly IdentityProvider[]): Providers {
  const all = [primary, ...others]
  const byIssuer = new Map(all.map((provider) => [provider.issuer, provider]))
  return {
    primary,
    all,
    find: (issuer) => byIssuer.get(issuer),
    findByTokenIssuer: (issuer) => byIssuer.get(issuer) ?? all.find(({ profile }) => profile.isTokenIssuer(issuer)),
    get: (issuer) => {
      const provider = byIssuer.get(issuer)
      if (!provider) throw new BrokerError('provider_unknown')
      return provider
    },
  }
}
