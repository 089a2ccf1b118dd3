/**
 * Reads a provider's error responses (RFC 6749 §4.1.2.1 and §5.2, OpenID Connect Core §3.1.2.6). Decisions rest on
 * `error`, `suberror` and `claims`, never on text; an unknown value ends no session.
 */
import { isText } from '../json/json.ts'
import { BrokerError } from '../errors/errors.ts'
import type { AuthorizationRefusal, Json, TokenRequestKind } from './provider.ts'

/**
 * OpenID Connect Core §3.1.2.6 and Unmet Authentication Requirements 1.0; at the token endpoint, `access_denied` is the
 * refusal of a policy (Okta, Auth0). Auth0 also has `mfa_required`, and `unauthorized` for a person who is blocked.
 */
const interactionErrors = new Set([
  'interaction_required',
  'login_required',
  'consent_required',
  'account_selection_required',
  'unmet_authentication_requirements',
  'access_denied',
  'mfa_required',
  'unauthorized',
])

/** Reasons that require an action of the person, beside an `invalid_grant` that would otherwise end the session. */
const interactionSuberrors = new Set([
  'basic_action',
  'additional_action',
  'consent_required',
  'message_only',
  'user_password_expired',
])

/**
 * @param answer the body of the token endpoint's error response; untrusted
 * @returns `interaction_required`, `signed_out` (refresh), `provider_refused`, `code_refused` (code), `client_refused`,
 *   `app_registration_invalid`, `provider_unavailable`, `provider_answer_invalid`
 */
export function readRefusal(answer: Json, request: TokenRequestKind): BrokerError {
  const detail = describeRefusal(answer)
  if (request !== 'client' && requiresInteraction(answer)) {
    if (request === 'code') return new BrokerError('provider_refused', { detail })
    const { claims } = answer
    const members = isText(claims) && claims.length <= 4096 ? { claims } : {}
    return new BrokerError('interaction_required', { detail, members })
  }
  switch (answer.error) {
    case 'invalid_grant':
      if (request === 'code') return new BrokerError('code_refused', { detail })
      if (request === 'refresh') return new BrokerError('signed_out', { detail })
      return new BrokerError('provider_answer_invalid', { detail })
    case 'invalid_code':
      // Glewlwyd, in place of invalid_grant. The probe of a certificate's version sends such a code.
      return new BrokerError(request === 'code' ? 'code_refused' : 'provider_answer_invalid', { detail })
    case 'invalid_client':
    case 'unauthorized_client':
      return new BrokerError('client_refused', { detail })
    case 'temporarily_unavailable':
    case 'server_error':
      return new BrokerError('provider_unavailable', { detail })
    // RFC 6749 §5.2, RFC 8707 §2: the request does not fit the registration; waiting does not help.
    case 'unsupported_grant_type':
    case 'invalid_scope':
    case 'invalid_target':
    case 'invalid_resource':
      return new BrokerError('app_registration_invalid', { detail })
    default:
      return new BrokerError('provider_answer_invalid', { detail })
  }
}

function requiresInteraction({ error, suberror, claims }: Json): boolean {
  if (isText(error) && interactionErrors.has(error)) return true
  return error === 'invalid_grant' && ((isText(suberror) && interactionSuberrors.has(suberror)) || isText(claims))
}

/** Codes only: the provider's text may quote what was sent. */
export function describeRefusal({ error, suberror, error_codes }: Json): string {
  const name = (value: unknown) => (typeof value === 'string' && /^[a-z_]{1,40}$/.test(value) ? value : '?')
  const numbers = Array.isArray(error_codes) ? error_codes.filter((code) => typeof code === 'number').slice(0, 5) : []
  return [name(error), suberror === undefined ? '' : name(suberror), numbers.join(',')].filter(Boolean).join(' ')
}

/** The request does not fit the registration. RFC 6749 §4.1.2.1, RFC 8707 §2. */
const registrationErrors = new Set([
  // For example where the registration requires pushed authorization requests, or signed ones.
  'invalid_request',
  'invalid_request_object',
  'unauthorized_client',
  'unsupported_response_type',
  'unsupported_response_mode',
  'invalid_scope',
  'invalid_target',
  'invalid_resource',
])

/** OpenID Connect Core §3.1.2.6: answers to a request that forbids a page. */
const pageErrors = new Set(['login_required', 'interaction_required', 'consent_required', 'account_selection_required'])

/**
 * @returns `sign_in_cancelled`, `sign_in_expired`, `provider_unavailable`, `app_registration_invalid`,
 *   `login_required`, `authentication_requirement_unmet`, `provider_refused`
 */
export function readAuthorizationRefusal({ error, subError, description }: AuthorizationRefusal): BrokerError {
  // Azure AD B2C, where its policy has no password reset: the application would have to begin another policy.
  if (error === 'access_denied' && description?.startsWith('AADB2C90118') === true) {
    return new BrokerError('provider_refused', { detail: 'AADB2C90118: use a policy with self-service password reset' })
  }
  // RFC 6749 §4.1.2.1: the person or the provider denied the request. Most providers do not distinguish the two.
  if (error === 'access_denied' && (subError === undefined || subError === 'cancel')) {
    return new BrokerError('sign_in_cancelled')
  }
  // Keycloak's answer to a sign-in page that was open for too long, or that the browser restored.
  if (error === 'temporarily_unavailable' && description === 'authentication_expired') {
    return new BrokerError('sign_in_expired', { detail: description })
  }
  if (error === 'temporarily_unavailable' || error === 'server_error') return new BrokerError('provider_unavailable')
  if (registrationErrors.has(error)) return new BrokerError('app_registration_invalid', { detail: error })
  if (pageErrors.has(error)) return new BrokerError('login_required', { detail: error })
  // Unmet Authentication Requirements 1.0: the provider cannot authenticate the person by the requested `acr`.
  if (error === 'unmet_authentication_requirements') return new BrokerError('authentication_requirement_unmet')
  return new BrokerError('provider_refused', { detail: error === 'access_denied' ? error : 'another error' })
}
