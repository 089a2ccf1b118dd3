/**
 * Scopes of APIs in the spelling of a provider beside the primary one. The rest of the broker knows a scope as the
 * front end registers it.
 */
import type { IdentityProvider } from './provider.ts'
import type { ProviderTokens, TokenEndpoint } from './token-endpoint.ts'

type Spelling = Pick<IdentityProvider, 'scopes'>

/** @returns the scopes to send to the provider */
export function spelledScopes({ scopes: spelling }: Spelling, scopes: readonly string[]): readonly string[] {
  return spelling
    ? scopes.map((scope) => (Object.hasOwn(spelling, scope) ? (spelling[scope] ?? scope) : scope))
    : scopes
}

/** The same token endpoint for scopes as front ends register them; the scope of its answer is one of these too. */
export function withSpelledScopes<Endpoint extends TokenEndpoint>(endpoint: Endpoint, provider: Spelling): Endpoint {
  const { scopes: spelling } = provider
  if (!spelling) return endpoint
  const registered = new Map(Object.entries(spelling).map(([scope, spelled]) => [spelled, scope]))
  const back = <Tokens extends ProviderTokens>(tokens: Tokens): Tokens => ({
    ...tokens,
    scope: tokens.scope
      .split(' ')
      .map((scope) => registered.get(scope) ?? scope)
      .join(' '),
  })
  return {
    ...endpoint,
    redeemCode: async (code, request) =>
      back(await endpoint.redeemCode(code, { ...request, scopes: spelledScopes(provider, request.scopes) })),
    refresh: async (refreshToken, scopes, ...more) =>
      back(await endpoint.refresh(refreshToken, spelledScopes(provider, scopes), ...more)),
  }
}
