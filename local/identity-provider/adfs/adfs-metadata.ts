/** The documents of AD FS: metadata and keys. */
import type { SigningKeys } from '../signing-keys.ts'
import { paths } from './adfs-parts.ts'
import type { FederationParts } from './adfs-parts.ts'

/** With `alg` and `x5t`, as AD FS publishes its keys. */
export function keySet(keys: SigningKeys): object {
  return {
    keys: keys.all.map(({ kid, publicKey }) => ({
      ...publicKey.export({ format: 'jwk' }),
      use: 'sig',
      alg: 'RS256',
      kid,
      x5t: kid,
    })),
  }
}

/** The members and their spelling are those of a server of 2019; the browser's addresses are on http, on loopback. */
export function discoveryDocument(
  { behaviour, tokenUrl, accessTokenIssuer }: FederationParts,
  issuer: string,
  port: number,
) {
  const browser = `http://127.0.0.1:${port}`
  const isOf2019 = behaviour.release === 2019
  return {
    issuer,
    authorization_endpoint: `${browser}${paths.authorize}/`,
    token_endpoint: tokenUrl,
    jwks_uri: `${issuer}/discovery/keys`,
    token_endpoint_auth_methods_supported: [
      'client_secret_post',
      'client_secret_basic',
      'private_key_jwt',
      'windows_client_authentication',
    ],
    response_types_supported: [
      'code',
      'id_token',
      'code id_token',
      'id_token token',
      'code token',
      'code id_token token',
    ],
    response_modes_supported: ['query', 'fragment', 'form_post'],
    grant_types_supported: [
      ...['authorization_code', 'refresh_token', 'client_credentials', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
      ...['implicit', 'password', 'srv_challenge'],
      ...(isOf2019 ? ['urn:ietf:params:oauth:grant-type:device_code', 'device_code'] : []),
    ],
    subject_types_supported: ['pairwise'],
    scopes_supported: ['allatclaims', 'openid', 'email', 'aza', 'user_impersonation', 'profile', 'logon_cert'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_signing_alg_values_supported: ['RS256'],
    access_token_issuer: accessTokenIssuer,
    claims_supported: ['aud', 'iss', 'iat', 'exp', 'auth_time', 'nonce', 'at_hash', 'c_hash', 'sub', 'upn', 'sid'],
    microsoft_multi_refresh_token: true,
    userinfo_endpoint: `${issuer}/userinfo`,
    capabilities: [],
    end_session_endpoint: `${browser}${paths.logout}`,
    frontchannel_logout_supported: true,
    frontchannel_logout_session_supported: true,
    ...(isOf2019 ? { device_authorization_endpoint: `${issuer}/oauth2/devicecode` } : {}),
  }
}
