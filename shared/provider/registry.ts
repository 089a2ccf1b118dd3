/** Finds an identity provider by its key, by the issuer that a token names, or by its id; and those of a front end. */
import { BrokerError } from '../errors/errors.ts'
import type { IdentityProvider, Providers } from './provider.ts'

/**
 * @param primary the provider of the usual settings, at which a front end without `providers` signs its people in
 * @param others providers beside it; issuers and ids are unique (settings/provider-relations.ts)
 */
export function createProviders(primary: IdentityProvider, ...others: readonly IdentityProvider[]): Providers {
  const all = [primary, ...others]
  const byIssuer = new Map(all.map((provider) => [provider.issuer, provider]))
  const byId = new Map(all.map((provider) => [provider.id, provider]))
  const ofFrontEnd: Providers['ofFrontEnd'] = ({ providers }) =>
    providers ? providers.flatMap((id) => byId.get(id) ?? []) : [primary]
  return {
    primary,
    all,
    find: (issuer) => byIssuer.get(issuer),
    findByTokenIssuer: (issuer, audience) => {
      const exact = byIssuer.get(issuer)
      const others = all.filter((provider) => provider !== exact && provider.profile.isTokenIssuer(issuer))
      const candidates = exact ? [exact, ...others] : others
      return candidates.find(({ clientId }) => [audience].flat().includes(clientId)) ?? candidates[0]
    },
    get: (issuer) => {
      const provider = byIssuer.get(issuer)
      if (!provider) throw new BrokerError('provider_unknown')
      return provider
    },
    ofFrontEnd,
    accepts: (frontEnd, issuer) => {
      const provider = byIssuer.get(issuer)
      // Without a list, sessions of a provider that the settings named before stay valid, but cannot be renewed.
      if (!provider) return frontEnd.providers === undefined
      return ofFrontEnd(frontEnd).includes(provider)
    },
  }
}
