/** Access tokens for cookie sessions, each counted. */
import type { Funnel } from '../telemetry/flow-events.ts'
import type { AccessTokens } from './access-tokens.ts'

/** Access tokens as a front end asks for them with its cookie. */
export function observeAccessTokens(accessTokens: AccessTokens, funnel: Funnel): AccessTokens {
  return {
    get: (key, scopes) =>
      funnel.track('token', { frontEnd: key?.frontEndId, by: 'cookie' }, () => accessTokens.get(key, scopes)),
  }
}
