/** The response body of an access token, for both kinds of front end. RFC 6749 §5.1. */
import { apiScopesIn } from '../front-ends/scopes.ts'
import { defined } from '../json/json.ts'
import type { AccessToken } from './session-row.ts'

export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
  readonly scope: string
  readonly refresh_token?: string
  readonly id_token?: string
}

/**
 * @param now milliseconds since the epoch
 * @param refreshToken only for an OAuth client
 * @returns the members of RFC 6749 §5.1
 */
export function tokenAnswer({ token, expires, scope }: AccessToken, now: number, refreshToken?: string): TokenAnswer {
  return {
    access_token: token,
    token_type: 'Bearer',
    expires_in: Math.max(0, Math.floor((expires - now) / 1000)),
    // OpenID scopes that the broker added belong to the ID token of the provider. An empty scope has no meaning.
    scope: apiScopesIn(scope) || scope,
    ...defined({ refresh_token: refreshToken }),
  }
}
