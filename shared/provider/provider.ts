/**
 * The contract of an identity provider. A profile holds everything in which one kind of provider differs from another
 * (`entra.ts`, `openid.ts`, `adfs.ts`); an entry is one provider as the flows use it; the registry finds an entry by
 * issuer. No other module decides by the kind of provider.
 *
 * This folder owns metadata, keys, the checks of ID tokens and logout tokens, the requests to the token endpoint and
 * the reading of refusals (aadsts.ts has the table of numbers). It does not own the authorization request and its
 * response (sign-in/), the tokens that are kept (session/), or the client assertion (credential/).
 */
import type { AssertionAlgorithm, AssertionForm, CertificateHeader } from '../credential/sign-assertion.ts'
import type { AssertionType } from '../settings/assertion-types.ts'
import type { BrokerError } from '../errors/errors.ts'
import type { KeyObject } from 'node:crypto'
import type { FrontEndSettings, ProviderNames } from '../settings/settings.ts'
import type { TokenEndpoint } from './token-endpoint.ts'

export type ResponseMode = 'form_post' | 'query'

/** `code id_token` is the hybrid flow. OpenID Connect Core §3.3. */
export type ResponseType = 'code' | 'code id_token'

export type Json = Readonly<Record<string, unknown>>

/** The members of the metadata that the broker uses, checked. OpenID Connect Discovery 1.0 §3, RFC 8414 §2. */
export interface ProviderMetadata {
  /** The provider's key, as in its profile. */
  readonly issuer: string
  readonly authorizationEndpoint: string
  readonly tokenEndpoint: string
  readonly endSessionEndpoint: string | undefined
  /** Only where its names may complete those of the ID token. */
  readonly userinfoEndpoint?: string | undefined
  readonly jwksUri: string
  /** RFC 9207 §3: the provider sends `iss` in every authorization response, so a response without it is an attack. */
  readonly issuerInAnswers: boolean
  /** Values of `prompt` that the provider lists; undefined where it lists none. */
  readonly prompts?: readonly unknown[] | undefined
  /**
   * Values of `scopes_supported`, where the provider may have scopes about the person beyond `profile` and `email`.
   */
  readonly scopes?: readonly unknown[] | undefined
  /** The scopes about the person that the settings name; undefined where the usual ones are requested. */
  readonly openIdScopes?: readonly string[] | undefined
  /** True where the broker requests the scope `offline_access`, and so a refresh token. */
  readonly offlineAccess: boolean
  /** The algorithm that signs client assertions for this provider. */
  readonly assertionAlgorithm: AssertionAlgorithm
}

/** Requirements on client assertions (RFC 7523 §3). They come from the settings, never from the metadata alone. */
export interface AssertionRequirements {
  /**
   * An audience that the metadata could change would let an attacker who changes the metadata use the assertion at
   * another server (draft-ietf-oauth-rfc7523bis).
   */
  readonly audience: string
  /** True where the provider accepts a `jti` more than once. */
  readonly reuse: boolean
  /** undefined where the metadata decides. */
  readonly algorithm: AssertionAlgorithm | undefined
  readonly keyId: boolean
  readonly type?: AssertionType | undefined
  readonly certificateHeader?: CertificateHeader
  readonly lifetimeSeconds: number
}

/** Identifiers of a person beyond OpenID Connect Core. */
export interface ExtraIdentity {
  readonly tenantId: string | undefined
  readonly objectId: string | undefined
  /** For display only, where the claims of OpenID Connect name no user. */
  readonly username?: string | undefined
}

/** The request that the token endpoint refused. */
export type TokenRequestKind = 'code' | 'refresh' | 'client'

/** An error response of the token endpoint (RFC 6749 §5.2), read. */
export interface Refusal {
  readonly error: BrokerError
  /** True where another version of the certificate may be accepted. */
  readonly blamesCertificate: boolean
}

