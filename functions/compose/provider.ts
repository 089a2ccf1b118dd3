/** Composes the identity provider and its token endpoint: settings `provider`, `credential.assertion…` and `baseUrl`. */
import { lazy } from '../../shared/async/lazy.ts'
import type { ClientAssertions } from '../../shared/credential/client-assertion.ts'
import { urlOf } from '../../shared/http/routes.ts'
import { adfsProfile } from '../../shared/provider/adfs.ts'
import { entraProfile } from '../../shared/provider/entra.ts'
import { createIdentityProvider } from '../../shared/provider/identity-provider.ts'
import { openIdProfile } from '../../shared/provider/openid.ts'
import type { IdentityProvider, ProviderProfile, Providers } from '../../shared/provider/provider.ts'
import { createProviders } from '../../shared/provider/registry.ts'
import type { ClientCredentials, TokenEndpoint } from '../../shared/provider/token-endpoint.ts'
import type { Settings } from '../../shared/settings/settings.ts'
import type { Azure } from './azure.ts'
import type { Base } from './telemetry.ts'

export interface Provider {
  readonly provider: IdentityProvider
  /** The same provider, as the flows find it by issuer. */
  readonly providers: Providers
}

export type LazyTokenEndpoint = () => Promise<TokenEndpoint & ClientCredentials>

export function composeProvider(
  { settings, clock, onFault }: Base,
  { network }: Azure,
  tokenEndpoint: LazyTokenEndpoint,
): Provider {
  const provider = createIdentityProvider({
    profile: profileOf(settings),
    clientId: settings.provider.clientId,
    redirectUri: urlOf(settings.baseUrl, 'callback'),
    postLogoutRedirectUri: urlOf(settings.baseUrl, 'logoutDone'),
    responseMode: settings.provider.responseMode,
    tokenEndpoint,
    network,
    clock,
    onFault,
  })
  return { provider, providers: createProviders(provider) }
}

/** The one place that decides by the kind of provider. */
export function profileOf({ provider, credential }: Pick<Settings, 'provider' | 'credential'>): ProviderProfile {
  const { identity, clientId, responseMode, offlineAccess, applicationSigningKeys } = provider
  const { assertionAudience, assertionAlgorithm, assertionKeyId, assertionReuse } = credential
  if ('tenantId' in identity) {
    return entraProfile({
      instance: identity.instance,
      tenantId: identity.tenantId,
      ownKeysOf: applicationSigningKeys === true ? clientId : undefined,
      assertionReuse,
    })
  }
  if (identity.kind === 'adfs') {
    return adfsProfile({ authority: identity.authority, assertionAudience, assertionKeyId, assertionReuse })
  }
  return openIdProfile({
    authority: identity.authority,
    responseMode,
    offlineAccess,
    assertionAudience,
    assertionAlgorithm,
    assertionKeyId,
    assertionReuse,
  })
}

export function composeTokenEndpoint(
  { clock }: Base,
  { network }: Azure,
  { provider }: Provider,
  assertions: ClientAssertions,
): LazyTokenEndpoint {
  return lazy(async () => {
    const { createMsalTokenEndpoint } = await import('../../shared/provider/token-endpoint.msal.ts')
    return createMsalTokenEndpoint({ provider, assertions, network, clock })
  })
}
