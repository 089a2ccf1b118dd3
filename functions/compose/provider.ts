/**
 * Composes the identity providers, each with its token endpoint and with the certificate as it is registered there:
 * settings `provider`, `primary`, `otherProviders`, `credential.assertion…` and `baseUrl`.
 */
import { lazy } from '../../shared/async/lazy.ts'
import type { CertificateRoll } from '../../shared/certificate/roll.ts'
import type { ClientAssertions } from '../../shared/credential/client-assertion.ts'
import type { KeyRing } from '../../shared/crypto/key-ring.ts'
import { urlOf } from '../../shared/http/routes.ts'
import { adfsProfile } from '../../shared/provider/adfs.ts'
import { entraProfile } from '../../shared/provider/entra.ts'
import { createIdentityProvider } from '../../shared/provider/identity-provider.ts'
import { withSpelledScopes } from '../../shared/provider/spelled-scopes.ts'
import { openIdProfile } from '../../shared/provider/openid.ts'
import type { IdentityProvider, ProviderProfile } from '../../shared/provider/provider.ts'
import type { OtherProvider, ProviderNames } from '../../shared/settings/settings.ts'
import type { Telemetry } from '../../shared/telemetry/telemetry.ts'
import type { Azure } from './azure.ts'
import { composeCredential, composeRoll } from './certificate.ts'
import type { Certificate, LazyTokenEndpoint } from './certificate.ts'
import type { Base } from './telemetry.ts'

/** The settings of one provider. */
interface ProviderSettings {
  readonly provider: OtherProvider['provider']
  readonly credential: OtherProvider['credential']
}

/** One provider, with everything that exists once for each provider. */
export interface ProviderParts {
  readonly provider: IdentityProvider
  readonly certificate: Certificate
  readonly tokenEndpoint: LazyTokenEndpoint
  readonly roll: CertificateRoll
}

/** The primary provider first. None of them sends a request before it is used. */
export function composeProviders(
  base: Base,
  azure: Azure,
  ring: KeyRing,
  telemetry: Telemetry,
): readonly [ProviderParts, ...ProviderParts[]] {
  const { settings } = base
  const compose = (names: ProviderNames, of: ProviderSettings) =>
    composeOne(base, azure, ring, telemetry, { names, of, isPrimary: names === settings.primary })
  return [compose(settings.primary, settings), ...settings.otherProviders.map((other) => compose(other, other))]
}

interface One {
  readonly names: ProviderNames
  readonly of: ProviderSettings
  readonly isPrimary: boolean
}

function composeOne(base: Base, azure: Azure, ring: KeyRing, telemetry: Telemetry, one: One): ProviderParts {
  const { settings, clock, onFault } = base
  const { names, of, isPrimary } = one
  const callback = urlOf(settings.baseUrl, 'callback')
  const open = (profile: ProviderProfile) =>
    createIdentityProvider({
      names,
      profile,
      clientId: of.provider.clientId,
      // RFC 9700 §4.4.2: with a redirect URI of its own, no provider can answer the request to another one, also where
      // it sends no `iss`.
      redirectUri: isPrimary ? callback : `${callback}/${names.id}`,
      postLogoutRedirectUri: urlOf(settings.baseUrl, 'logoutDone'),
      responseMode: of.provider.responseMode,
      responseType: of.provider.responseType,
      tokenEndpoint: () => tokenEndpoint(),
      network: azure.network,
      clock,
      onFault,
    })
  const provider = open(profileOf(of))
  const about = { provider, isPrimary, keysAt: of.provider, second: of.credential.second }
  const certificate = composeCredential(base, azure, ring, about, telemetry)
  const tokenEndpoint = composeTokenEndpoint(base, azure, provider, certificate.credentials)
  const { manyTenants, identity } = of.provider
  // RFC 6749 §4.4 has no person whose tenant could be meant, so `organizations` and `common` issue no token to the
  // application itself: the tenant of the app registration does.
  const application =
    manyTenants && 'tenantId' in identity
      ? open(entraProfile({ instance: identity.instance, tenantId: manyTenants.homeTenantId }))
      : provider
  const ownTokens = composeTokenEndpoint(base, azure, application, certificate.assertions)
  const roll = composeRoll(base, azure, { ...about, provider: application }, certificate, ownTokens, telemetry)
  return { provider, certificate, tokenEndpoint, roll }
}

/** The one place that decides by the kind of provider. */
export function profileOf({ provider, credential }: ProviderSettings): ProviderProfile {
  const {
    identity,
    clientId,
    responseMode,
    offlineAccess,
    openIdScopes,
    applicationSigningKeys,
    continuousAccess,
    allowGuests,
    manyTenants,
  } = provider
  const { assertionAudience, assertionAlgorithm, assertionKeyId, assertionType, assertionReuse } = credential
  if ('tenantId' in identity) {
    return entraProfile({
      instance: identity.instance,
      tenantId: identity.tenantId,
      guests: allowGuests,
      personalAccounts: manyTenants?.allowPersonalAccounts,
      ownKeysOf: applicationSigningKeys === true ? clientId : undefined,
      assertionReuse,
      continuousAccess,
    })
  }
  if (identity.kind === 'adfs') {
    return adfsProfile({ authority: identity.authority, assertionAudience, assertionKeyId, assertionReuse })
  }
  return openIdProfile({
    authority: identity.authority,
    metadataUrl: identity.metadataUrl,
    responseMode,
    offlineAccess,
    openIdScopes,
    assertionAudience,
    assertionAlgorithm,
    assertionKeyId,
    assertionType,
    assertionReuse,
  })
}

function composeTokenEndpoint(
  { clock }: Base,
  { network }: Azure,
  provider: IdentityProvider,
  assertions: ClientAssertions,
): LazyTokenEndpoint {
  return lazy(async () => {
    const { createMsalTokenEndpoint } = await import('../../shared/provider/token-endpoint.msal.ts')
    return withSpelledScopes(createMsalTokenEndpoint({ provider, assertions, network, clock }), provider)
  })
}