/** An error response of the authorization endpoint (RFC 6749 §4.1.2.1). Untrusted until state and issuer agree. */
export interface AuthorizationRefusal {
  readonly error: string
  readonly subError: string | undefined
  /** The texts may choose the sentence that a person reads; no session and no retry depends on them. */
  readonly description: string | undefined
  readonly uri: string | undefined
}

/** Everything in which one kind of provider differs from another. Holds no state and makes no request. */
export interface ProviderProfile {
  /**
   * The provider's key in the registry: from the settings, and stable. Transactions, sessions and rows carry it. A
   * provider of one tenant names it in every token; a provider of several tenants has an issuer for each of them.
   */
  readonly issuer: string
  readonly metadataUrl: string
  readonly assertion: AssertionRequirements
  /** The mode of the MSAL client; `OIDC` sends only parameters of OpenID Connect. */
  readonly protocolMode: 'AAD' | 'OIDC'
  /**
   * True where a sign-out sends the ID token as `id_token_hint` (RP-Initiated Logout 1.0 §2 recommends it): without it,
   * some providers refuse or do not come back. It is then kept, sealed, with the session.
   */
  readonly usesIdTokenHint: boolean
  /**
   * False where the sign-out endpoint accepts GET only. RP-Initiated Logout 1.0 §2 requires both methods; a request
   * that is too long for a URL then omits the ID token.
   */
  readonly signsOutByPost: boolean
  /**
   * @param sid of an ID token, or of a front-channel sign-out; untrusted
   * @returns true where others know it, so that it proves nothing about the browser that sends it
   */
  isPublicSessionId(sid: string): boolean
  /** True where the provider issues access tokens to the application itself (RFC 6749 §4.4). */
  readonly issuesClientTokens: boolean
  /** Values of `xms_cc` for requests about a person; only Entra ID reads it. */
  readonly clientCapabilities: readonly string[]
  /**
   * True where the token endpoint reads a claims challenge at a refresh; otherwise the person has to sign in for it.
   */
  readonly refreshesByChallenge: boolean
  /**
   * @param json the provider's metadata; untrusted
   * @throws {BrokerError} `provider_metadata_untrusted` where it contradicts the settings, `provider_unsuitable` where
   *   it does not offer what the broker needs
   */
  checkMetadata(json: Json): ProviderMetadata
  /**
   * True where the member `issuer` of a key names the issuer whose tokens it signs. RFC 7517 §4 has no such member: a
   * provider may use the name for another purpose, and it is then ignored.
   */
  readonly keysNameIssuers: boolean
  /** @param entry of the key set (RFC 7517 §4); untrusted @returns false where its tokens are not this provider's */
  acceptsKey(entry: Json): boolean
  /**
   * @param issuer `iss` of a token, or of a response (RFC 9207); untrusted
   * @returns true where this provider may name it: exactly `issuer`, or the issuer of one tenant. Which tenant it has
   *   to be is checked by `readIdentity`
   */
  isTokenIssuer(issuer: string): boolean
  /**
   * @param claims of an ID token whose signature was checked
   * @returns the names of claims that this token does not prove: front ends do not receive them
   */
  unprovenClaims(claims: Json): readonly string[]
  /**
   * The endpoint at which an administrator consents for an organization; only where the provider is for many tenants.
   */
  readonly adminConsentUrl?: ((metadata: ProviderMetadata) => string) | undefined
  /**
   * @param prompts of OpenID Connect Core §3.1.2.1, at least one; `none` is alone. `login` among them is never left out
   * @returns the value to send; undefined where the provider has none for them
   */
  promptFor(prompts: readonly string[], metadata: ProviderMetadata): string | undefined
  /** @returns the tenant of an issuer for which `isTokenIssuer` is true; undefined where the provider has no tenants */
  tenantOf(issuer: string): string | undefined
  /** @returns the fields that are sent to the token endpoint, out of those that the client library would send */
  tokenRequest(form: URLSearchParams, metadata: ProviderMetadata): URLSearchParams
  /**
   * @param claims of an ID token whose signature, issuer and audience were checked
   * @param refuse makes the error for the claim that is wrong
   */
  readIdentity(claims: Json, refuse: (claim: string) => Error): ExtraIdentity
  /**
   * Compares the identifiers beyond OpenID Connect Core in the ID token of a refresh with those of the session. A claim
   * that the token omits is not compared.
   */
  checkSamePerson(claims: Json, of: ExtraIdentity, refuse: (claim: string) => Error): void
  /** @param answer the body of the error response; untrusted */
  readRefusal(answer: Json, request: TokenRequestKind): Refusal
  readAuthorizationRefusal(refusal: AuthorizationRefusal): BrokerError
}

