/** Composes the identity provider and its token endpoint: settings `provider`, `credential.assertion…` and `baseUrl`. */
import { lazy } from '../../shared/async/lazy.ts'
import { entraForm, lifetimeOf } from '../../shared/credential/client-assertion.ts'
import type { AssertionForm, ClientAssertions } from '../../shared/credential/client-assertion.ts'
import { createIdentityProvider } from '../../shared/provider/identity-provider.ts'
import type { IdentityProvider } from '../../shared/provider/identity-provider.ts'
import { assertionAudienceOf, isEntra, issuerOf } from '../../shared/provider/metadata.ts'
import type { ClientCredentials } from '../../shared/provider/token-endpoint.msal.ts'
import type { TokenEndpoint } from '../../shared/provider/token-endpoint.ts'
import type { Azure } from './azure.ts'
import type { Base } from './telemetry.ts'

export interface Provider {
  readonly provider: IdentityProvider
  /** Audience of client assertions. */
  readonly audience: string
  /** Form of client assertions; reads the metadata where the provider decides. */
  readonly assertionForm: () => Promise<AssertionForm>
}

export type LazyTokenEndpoint = () => Promise<TokenEndpoint & ClientCredentials>

export function composeProvider({ settings, clock, onFault }: Base, { network }: Azure): Provider {
  const { credential } = settings
  const { identity, responseMode, offlineAccess } = settings.provider
  const provider = createIdentityProvider({
    ...identity,
    responseMode,
    offlineAccess,
    assertionAlgorithm: credential.assertionAlgorithm,
    network,
    clock,
    onFault,
  })
  return {
    provider,
    audience: assertionAudienceOf(identity, credential.assertionAudience),
    assertionForm: async () =>
      isEntra(identity)
        ? entraForm
        : {
            algorithm: (await provider.metadata()).assertionAlgorithm,
            keyId: credential.assertionKeyId,
            lifetimeSeconds: lifetimeOf(credential.assertionReuse),
          },
  }
}

export function composeTokenEndpoint(
  { settings, clock }: Base,
  { network }: Azure,
  { provider }: Provider,
  assertions: ClientAssertions,
): LazyTokenEndpoint {
  const { identity, clientId } = settings.provider
  return lazy(async () => {
    const { createMsalTokenEndpoint } = await import('../../shared/provider/token-endpoint.msal.ts')
    return createMsalTokenEndpoint({
      authority: issuerOf(identity),
      isEntra: isEntra(identity),
      clientId,
      redirectUri: `${settings.baseUrl}/callback`,
      provider,
      assertions,
      network,
      clock,
    })
  })
}
