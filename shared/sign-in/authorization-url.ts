/** Builds the URL that sends a browser to the identity provider. RFC 6749 §4.1.1. */
import { codeChallengeOf } from '../crypto/pkce.ts'
import type { Hints } from '../front-ends/login-parameters.ts'
import { withParameters } from '../http/url-parameters.ts'
import type { ProviderMetadata } from '../provider/provider.ts'
import { maxAgeOf } from './transaction.ts'
import type { Transaction } from './transaction.ts'

/** Hints as this provider accepts them. */
type ProviderHints = Omit<Hints, 'prompts'> & { readonly prompt: string | undefined }

/** @returns the URL to send the browser to; each parameter once, with our values */
export function authorizationUrl(
  metadata: ProviderMetadata,
  transaction: Transaction,
  redirectUri: string,
  hints: ProviderHints,
): string {
  return withParameters(metadata.authorizationEndpoint, {
    client_id: transaction.clientId,
    response_type: transaction.responseType ?? 'code',
    redirect_uri: redirectUri,
    response_mode: transaction.responseMode,
    scope: transaction.scopes.join(' '),
    state: transaction.state,
    nonce: transaction.nonce,
    code_challenge: codeChallengeOf(transaction.codeVerifier),
    code_challenge_method: 'S256',
    prompt: hints.prompt,
    login_hint: hints.loginHint,
    domain_hint: hints.domainHint,
    claims: hints.claims,
    ui_locales: hints.uiLocales,
    acr_values: hints.acrValues,
    max_age: maxAgeOf(transaction)?.toString(),
  })
}
