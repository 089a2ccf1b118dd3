/**
 * Every failure that leaves the broker: its stable code, HTTP status, who can mend it, and a sentence that says what
 * to do. docs/errors.md is made from this list (`npm run generate`). Codes are part of the public contract.
 */

/** Who can do something about it. */
export type ResponsibleParty = 'person' | 'front end' | 'operator' | 'provider'

interface ErrorEntry {
  readonly status: number
  readonly responsible: ResponsibleParty
  /** What happened, for the person who sees the page. */
  readonly title: string
  /** What to do about it. */
  readonly remedy: string
  /** How an OAuth client is told (RFC 6749 §4.1.2.1 and §5.2); `server_error` or `invalid_request` by status otherwise. */
  readonly oauth?: string
}

const retry = 'Wait a moment and try again; you have not been signed out.'

export const errorCatalogue = {
  // The request of a front end
  parameter_repeated: {
    status: 400,
    responsible: 'front end',
    title: 'The request names a parameter twice.',
    remedy: 'Send each parameter once.',
  },
  parameter_invalid: {
    status: 400,
    responsible: 'front end',
    title: 'The request has a parameter that cannot be used.',
    remedy: 'Correct the parameter that is named; docs/front-ends.md and docs/oauth.md list what each may hold.',
  },
  front_end_missing: {
    status: 400,
    responsible: 'front end',
    title: 'The request does not say which front end it is for.',
    remedy: 'Add the parameter frontend with the id that is registered in Broker__FrontEnds.',
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
    title: 'The request names one front end and comes from another.',
    remedy: 'Call with the id of the front end that the page belongs to, or leave the parameter frontend out.',
  },
  front_end_kind_mismatch: {
    status: 400,
    responsible: 'front end',
    title: 'This front end is registered as an OAuth client, which has no session cookie.',
    remedy: 'Use /login with client_id, and /token; or register the front end as kind session.',
  },
  front_end_cross_site: {
    status: 403,
    responsible: 'front end',
    title: 'This front end is on another site than the broker, so browsers send no session cookie.',
    remedy:
      'Put the front end and the broker under one domain of your own (app.example.com, login.example.com), or register it as an OAuth client.',
  },
  return_url_invalid: {
    status: 400,
    responsible: 'front end',
    title: 'The return URL cannot be used.',
    remedy: 'Give an absolute URL of at most 1 KB on an origin that is registered for the front end.',
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
    title: 'The sign-in asks for a prompt that this front end may not ask for.',
    remedy: 'Use a prompt that is registered for the front end, or add it to prompts in Broker__FrontEnds.',
  },
  scope_not_registered: {
    status: 400,
    responsible: 'front end',
    title: 'The request asks for a scope that is not registered for this front end.',
    remedy: 'Ask only for scopes of the APIs that are registered for the front end in Broker__FrontEnds.',
    oauth: 'invalid_scope',
  },
  claims_not_allowed: {
    status: 400,
    responsible: 'front end',
    title: 'The claims challenge cannot be passed on.',
    remedy: 'Pass on the claims challenge exactly as the API or the broker gave it.',
  },
  prefetch_refused: {
    status: 403,
    responsible: 'front end',
    title: 'A sign-in is not begun by a prefetch.',
    remedy: 'Follow the link itself; exclude /login from prefetching.',
  },
  method_not_allowed: {
    status: 405,
    responsible: 'front end',
    title: 'This address does not take that method.',
    remedy: 'Use a method that the header Allow lists.',
  },
  query_too_large: {
    status: 414,
    responsible: 'front end',
    title: 'The address is too long.',
    remedy: 'Send fewer and shorter parameters; docs/front-ends.md has the limits.',
  },
  request_too_large: {
    status: 413,
    responsible: 'front end',
    title: 'The request is too large.',
    remedy: 'Send less; docs/front-ends.md has the limits.',
  },
  content_type_unsupported: {
    status: 415,
    responsible: 'front end',
    title: 'The request has a content type that is not taken here.',
    remedy:
      'Send application/json in UTF-8 to script routes; /token, /revoke and the callback take application/x-www-form-urlencoded.',
  },
  request_not_from_front_end: {
    status: 403,
    responsible: 'front end',
    title: 'The request does not come from a script of the front end.',
    remedy:
      'Call by fetch from a page on an origin that is registered for the front end; /session/token and /logout also want the header Broker-Request: 1.',
  },
  api_unknown: {
    status: 403,
    responsible: 'front end',
    title: 'This API is not registered for this front end.',
    remedy: 'Name an API that is registered for the front end in Broker__FrontEnds.',
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
    remedy: 'Send redirect_uri exactly as it stands in redirectUris in Broker__FrontEnds, or add it there.',
    oauth: 'invalid_request',
  },
  response_type_unsupported: {
    status: 400,
    responsible: 'front end',
    title: 'The authorization request asks for something else than a code.',
    remedy: 'Send response_type=code; answers come in the query.',
    oauth: 'unsupported_response_type',
  },
  code_challenge_missing: {
    status: 400,
    responsible: 'front end',
    title: 'The authorization request has no code challenge that is taken.',
    remedy: 'Send code_challenge with code_challenge_method=S256 (PKCE, RFC 7636).',
    oauth: 'invalid_request',
  },
  grant_type_unsupported: {
    status: 400,
    responsible: 'front end',
    title: 'The token request has a grant type that is not taken here.',
    remedy: 'Send grant_type=authorization_code or grant_type=refresh_token.',
    oauth: 'unsupported_grant_type',
  },
  grant_invalid: {
    status: 400,
    responsible: 'front end',
    title: 'The code or refresh token is not good, or not any more.',
    remedy:
      'Begin a new authorization request; a code and a refresh token are used once, by the client and with the values they were made for.',
    oauth: 'invalid_grant',
  },
  login_required: {
    status: 400,
    responsible: 'person',
    title: 'Nobody can be signed in without being asked.',
    remedy: 'Send the authorization request again without prompt=none.',
    oauth: 'login_required',
  },

  // The way back from the identity provider
  sign_in_unknown: {
    status: 400,
    responsible: 'person',
    title: 'This sign-in was not begun in this browser, or it is over.',
    remedy: 'Go back to the application and sign in again.',
  },
  sign_in_expired: {
    status: 400,
    responsible: 'person',
    title: 'This sign-in took too long.',
    remedy: 'Sign in again.',
  },
  answer_invalid: {
    status: 400,
    responsible: 'provider',
    title: 'The answer of the identity provider cannot be used.',
    remedy: 'Sign in again. If it happens again, give the reference to whoever runs the broker.',
  },
  issuer_mismatch: {
    status: 400,
    responsible: 'provider',
    title: 'The answer came from another identity provider than the one that was asked.',
    remedy: 'Sign in again from the application, not from a link that somebody sent.',
  },
  sign_in_cancelled: {
    status: 403,
    responsible: 'person',
    title: 'The sign-in was cancelled.',
    remedy: 'Sign in again, or go back to the application.',
    oauth: 'access_denied',
  },
  provider_refused: {
    status: 403,
    responsible: 'person',
    title: 'The identity provider did not sign you in.',
    remedy: 'Sign in again. If it happens again, ask your administrator whether you may use this application.',
    oauth: 'access_denied',
  },
  code_refused: {
    status: 400,
    responsible: 'person',
    title: 'The identity provider no longer knows this sign-in.',
    remedy: 'Sign in again.',
  },
  id_token_refused: {
    status: 502,
    responsible: 'provider',
    title: 'The identity provider vouched for this sign-in in a way that cannot be trusted.',
    remedy: 'Sign in again. If it happens again, give the reference to whoever runs the broker.',
  },

  // The session
  signed_out: {
    status: 401,
    responsible: 'person',
    title: 'Nobody is signed in.',
    remedy: 'Send the browser to sign_in_url, with return_url added to it.',
    oauth: 'invalid_grant',
  },
  interaction_required: {
    status: 403,
    responsible: 'person',
    title: 'The identity provider asks for something more from the person.',
    remedy:
      'Send the browser to sign_in_url, with return_url added to it (an OAuth client adds redirect_uri, state and its challenge); the session stays.',
    oauth: 'interaction_required',
  },
  sign_out_unknown: {
    status: 400,
    responsible: 'person',
    title: 'This sign-out was not begun here, or it is long over.',
    remedy: 'You can close this page.',
  },

  logout_token_refused: {
    status: 400,
    responsible: 'provider',
    title: 'The logout token cannot be used.',
    remedy: 'Send one logout token that the identity provider signed for this application a moment ago, once.',
  },

  // The broker's own parts
  settings_invalid: {
    status: 503,
    responsible: 'operator',
    title: 'The broker is not set up correctly.',
    remedy: 'Correct the settings that are named, then start the broker again.',
  },
  managed_identity_unavailable: {
    status: 503,
    responsible: 'operator',
    title: 'The broker cannot prove who it is to Azure.',
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
    title: 'The vault that holds the broker’s certificate has too much to do.',
    remedy: `${retry} Operator: look for other users of this vault.`,
  },
  vault_forbidden: {
    status: 503,
    responsible: 'operator',
    title: 'The vault refuses the broker.',
    remedy: `${retry} Operator: give the broker’s identity certificates get and list, and keys get, sign, wrapKey and unwrapKey.`,
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
    remedy: `${retry} Operator: enable a version, or make a new one and register it.`,
  },
  certificate_expired: {
    status: 503,
    responsible: 'operator',
    title: 'The broker’s certificate has expired.',
    remedy: `${retry} Operator: make a new version of the certificate and register its public part at the identity provider.`,
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
    remedy: `${retry} Operator: disable that version and make a new one with both dates.`,
  },
  wrapping_key_missing: {
    status: 503,
    responsible: 'operator',
    title: 'The key that protects the broker’s sessions is not in the vault.',
    remedy: `${retry} Operator: create or recover the key that Broker__WrappingKeyName names (RSA, wrapKey and unwrapKey).`,
  },
  key_ring_unreadable: {
    status: 503,
    responsible: 'operator',
    title: 'The keys that protect the broker’s sessions cannot be read.',
    remedy: `${retry} Operator: enable the version of the wrapping key that made the key ring’s row, put that row back, or remove it (its sessions end).`,
  },
  store_unavailable: {
    status: 503,
    responsible: 'operator',
    title: 'The store that holds the sessions does not answer.',
    remedy: `${retry} Operator: check that the table service is reachable and that the identity is Storage Table Data Contributor.`,
  },
  client_refused: {
    status: 503,
    responsible: 'operator',
    title: 'The identity provider does not accept the broker’s certificate.',
    remedy: `${retry} Operator: register the certificate’s public part at the provider; check AzureAd__ClientId and the tenant, or at another provider what docs/providers.md says of the assertion, and the clock where the log says 700024.`,
  },
  certificate_refused: {
    status: 503,
    responsible: 'operator',
    title: 'The identity provider does not accept this version of the broker’s certificate.',
    remedy:
      'Wait: a version that was just registered is accepted after some minutes. Otherwise register it; docs/certificate.md says how.',
  },
  registration_refused: {
    status: 503,
    responsible: 'operator',
    title: 'Microsoft Graph does not let the broker register its certificate.',
    remedy:
      'Check Broker__ApplicationObjectId (the app registration, not its service principal). Where a policy forbids it, register the new version by hand; docs/certificate.md says how.',
  },
  certificate_version_unknown: {
    status: 404,
    responsible: 'operator',
    title: 'The broker knows no such version of its certificate.',
    remedy: 'Name a version that npm run certificate -- status lists, by its 32 hex digits.',
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
    title: 'The identity provider has too much to do.',
    remedy: retry,
  },
  provider_answer_invalid: {
    status: 503,
    responsible: 'provider',
    title: 'The identity provider gave an answer that cannot be used.',
    remedy: `${retry} Operator: look at the detail in the log under the reference.`,
  },
  provider_metadata_untrusted: {
    status: 503,
    responsible: 'operator',
    title: 'The identity provider describes itself as somebody else.',
    remedy: `${retry} Operator: check AzureAd__Instance and AzureAd__TenantId, or Broker__Authority, against the issuer in the log.`,
  },
  provider_unsuitable: {
    status: 503,
    responsible: 'operator',
    title: 'The identity provider does not offer what the broker needs.',
    remedy: `${retry} Operator: the log says what is missing; docs/providers.md has the setting for it.`,
  },
  renewal_pending: {
    status: 503,
    responsible: 'operator',
    title: 'The access token is being renewed and is not there yet.',
    remedy: retry,
  },
  internal: {
    status: 500,
    responsible: 'operator',
    title: 'Something went wrong in the broker.',
    remedy: 'Try again. If it happens again, give the reference to whoever runs the broker.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof errorCatalogue

/** The error's name for an OAuth client. */
export function oauthErrorOf(code: ErrorCode): string {
  const { oauth, status }: ErrorEntry = errorCatalogue[code]
  if (oauth !== undefined) return oauth
  if (status === 503) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}

/** What may be told beside the code. */
export interface ErrorOptions {
  /** For the log only, under the reference; never what could sign someone in. */
  readonly detail?: string
  readonly cause?: unknown
  /** Public members of the problem details, and what a page shows: names and addresses that the reader may see. */
  readonly members?: Readonly<Record<string, unknown>>
  /** For 503: when it is worth trying again. */
  readonly retryAfterSeconds?: number
  /** Links a page offers, most useful first. */
  readonly links?: readonly Link[]
}

export interface Link {
  readonly text: string
  readonly url: string
}

/** The one error class: branch on `code`, never on the message. */
export class BrokerError extends Error {
  readonly code: ErrorCode
  readonly detail: string | undefined
  readonly members: Readonly<Record<string, unknown>>
  readonly retryAfterSeconds: number | undefined
  readonly links: readonly Link[]

  constructor(code: ErrorCode, options: ErrorOptions = {}) {
    super(code, { cause: options.cause })
    this.name = 'BrokerError'
    this.code = code
    this.detail = options.detail
    this.members = options.members ?? {}
    this.retryAfterSeconds = options.retryAfterSeconds
    this.links = options.links ?? []
  }

  get status(): number {
    return errorCatalogue[this.code].status
  }
}

/** Anything thrown, as a BrokerError: what nobody named becomes `internal`, and nothing of its message is shown. */
export function asBrokerError(thrown: unknown): BrokerError {
  return thrown instanceof BrokerError ? thrown : new BrokerError('internal', { cause: thrown })
}

/** True for a fault that may pass by itself, so that a caller can go on with what is still valid. */
export function isPassingFault(error: unknown): boolean {
  return asBrokerError(error).status >= 500
}
