/** The provider's metadata as Entra writes it; what a browser visits is on http and another name than the rest. */
import type { Surroundings } from './configuration.ts'
import { issuerOf } from './token-answer.ts'

export function discoveryDocument({ origin, paths, settings, authority, isForMany }: Surroundings, browserUrl: string) {
  return {
    token_endpoint: `${origin}${paths.token}`,
    token_endpoint_auth_methods_supported: ['private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['PS256', 'RS256'],
    jwks_uri: `${origin}${paths.keys}`,
    response_modes_supported: ['query', 'fragment', 'form_post'],
    subject_types_supported: ['pairwise'],
    id_token_signing_alg_values_supported: ['RS256'],
    // As Entra lists them, whatever the registration of an application allows.
    response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    issuer: issuerOf(origin, isForMany ? '{tenantid}' : authority),
    request_uri_parameter_supported: false,
    // No certificate warning for people, and 127.0.0.1 stays another site than localhost.
    authorization_endpoint: `${browserUrl}${paths.authorize}`,
    end_session_endpoint: `${browserUrl}${paths.logout}`,
    http_logout_supported: false,
    claims_supported: [
      'sub',
      'iss',
      'aud',
      'exp',
      'iat',
      'auth_time',
      'nonce',
      'preferred_username',
      'name',
      'tid',
      'ver',
      'oid',
      'sid',
      'login_hint',
      'email',
    ],
    tenant_region_scope: null,
    cloud_instance_name: 'localhost',
    ...(settings.announceIssuer ? { authorization_response_iss_parameter_supported: true } : {}),
  }
}
