/** The parts of the authorization server, loaded together on first use: a session front end needs none of them. */
export { createAuthorizationServer } from '../../shared/oauth/authorization-server.ts'
export { createClientAuthentication } from '../../shared/oauth/client-authentication.ts'
export { createRefreshTokens } from '../../shared/oauth/refresh-tokens.ts'
export { createSigningKeys } from '../../shared/oauth/signing-keys.ts'
export { createUserinfo } from '../../shared/oauth/userinfo.ts'
