/**
 * Metadata of the broker for its OAuth clients: as authorization server (RFC 8414) and as OpenID provider (OpenID
 * Connect Discovery §3). It names only features that work.
 */
import { urlOf } from '../http/routes.ts'
import { openidScopes } from '../settings/openid-scopes.ts'
import { clientAssertionAlgorithms } from './client-authentication.ts'

/**
 * True where a client looks for the metadata of this issuer. RFC 8414 §3.1.
 *
 * @param path behind the well-known one, without the first slash; untrusted. Without it, the client means the broker
 */
export function isPathOf(issuer: string, path = ''): boolean {
  const issuerPath = path.replace(/\/$/, '')
  return issuerPath === '' || `/${issuerPath}` === new URL(issuer).pathname
}

/** @param issuer the broker's base URL */
export function authorizationServerMetadata(issuer: string): Readonly<Record<string, unknown>> {
  return {
    issuer,
    authorization_endpoint: urlOf(issuer, 'login'),
    token_endpoint: urlOf(issuer, 'token'),
    revocation_endpoint: urlOf(issuer, 'revoke'),
    // Not /.well-known/jwks.json: those keys prove the broker to the identity provider, and sign no token for a client.
    jwks_uri: urlOf(issuer, 'idTokenKeys'),
    // Without the scopes of APIs: those belong to one client (RFC 8414 §2).
    scopes_supported: openidScopes,
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: clientAssertionAlgorithms,
    revocation_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    revocation_endpoint_auth_signing_alg_values_supported: clientAssertionAlgorithms,
    authorization_response_iss_parameter_supported: true,
    prompt_values_supported: ['none', 'login', 'select_account', 'consent'],
  }
}

/** @param issuer the broker's base URL */
export function openidProviderMetadata(issuer: string): Readonly<Record<string, unknown>> {
  return {
    ...authorizationServerMetadata(issuer),
    userinfo_endpoint: urlOf(issuer, 'userinfo'),
    end_session_endpoint: urlOf(issuer, 'endSession'),
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256', 'ES256'],
    claim_types_supported: ['normal'],
    claims_supported: [
      ...['iss', 'sub', 'aud', 'exp', 'iat', 'auth_time', 'acr', 'nonce', 'at_hash', 'sid'],
      ...['name', 'preferred_username', 'email', 'email_verified', 'oid', 'tid'],
      ...['address', 'phone_number', 'phone_number_verified'],
    ],
    claims_parameter_supported: true,
    // The defaults of the first is false and of the last true; both are written out.
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
  }
}
