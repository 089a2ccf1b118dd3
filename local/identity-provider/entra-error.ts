/** The provider's errors in Entra's words: AADSTS numbers, `suberror`, and the shape of the token endpoint's answer. */
import { randomUUID } from 'node:crypto'

interface EntraErrorKind {
  readonly status: number
  readonly error: string
  readonly code: number
  readonly suberror?: string
  readonly text: string
}

/** Microsoft documents that clients must not depend on the numbers; they are here because people search for them. */
const kinds = {
  assertion_missing: {
    status: 401,
    error: 'invalid_client',
    code: 7000218,
    text: "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  },
  certificate_unknown: {
    status: 401,
    error: 'invalid_client',
    code: 700027,
    text: 'The certificate with identifier used to sign the client assertion is not registered on application.',
  },
  assertion_malformed: {
    status: 401,
    error: 'invalid_client',
    code: 50027,
    text: 'JWT token is invalid or malformed.',
  },
  assertion_signature: {
    status: 401,
    error: 'invalid_client',
    code: 700027,
    text: 'Client assertion failed signature validation.',
  },
  assertion_time: {
    status: 401,
    error: 'invalid_client',
    code: 700024,
    text: 'Client assertion is not within its valid time range.',
  },
  assertion_audience: {
    status: 401,
    error: 'invalid_client',
    code: 700023,
    text: 'Client assertion audience claim does not match Realm issuer.',
  },
  assertion_application: {
    status: 401,
    error: 'invalid_client',
    code: 700021,
    text: "Client assertion application identifier doesn't match 'client_id' parameter.",
  },
  federated_issuer: {
    status: 401,
    error: 'invalid_client',
    code: 700211,
    text: 'No matching federated identity record found for presented assertion issuer.',
  },
  federated_subject: {
    status: 401,
    error: 'invalid_client',
    code: 700213,
    text: 'No matching federated identity record found for presented assertion subject.',
  },
  federated_audience: {
    status: 401,
    error: 'invalid_client',
    code: 700212,
    text: 'No matching federated identity record found for presented assertion audience.',
  },
  application_unknown: {
    status: 400,
    error: 'unauthorized_client',
    code: 700016,
    text: 'Application with this identifier was not found in the directory.',
  },
  redirect_uri_unknown: {
    status: 400,
    error: 'invalid_request',
    code: 50011,
    text: 'The redirect URI specified in the request does not match the redirect URIs configured for the application.',
  },
  parameter_missing: {
    status: 400,
    error: 'invalid_request',
    code: 900144,
    text: 'The request body must contain a parameter that is missing.',
  },
  request_invalid: {
    status: 400,
    error: 'invalid_request',
    code: 90013,
    text: 'Invalid input received from the user.',
  },
  grant_type_unknown: {
    status: 400,
    error: 'unsupported_grant_type',
    code: 70003,
    text: "The app requested an unsupported grant type in the parameter 'grant_type'.",
  },
  pkce_missing: {
    status: 400,
    error: 'invalid_request',
    code: 9002325,
    text: 'Proof Key for Code Exchange is required for this application.',
  },
  code_redeemed: {
    status: 400,
    error: 'invalid_grant',
    code: 54005,
    text: 'OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.',
  },
  code_expired: {
    status: 400,
    error: 'invalid_grant',
    code: 70008,
    text: 'The provided authorization code or refresh token has expired due to inactivity.',
  },
  verifier_mismatch: {
    status: 400,
    error: 'invalid_grant',
    code: 501481,
    text: 'The Code_Verifier does not match the code_challenge supplied in the authorization request.',
  },
  redirect_uri_mismatch: {
    status: 400,
    error: 'invalid_grant',
    code: 500112,
    text: 'The reply address does not match the reply address provided when requesting Authorization code.',
  },
  grant_invalid: {
    status: 400,
    error: 'invalid_grant',
    code: 70000,
    text: 'Provided grant is invalid or malformed.',
  },
  refresh_token_expired: {
    status: 400,
    error: 'invalid_grant',
    code: 700082,
    text: 'The refresh token has expired due to inactivity.',
  },
  refresh_token_revoked: {
    status: 400,
    error: 'invalid_grant',
    code: 50173,
    suberror: 'bad_token',
    text: 'The provided grant has expired due to it being revoked, a fresh auth token is needed.',
  },
  person_disabled: {
    status: 400,
    error: 'invalid_grant',
    code: 50057,
    text: 'The user account is disabled.',
  },
  person_unknown: {
    status: 400,
    error: 'invalid_grant',
    code: 50034,
    text: 'The user account does not exist in this directory.',
  },
  second_factor_needed: {
    status: 400,
    error: 'invalid_grant',
    code: 50076,
    suberror: 'basic_action',
    text: 'Due to a configuration change made by your administrator, you must use multi-factor authentication.',
  },
  resource_unknown: {
    status: 400,
    error: 'invalid_resource',
    code: 500011,
    text: 'The resource principal was not found in the tenant.',
  },
  scope_unknown: {
    status: 400,
    error: 'invalid_client',
    code: 650053,
    text: "The application asked for a scope that doesn't exist on the resource.",
  },
  claims_malformed: {
    status: 400,
    error: 'invalid_request',
    code: 9002346,
    text: "The 'claims' parameter is not a JSON object.",
  },
  sign_in_needed: {
    status: 400,
    error: 'login_required',
    code: 50058,
    text: 'A silent sign-in request was sent but no user is signed in.',
  },
  selection_needed: {
    status: 400,
    error: 'interaction_required',
    code: 16000,
    text: 'The user must select an account to sign in with.',
  },
  consent_needed: {
    status: 400,
    error: 'consent_required',
    code: 65001,
    text: 'The user or administrator has not consented to use the application.',
  },
  consent_declined: {
    status: 400,
    error: 'access_denied',
    code: 65004,
    text: 'User declined to consent to access the app.',
  },
  response_type_disabled: {
    status: 400,
    error: 'unsupported_response_type',
    code: 700054,
    text: "response_type 'id_token' is not enabled for the application.",
  },
  tenant_not_named: {
    status: 400,
    error: 'invalid_request',
    code: 50059,
    text: 'No tenant-identifying information found in either the request or implied by any provided credentials.',
  },
  administrator_needed: {
    status: 403,
    error: 'access_denied',
    code: 90094,
    text: 'The grant requires administrator permission.',
  },
  tenant_unknown: { status: 400, error: 'invalid_tenant', code: 90002, text: 'Tenant not found.' },
  transport_insecure: {
    status: 400,
    error: 'invalid_request',
    code: 900382,
    text: 'The token endpoint is served over https only.',
  },
} satisfies Record<string, EntraErrorKind>

export type EntraErrorName = keyof typeof kinds

/** An error with a number of Entra's; what the caller sees is made by {@link errorAnswer}. */
export class EntraError extends Error {
  readonly kind: EntraErrorKind
  /** The claims challenge that the application passes on. */
  readonly claims: string | undefined

  constructor(name: EntraErrorName, more = '', claims?: string) {
    const kind: EntraErrorKind = kinds[name]
    super(`AADSTS${kind.code}: ${kind.text}${more && ` ${more}`}`)
    this.kind = kind
    this.claims = claims
  }
}

/** The body of a 4xx of the token endpoint. */
export interface ErrorAnswer {
  readonly error: string
  readonly error_description: string
  readonly error_codes?: readonly number[]
  readonly suberror?: string
  readonly claims?: string
  readonly timestamp: string
  readonly trace_id: string
  readonly correlation_id: string
  readonly error_uri?: string
}

export interface ScriptedError {
  readonly error: string
  readonly error_codes?: readonly number[]
  readonly suberror?: string
  /** JSON text, as Entra answers it. */
  readonly claims?: string
  readonly error_description?: string
}

export function errorAnswer(error: EntraError): ErrorAnswer {
  const { kind, message, claims } = error
  return describeError({
    error: kind.error,
    error_description: message,
    error_codes: [kind.code],
    ...(kind.suberror === undefined ? {} : { suberror: kind.suberror }),
    ...(claims === undefined ? {} : { claims }),
  })
}

/** Entra's envelope for any error, also for one that a test wrote. */
export function describeError(given: ScriptedError): ErrorAnswer {
  const code = given.error_codes?.[0]
  const [trace_id, correlation_id] = [randomUUID(), randomUUID()]
  const timestamp = new Date()
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')
  const described = given.error_description ?? (code === undefined ? given.error : `AADSTS${code}: ${given.error}.`)
  return {
    ...given,
    error_description: `${described} Trace ID: ${trace_id} Correlation ID: ${correlation_id} Timestamp: ${timestamp}`,
    timestamp,
    trace_id,
    correlation_id,
    ...(code === undefined ? {} : { error_uri: `https://login.microsoftonline.com/error?code=${code}` }),
  }
}

/** The error of oidc-provider; `detail` separates causes that its public answer does not. */
export interface ProviderFailure {
  readonly error: string
  readonly detail: string
}

const namesByDetail: readonly (readonly [RegExp, EntraErrorName])[] = [
  [/policy requires PKCE/, 'pkce_missing'],
  [/response_type is not allowed/, 'response_type_disabled'],
  [/^authorization code already consumed/, 'code_redeemed'],
  [/^authorization code is expired/, 'code_expired'],
  [/code_verifier|code_challenge/, 'verifier_mismatch'],
  [/redirect_uri mismatch/, 'redirect_uri_mismatch'],
  [/^refresh token is expired/, 'refresh_token_expired'],
  [/referenced account not found/, 'person_disabled'],
  [/^missing required parameter/, 'parameter_missing'],
  [/post_logout_redirect_uri not registered/, 'redirect_uri_unknown'],
]

const namesByError: Readonly<Record<string, EntraErrorName>> = {
  invalid_grant: 'grant_invalid',
  unsupported_grant_type: 'grant_type_unknown',
  login_required: 'sign_in_needed',
  account_selection_required: 'selection_needed',
  consent_required: 'consent_needed',
  interaction_required: 'sign_in_needed',
  access_denied: 'consent_declined',
  invalid_redirect_uri: 'redirect_uri_unknown',
  invalid_client: 'application_unknown',
}

/**
 * Entra's number for what oidc-provider refused. Its texts are those of the pinned version; an unknown one is 90013.
 */
export function nameProviderFailure({ error, detail }: ProviderFailure): EntraErrorName {
  return namesByDetail.find(([text]) => text.test(detail))?.[1] ?? namesByError[error] ?? 'request_invalid'
}
