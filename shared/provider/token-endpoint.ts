/** The contract of the token endpoint; the adapter is MSAL. */
import type { ClientAssertion } from '../credential/sign-assertion.ts'
import type { Identity } from './identity.ts'

declare const checked: unique symbol

declare const taken: unique symbol

/**
 * A code whose response belongs to the sign-in that this browser began; with the hybrid flow, the ID token that came
 * with it was checked too.
 */
export type CheckedCode = string & { readonly [checked]: true }

/** A checked code whose state is used up: no other request redeems it. */
export type TakenCode = string & { readonly [taken]: true }

/** The values of the authorization request that the token request repeats. */
interface CodeRequest {
  readonly scopes: readonly string[]
  readonly codeVerifier: string
  readonly nonce: string
}

/** Tokens of the provider. The refresh token never leaves the broker. */
export interface ProviderTokens {
  readonly accessToken: string
  /** Milliseconds since the epoch. */
  readonly accessTokenExpires: number
  /** Set where the access token lives so long that a block would be known late. Milliseconds since the epoch. */
  readonly renewAfter?: number | undefined
  /** The scope of the access token, of the response or else of the request; space-separated. */
  readonly scope: string
  readonly refreshToken: string | undefined
  /** Its signature is not checked yet; a renewal may come without one. */
  readonly idToken?: string | undefined
}

export interface RedeemedCode extends ProviderTokens {
  readonly idToken: string
}

export interface TokenEndpoint {
  /**
   * RFC 6749 §4.1.3 with RFC 7636 §4.5 and RFC 7523 §2.2.
   *
   * @throws {BrokerError} `code_refused`, `client_refused`, `interaction_required`, `provider_…`, and what the
   *   credential lacks
   */
  redeemCode(code: TakenCode, request: CodeRequest): Promise<RedeemedCode>
  /**
   * RFC 6749 §6, OpenID Connect Core §12.2.
   *
   * @param of whose session it is: an ID token that comes along has to be about them
   * @param challenge a claims challenge, checked; only where the profile refreshes by one
   * @throws {BrokerError} `signed_out` when the provider ended this person's session, `interaction_required` when it
   *   requires an action of the person, `id_token_refused`, and as above
   */
  refresh(
    refreshToken: string,
    scopes: readonly string[],
    of: Pick<Identity, 'issuer' | 'tokenIssuer' | 'subject' | 'tenantId' | 'objectId'>,
    challenge?: string,
  ): Promise<ProviderTokens>
}

/** Requests of the application itself, with one version of the certificate: for the roll, never during a sign-in. */
export interface ClientCredentials {
  /**
   * RFC 6749 §4.4.
   *
   * @param assertion signed by the version in question
   * @throws {BrokerError} `certificate_refused` where the provider does not accept that version,
   *   otherwise as `redeemCode`
   */
  clientToken(scope: string, assertion: ClientAssertion): Promise<string>
  /**
   * Checks that the provider accepts an assertion where it issues no tokens to the application itself. It sends a code
   * that cannot exist: the client is authenticated before the code is looked up (RFC 6749 §3.2.1, §4.1.3).
   *
   * @throws {BrokerError} as `clientToken`
   */
  probe(assertion: ClientAssertion): Promise<void>
}