/**
 * The way a signed token came. A token of the token endpoint came by TLS from the provider; a logout token is not
 * authenticated, and a browser may send any token,
 * so their unknown key ids must not use up the key fetches of sign-ins.
 */
export type TokenOrigin = 'token endpoint' | 'browser' | 'anybody'

/** One provider as the flows use it. */
export interface IdentityProvider extends ProviderNames {
  readonly profile: ProviderProfile
  readonly issuer: string
  /** The broker's client id at this provider. */
  readonly clientId: string
  readonly redirectUri: string
  readonly postLogoutRedirectUri: string
  readonly responseMode: ResponseMode
  readonly responseType: ResponseType
  /**
   * @throws {BrokerError} `provider_unavailable`, `provider_answer_invalid`, `provider_metadata_untrusted`,
   *   `provider_unsuitable`; none of them while a document is kept
   */
  metadata(): Promise<ProviderMetadata>
  /**
   * @param kid of the token's header; untrusted
   * @param issuer `iss` of the token; untrusted: a key that is for another issuer does not fit
   * @returns the keys that may have signed it: those with this id, or all that fit the algorithm where there is no id
   */
  keysFor(kid: string | undefined, algorithm: string, issuer?: string): Promise<readonly KeyObject[]>
  /**
   * As `keysFor`, after `keysFor` returned no key that fits:
   * fetches the keys again, within the budget of the token's origin.
   */
  refetchKeys(
    kid: string | undefined,
    algorithm: string,
    origin: TokenOrigin,
    issuer?: string,
  ): Promise<readonly KeyObject[]>
  /**
   * OpenID Connect Core §5.3, within short limits.
   *
   * @returns the claims, unchecked; undefined where the provider has no such endpoint, or refused a moment ago
   */
  userInfo(accessToken: string): Promise<Json | undefined>
  assertionForm(): Promise<AssertionForm>
  tokenEndpoint(): Promise<TokenEndpoint>
}

/** The part of a front end's registration that names its providers. */
type ProvidersOfFrontEnd = Pick<FrontEndSettings, 'providers'>

/** All configured providers, by their key (`ProviderProfile.issuer`). */
export interface Providers {
  /** The provider of the usual settings. */
  readonly primary: IdentityProvider
  readonly all: readonly IdentityProvider[]
  find(issuer: string): IdentityProvider | undefined
  /**
   * @param issuer `iss` of a token; untrusted
   * @param audience `aud` of the token; untrusted. It decides where a provider for many tenants and a provider for one
   *   of them share an issuer
   * @returns the provider whose tokens may name this issuer
   */
  findByTokenIssuer(issuer: string, audience?: unknown): IdentityProvider | undefined
  /** @throws {BrokerError} `provider_unknown` where the settings no longer name this issuer */
  get(issuer: string): IdentityProvider
  /** The providers at which people of a front end sign in, at least one, in the order of its registration. */
  ofFrontEnd(frontEnd: ProvidersOfFrontEnd): readonly IdentityProvider[]
  /** False for a provider that this front end does not use: its sessions and codes are refused. */
  accepts(frontEnd: ProvidersOfFrontEnd, issuer: string): boolean
}
