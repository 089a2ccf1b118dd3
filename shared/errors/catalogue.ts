/**
 * Catalogue of every error that the broker returns: stable code, HTTP status, responsible party, title and remedy.
 * `npm run generate` writes docs/errors.md from it. Codes are part of the public contract.
 *
 * Does not own: the remedies for refusals of Azure's services, which are tables beside each adapter.
 */

/** The party that can remove the cause. */
export type ResponsibleParty = 'person' | 'front end' | 'operator' | 'provider'

interface ErrorEntry {
  readonly status: number
  readonly responsible: ResponsibleParty
  /** One sentence on the failure, for the person who sees the page. */
  readonly title: string
  /** One or two sentences on the fix. */
  readonly remedy: string
  /**
   * OAuth error value (RFC 6749 §4.1.2.1 and §5.2). Left out: `server_error`, `temporarily_unavailable` or
   * `invalid_request`, by status.
   */
  readonly oauth?: string
}

const retry = 'Wait a moment and try again. This signs no one out.'

export const errorCatalogue = {
  // The request of a front end
  parameter_repeated: {
    status: 400,
    responsible: 'front end',
    title: 'The request contains a parameter twice.',
    remedy: 'Send each parameter once.',
  },
  parameter_invalid: {
    status: 400,
    responsible: 'front end',
    title: 'The request contains an invalid parameter.',
    remedy: 'Correct the parameter that is named; docs/front-ends.md and docs/oauth.md list the valid values.',
  },
  front_end_missing: {
    status: 400,
    responsible: 'front end',
    title: 'The request does not name a front end.',
    remedy: 'Add the parameter frontend with an id that is registered in Broker__FrontEnds.',
  },
  front_end_unknown: {
    status: 400,
    responsible: 'front end',
    title: 'This front end is not registered with the broker.',
    remedy: 'Add the front end to Broker__FrontEnds.',
  },
  front_end_conflict: {
    status: 400,
    responsible: 'front end',
    title: 'The request names one front end, but comes from the origin of another.',
    remedy: 'Send the id of the front end that the page belongs to, or leave out the parameter frontend.',
  },
  front_end_kind_mismatch: {
    status: 400,
    responsible: 'front end',
    title: 'This front end is registered as an OAuth client, which has no session cookie.',
    remedy: 'Use /login with client_id, and /token; or register the front end with kind session.',
  },
  front_end_cross_site: {
    status: 403,
    responsible: 'front end',
    title: 'This front end and the broker are on different sites, so browsers send no session cookie.',
    remedy:
      'Host the front end and the broker under one domain that you own (app.example.com, login.example.com), or register the front end with kind oauth.',
  },
  return_url_invalid: {
    status: 400,
    responsible: 'front end',
    title: 'The return URL is invalid.',
    remedy: 'Send an absolute URL of at most 1 KB on an origin that is registered for the front end.',
  },
  return_url_not_registered: {
    status: 400,
    responsible: 'front end',
    title: 'The return URL does not belong to this front end.',
    remedy:
      'Use a URL on a registered origin, or add its origin (or the URL itself, where returnUrls is set) to the front end in Broker__FrontEnds.',
  },
  prompt_not_registered: {
    status: 400,
    responsible: 'front end',
    title: 'The sign-in requests a prompt that is not registered for this front end.',
    remedy:
      'Use prompts that are registered for the front end, separated by spaces, or add them to prompts in Broker__FrontEnds.',
  },
  scope_not_registered: {
    status: 400,
    responsible: 'front end',
    title: 'The request contains a scope that is not registered for this front end.',
    remedy: 'Request only scopes of the APIs that are registered for the front end in Broker__FrontEnds.',
    oauth: 'invalid_scope',
  },
  provider_not_accepted: {
    status: 400,
    responsible: 'front end',
    title: 'This application does not use this identity provider.',
    remedy:
      'Send the id of a provider that is registered for the front end, leave out the parameter provider, or add the provider to providers of the front end in Broker__FrontEnds.',
  },
  claims_not_allowed: {
    status: 400,
    responsible: 'front end',
    title: 'The parameter claims is invalid.',
    remedy:
      'Send a claims challenge exactly as the API or the broker returned it, as JSON or in base64; an OAuth client may also send a claims request in the form of OpenID Connect Core, section 5.5.',
  },
  prefetch_refused: {
    status: 403,
    responsible: 'front end',
    title: 'A prefetch does not start a sign-in or a sign-out.',
    remedy: 'Open the link itself; exclude /login and /end-session from prefetching.',
  },
  method_not_allowed: {
    status: 405,
    responsible: 'front end',
    title: 'This route does not support the HTTP method.',
    remedy: 'Use a method from the header Allow.',
  },
  query_too_large: {
    status: 414,
    responsible: 'front end',
    title: 'The URL is too long.',
    remedy: 'Send fewer or shorter parameters; docs/front-ends.md lists the limits.',
  },
  request_too_large: {
    status: 413,
    responsible: 'front end',
    title: 'The request is too large.',
    remedy: 'Send a smaller request; docs/front-ends.md lists the limits.',
  },
  content_type_unsupported: {
    status: 415,
    responsible: 'front end',
    title: 'The content type of the request is not supported here.',
    remedy:
      'Send application/json in UTF-8 to script routes, and application/x-www-form-urlencoded to /token, /revoke and /callback.',
  },
  request_not_from_front_end: {
    status: 403,
    responsible: 'front end',
    title: 'The request does not come from a script of a registered front end.',
    remedy:
      'Call fetch from a page on an origin that is registered for the front end; /session/token and /logout also require the header Broker-Request: 1.',
  },
  api_unknown: {
    status: 403,
    responsible: 'front end',
    title: 'This API is not registered for this front end.',
    remedy: 'Send the name of an API that is registered for the front end in Broker__FrontEnds.',
  },

  // OAuth clients
  client_unknown: {
    status: 400,
    responsible: 'front end',
    title: 'This OAuth client is not registered with the broker.',
    remedy: 'Use the id of a front end whose kind is oauth as client_id, or register it in Broker__FrontEnds.',
    oauth: 'invalid_client',
  },
  redirect_uri_not_registered: {
    status: 400,
    responsible: 'front end',
    title: 'The redirect URI is not registered for this OAuth client.',
    remedy: 'Send redirect_uri exactly as redirectUris in Broker__FrontEnds spells it, or add it there.',
    oauth: 'invalid_request',
  },
  response_type_unsupported: {
    status: 400,
    responsible: 'front end',
    title: 'The authorization request has another response type than code.',
    remedy: 'Send response_type=code: the implicit and the hybrid flow are not supported.',
    oauth: 'unsupported_response_type',
  },
  request_not_supported: {
    status: 400,
    responsible: 'front end',
    title: 'The authorization request contains a request object, which is not supported.',
    remedy: 'Send the parameters in the query, and leave out the parameter request.',
    oauth: 'request_not_supported',
  },
  request_uri_not_supported: {
    status: 400,
    responsible: 'front end',
    title: 'The authorization request refers to a request object, which is not supported.',
    remedy: 'Send the parameters in the query, and leave out the parameter request_uri.',
    oauth: 'request_uri_not_supported',
  },
  registration_not_supported: {
    status: 400,
    responsible: 'front end',
    title: 'The authorization request contains the registration of a client, which is not supported.',
    remedy: 'Register the OAuth client in Broker__FrontEnds, and leave out the parameter registration.',
    oauth: 'registration_not_supported',
  },
  code_challenge_missing: {
    status: 400,
    responsible: 'front end',
    title: 'The authorization request has no valid code challenge.',
    remedy: 'Send code_challenge with code_challenge_method=S256 (PKCE, RFC 7636).',
    oauth: 'invalid_request',
  },
  access_token_missing: {
    status: 401,
    responsible: 'front end',
    title: 'The request has no access token.',
    remedy:
      'Send the access token in the header Authorization: Bearer, or as access_token in a posted form; a token in the URL is not read.',
    oauth: 'invalid_token',
  },
  access_token_invalid: {
    status: 401,
    responsible: 'front end',
    title: 'The access token is not valid here.',
    remedy:
      'Send an access token that this broker issued for a grant with the scope openid, in the header Authorization: Bearer; refresh it first where it has expired.',
    oauth: 'invalid_token',
  },
  id_token_hint_invalid: {
    status: 400,
    responsible: 'front end',
    title: 'The sign-out names a session by an ID token that is not valid here.',
    remedy: 'Send the last ID token that this broker issued to the client as id_token_hint, or leave it out.',
  },
  target_invalid: {
    status: 400,
    responsible: 'front end',
    title: 'The request names a resource that is not the API of its scopes.',
    remedy:
      'Send the resource of one registered API (the part of its scopes before the last slash, or a value of its resources), or leave it out.',
    oauth: 'invalid_target',
  },
  client_secret_refused: {
    status: 400,
    responsible: 'front end',
    title: 'The request authenticates the OAuth client in a way that is not registered.',
    remedy:
      'Remove the client secret and set the authentication method of the token endpoint to none: PKCE and the registered redirect URI protect the code. A client with a server registers jwks or jwksUri and uses private_key_jwt.',
    oauth: 'invalid_client',
  },
  client_assertion_refused: {
    status: 400,
    responsible: 'front end',
    title: 'The OAuth client did not prove its identity.',
    remedy:
      'Send a new client assertion (private_key_jwt): signed by a key of the registration with RS256, PS256, ES256, EdDSA or Ed25519, iss and sub the client_id, aud the issuer of the broker, exp at most an hour ahead, and a jti that was not used before.',
    oauth: 'invalid_client',
  },
  client_keys_unavailable: {
    status: 503,
    responsible: 'front end',
    title: 'The keys of the OAuth client cannot be read.',
    remedy:
      'Make the key set at jwksUri of the registration reachable by https, as JSON with the public keys, or register jwks.',
  },
  body_missing: {
    status: 400,
    responsible: 'front end',
    title: 'The request arrived without a body.',
    remedy:
      'Send the parameters in the body, with the header Content-Length: a chunked body does not reach the broker.',
    oauth: 'invalid_request',
  },
  grant_type_unsupported: {
    status: 400,
    responsible: 'front end',
    title: 'The grant type of the token request is not supported.',
    remedy: 'Send grant_type=authorization_code or grant_type=refresh_token.',
    oauth: 'unsupported_grant_type',
  },
  grant_invalid: {
    status: 400,
    responsible: 'front end',
    title: 'The code or refresh token is invalid, expired or already used.',
    remedy:
      'Start a new authorization request. A code and a refresh token are valid once, for the client and the values that they were issued for.',
    oauth: 'invalid_grant',
  },
  login_required: {
    status: 400,
    responsible: 'person',
    title: 'Sign-in without interaction is not possible now.',
    remedy: 'Sign in again. An application that sent prompt=none sends the request again without it.',
    oauth: 'login_required',
  },

  authentication_requirement_unmet: {
    status: 403,
    responsible: 'person',
    title: 'The sign-in did not meet the authentication requirement of the application.',
    remedy:
      'Sign in again with the method that the application requires. If the error returns, ask your administrator: the identity provider may not offer it.',
    oauth: 'unmet_authentication_requirements',
  },

  // The way back from the identity provider
  sign_in_unknown: {
    status: 400,
    responsible: 'person',
    title: 'This sign-in was not started in this browser, or it is over.',
    remedy:
      'Go back to the application and sign in again. If the error returns, allow cookies in this browser: without them, no sign-in can be completed.',
    oauth: 'temporarily_unavailable',
  },
  sign_in_expired: {
    status: 400,
    responsible: 'person',
    title: 'This sign-in has expired.',
    remedy: 'Sign in again.',
    oauth: 'temporarily_unavailable',
  },
  answer_invalid: {
    status: 400,
    responsible: 'provider',
    title: 'The response of the identity provider is invalid.',
    remedy: 'Sign in again. If the error returns, send the reference to the operator of the broker.',
    oauth: 'server_error',
  },
  issuer_mismatch: {
    status: 400,
    responsible: 'provider',
    title: 'The response came from another identity provider than the expected one.',
    remedy: 'Sign in again from the application. Do not use a link that you received in a message.',
    oauth: 'server_error',
  },
  sign_in_cancelled: {
    status: 403,
    responsible: 'person',
    title: 'The sign-in was cancelled.',
    remedy:
      'Sign in again, or go back to the application. If you did not cancel, you may not be permitted to use this application: ask your administrator.',
    oauth: 'access_denied',
  },
  provider_refused: {
    status: 403,
    responsible: 'person',
    title: 'The identity provider refused the sign-in.',
    remedy: 'Sign in again. If the error returns, ask your administrator for access to this application.',
    oauth: 'access_denied',
  },
  code_refused: {
    status: 400,
    responsible: 'person',
    title: 'The identity provider no longer accepts this sign-in.',
    remedy: 'Sign in again.',
    oauth: 'temporarily_unavailable',
  },
  guest_not_allowed: {
    status: 403,
    responsible: 'person',
    title: 'You are a guest of the organization that you signed in to.',
    remedy: 'Sign in with an account of your own organization.',
    oauth: 'access_denied',
  },
  personal_account_not_allowed: {
    status: 403,
    responsible: 'person',
    title: 'You signed in with a personal account.',
    remedy: 'Sign in with the account of your organization (work or school).',
    oauth: 'access_denied',
  },
  tenant_not_allowed: {
    status: 403,
    responsible: 'person',
    title: 'Your organization has no access to this application.',
    remedy:
      'Sign in with an account of another organization. If yours is to use this application, ask its administrator to sign it up.',
    oauth: 'access_denied',
  },
  tenant_suspended: {
    status: 403,
    responsible: 'person',
    title: 'The access of your organization to this application is suspended.',
    remedy: 'Ask the administrator of your organization, or sign in with an account of another organization.',
    oauth: 'access_denied',
  },
  sign_up_closed: {
    status: 404,
    responsible: 'person',
    title: 'Organizations cannot sign up here.',
    remedy: 'Ask the operator of the application to add your organization.',
  },
  sign_up_not_permitted: {
    status: 403,
    responsible: 'person',
    title: 'You may not sign your organization up.',
    remedy:
      'Ask an administrator of your organization to sign it up: a Global Administrator, Privileged Role Administrator, Cloud Application Administrator or Application Administrator.',
  },
  sign_up_not_invited: {
    status: 403,
    responsible: 'person',
    title: 'Your organization is not invited to sign up.',
    remedy:
      'Ask the operator of the application for an invitation, or sign up with an account of an invited organization.',
  },
  sign_up_mismatch: {
    status: 403,
    responsible: 'person',
    title: 'The consent was given for another organization than that of your account.',
    remedy: 'Sign up again, with one account for both steps.',
  },
  consent_refused: {
    status: 403,
    responsible: 'person',
    title: 'The administrator did not consent to the application.',
    remedy: 'Sign up again and accept the permissions, or go back to the application.',
  },
  id_token_refused: {
    status: 502,
    responsible: 'provider',
    title: 'The identity provider’s response failed verification.',
    remedy: 'Sign in again. If the error returns, send the reference to the operator of the broker.',
  },

  // The session
  signed_out: {
    status: 401,
    responsible: 'person',
    title: 'You are not signed in.',
    remedy: 'Send the browser to sign_in_url with the parameter return_url added.',
    oauth: 'invalid_grant',
  },
  interaction_required: {
    status: 403,
    responsible: 'person',
    title: 'The identity provider requires an interactive sign-in.',
    remedy:
      'Send the browser to sign_in_url with the parameter return_url added (an OAuth client adds redirect_uri, state and its code challenge). The session is kept.',
    oauth: 'interaction_required',
  },
  sign_out_unknown: {
    status: 400,
    responsible: 'person',
    title: 'This sign-out was not started here, or it is over.',
    remedy: 'You can close this page.',
  },

  logout_token_refused: {
    status: 400,
    responsible: 'provider',
    title: 'The logout token is invalid.',
    remedy: 'Send one new logout token, once, that the identity provider signed for this application.',
  },

  // The broker's own parts
  settings_invalid: {
    status: 503,
    responsible: 'operator',
    title: 'The broker’s settings are invalid.',
    remedy: 'Correct the settings that are named, then restart the broker.',
  },
  proxy_unavailable: {
    status: 503,
    responsible: 'operator',
    title: 'The network proxy does not let the broker reach another service.',
    remedy: `${retry} Operator: check HTTPS_PROXY (an http or https address, with the user name and password that the proxy needs), or name the host in NO_PROXY; the log contains the proxy’s answer.`,
  },
  managed_identity_unavailable: {
    status: 503,
    responsible: 'operator',
    title: 'The broker gets no token for its managed identity.',
    remedy: `${retry} Operator: check that the user-assigned identity is attached and AZURE_CLIENT_ID names it (on a laptop: az login).`,
  },
  vault_unavailable: {
    status: 503,
    responsible: 'operator',
    title: 'The vault that holds the broker’s certificate does not answer.',
    remedy: `${retry} Operator: check that the vault is reachable from the function app.`,
  },
  vault_throttled: {
    status: 503,
    responsible: 'operator',
    title: 'The vault that holds the broker’s certificate limits requests.',
    remedy: `${retry} Operator: look for other applications that use this vault.`,
  },
  vault_forbidden: {
    status: 503,
    responsible: 'operator',
    title: 'The vault denies access to the broker.',
    remedy: `${retry} Operator: grant the broker’s identity certificates get and list, and keys get, sign, wrapKey and unwrapKey.`,
  },
  certificate_missing: {
    status: 503,
    responsible: 'operator',
    title: 'The broker’s certificate is not in the vault.',
    remedy: `${retry} Operator: create the certificate that the settings name.`,
  },
  certificate_disabled: {
    status: 503,
    responsible: 'operator',
    title: 'Every version of the broker’s certificate is disabled.',
    remedy: `${retry} Operator: enable a version, or create a new one and register it.`,
  },
  certificate_expired: {
    status: 503,
    responsible: 'operator',
    title: 'The broker’s certificate has expired.',
    remedy: `${retry} Operator: create a new version of the certificate and register its public part at the identity provider.`,
  },
  certificate_not_yet_valid: {
    status: 503,
    responsible: 'operator',
    title: 'The broker’s certificate is not valid yet.',
    remedy: `${retry} Operator: check the clock and the certificate’s NotBefore.`,
  },
  certificate_without_dates: {
    status: 503,
    responsible: 'operator',
    title: 'A version of the broker’s certificate has no NotBefore or no Expires.',
    remedy: `${retry} Operator: disable that version and create a new one with both dates.`,
  },
  wrapping_key_missing: {
    status: 503,
    responsible: 'operator',
    title: 'The key that protects the broker’s sessions is not in the vault.',
    remedy: `${retry} Operator: create or recover the key that Broker__WrappingKeyName names (RSA, wrapKey and unwrapKey).`,
  },
  wrapping_key_cannot_sign: {
    status: 503,
    responsible: 'operator',
    title: 'The key that protects the broker’s sessions may not sign.',
    remedy: `${retry} Operator: allow the key that Broker__WrappingKeyName names the operation sign: az keyvault key set-attributes --vault-name <vault> --name <wrapping key> --ops sign wrapKey unwrapKey.`,
  },
  signature_invalid: {
    status: 503,
    responsible: 'operator',
    title: 'The vault returned a signature that does not verify.',
    remedy: `${retry} Operator: look for a proxy between the broker and the vault, and read the detail in the log under the reference.`,
  },
  key_ring_unreadable: {
    status: 503,
    responsible: 'operator',
    title: 'The keys that protect the broker’s sessions cannot be read.',
    remedy: `${retry} Operator: enable the version of the wrapping key that wrapped the key ring’s row, restore that row, or delete it (its sessions end).`,
  },
  store_unavailable: {
    status: 503,
    responsible: 'operator',
    title: 'The store that holds the sessions does not answer.',
    remedy: `${retry} Operator: check that the table service is reachable and that the identity has the role Storage Table Data Contributor.`,
  },
  client_refused: {
    status: 503,
    responsible: 'operator',
    title: 'The identity provider does not accept the broker’s certificate.',
    remedy: `${retry} Operator: register the certificate’s public part at the provider; check AzureAd__ClientId and the tenant; at another provider, check the assertion’s settings in docs/providers.md; check the clock where the log contains 700024.`,
  },
  certificate_refused: {
    status: 503,
    responsible: 'operator',
    title: 'The identity provider does not accept this version of the broker’s certificate.',
    remedy:
      'Wait some minutes if the version was just registered. Otherwise register it as docs/certificate.md describes.',
  },
  app_registration_invalid: {
    status: 503,
    responsible: 'operator',
    title: 'The broker’s registration at the identity provider is incorrect.',
    remedy: `${retry} Operator: the log names the provider’s error, and for an AADSTS number its remedy; docs/providers.md describes the registration.`,
  },
  registration_refused: {
    status: 503,
    responsible: 'operator',
    title: 'Microsoft Graph refuses to register the broker’s certificate.',
    remedy:
      'Check Broker__ApplicationObjectId (the app registration, not its service principal). Where a policy forbids it, register the new version by hand as docs/certificate.md describes.',
  },
  tenant_unknown: {
    status: 404,
    responsible: 'operator',
    title: 'No tenant with this id signed up.',
    remedy: 'Send the id of a tenant that signed up, or add the tenant first.',
  },
  tenant_row_invalid: {
    status: 503,
    responsible: 'operator',
    title: 'The row of a tenant that signed up does not count.',
    remedy:
      'Enable the version of the wrapping key that signed the row, or add the tenant again. Find out who wrote the row if the signature does not verify.',
  },
  certificate_version_unknown: {
    status: 404,
    responsible: 'operator',
    title: 'The broker’s certificate has no such version.',
    remedy: 'Send the 32 hex digits of a version that npm run certificate -- status lists.',
  },
  provider_unavailable: {
    status: 503,
    responsible: 'provider',
    title: 'The identity provider does not answer.',
    remedy: retry,
  },
  provider_throttled: {
    status: 503,
    responsible: 'provider',
    title: 'The identity provider limits requests.',
    remedy: retry,
  },
  provider_answer_invalid: {
    status: 503,
    responsible: 'provider',
    title: 'The identity provider sent an invalid response.',
    remedy: `${retry} Operator: read the detail in the log under the reference.`,
  },
  provider_metadata_untrusted: {
    status: 503,
    responsible: 'operator',
    title: 'The identity provider’s metadata names another issuer than the settings.',
    remedy: `${retry} Operator: check AzureAd__Instance and AzureAd__TenantId, or Broker__Authority, against the issuer in the log.`,
  },
  provider_unsuitable: {
    status: 503,
    responsible: 'operator',
    title: 'The identity provider lacks a feature that the broker needs.',
    remedy: `${retry} Operator: the log names the missing feature; docs/providers.md describes the setting for it.`,
  },
  provider_unknown: {
    status: 503,
    responsible: 'operator',
    title: 'This sign-in began at an identity provider that is no longer configured.',
    remedy: 'Go back to the application and sign in again.',
  },
  renewal_pending: {
    status: 503,
    responsible: 'operator',
    title: 'The access token is being renewed and is not available yet.',
    remedy: retry,
  },
  internal: {
    status: 500,
    responsible: 'operator',
    title: 'The broker failed unexpectedly.',
    remedy: 'Try again. If the error returns, send the reference to the operator of the broker.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorCatalogue

/**
 * A remedy for a passing fault: one sentence for the person, then the fix for the operator, which begins in lower case.
 */
export function forOperator(fix: string): string {
  return `${retry} Operator: ${fix}`
}

/** The error value for an OAuth client (RFC 6749 §4.1.2.1 and §5.2). */
export function oauthErrorOf(code: ErrorCode): string {
  const { oauth, status }: ErrorEntry = errorCatalogue[code]
  if (oauth !== undefined) return oauth
  if (status === 503) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}
