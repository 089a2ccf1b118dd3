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
  /** Issues tokens to the application itself: the same, or for many tenants the authority of the application's own. */
  readonly application: IdentityProvider
  /** The same provider, as the flows find it by issuer. */
  readonly providers: Providers
}

export type LazyTokenEndpoint = () => Promise<TokenEndpoint & ClientCredentials>

export function composeProvider(
  { settings, clock, onFault }: Base,
  { network }: Azure,
  tokenEndpoint: LazyTokenEndpoint,
): Provider {
  const open = (profile: ProviderProfile) =>
    createIdentityProvider({
      profile,
      clientId: settings.provider.clientId,
      redirectUri: urlOf(settings.baseUrl, 'callback'),
      postLogoutRedirectUri: urlOf(settings.baseUrl, 'logoutDone'),
      responseMode: settings.provider.responseMode,
      responseType: settings.provider.responseType,
      tokenEndpoint,
      network,
      clock,
      onFault,
    })
  const provider = open(profileOf(settings))
  const { manyTenants, identity } = settings.provider
  // RFC 6749 §4.4 has no person whose tenant could be meant, so `organizations` and `common` issue no such token.
  const application =
    manyTenants && 'tenantId' in identity
      ? open(entraProfile({ instance: identity.instance, tenantId: manyTenants.homeTenantId }))
      : provider
  return { provider, application, providers: createProviders(provider) }
}

/** The one place that decides by the kind of provider. */
export function profileOf({ provider, credential }: Pick<Settings, 'provider' | 'credential'>): ProviderProfile {
  const { identity, clientId, responseMode, offlineAccess, applicationSigningKeys, allowGuests, manyTenants } = provider
  const { assertionAudience, assertionAlgorithm, assertionKeyId, assertionReuse } = credential
  if ('tenantId' in identity) {
    return entraProfile({
      instance: identity.instance,
      tenantId: identity.tenantId,
      guests: allowGuests,
      personalAccounts: manyTenants?.allowPersonalAccounts,
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
  provider: IdentityProvider,
  assertions: ClientAssertions,
): LazyTokenEndpoint {
  return lazy(async () => {
    const { createMsalTokenEndpoint } = await import('../../shared/provider/token-endpoint.msal.ts')
    return createMsalTokenEndpoint({ provider, assertions, network, clock })
  })
}
