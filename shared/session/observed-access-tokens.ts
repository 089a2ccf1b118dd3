/** Counts each access token that a session front end receives. */
import type { Funnel } from '../telemetry/flow-events.ts'
import type { AccessTokens } from './access-tokens.ts'

/** @returns the same contract; each call is the step `token` in telemetry */
export function observeAccessTokens(accessTokens: AccessTokens, funnel: Funnel): AccessTokens {
  return {
    get: (key, scopes) =>
      funnel.track('token', { frontEnd: key?.frontEndId, by: 'cookie' }, () => accessTokens.get(key, scopes)),
  }
}
