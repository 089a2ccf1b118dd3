/** Counts each access token that a session front end receives. */
import type { FlowEvents } from '../telemetry/flow-events.ts'
import type { AccessTokens } from './access-tokens.ts'

/** @returns the same contract; each call is the step `token` in telemetry */
export function observeAccessTokens(accessTokens: AccessTokens, flowEvents: FlowEvents): AccessTokens {
  return {
    get: (key, scopes, challenge) =>
      flowEvents.track('token', { frontEnd: key?.frontEndId, by: 'cookie' }, () =>
        accessTokens.get(key, scopes, challenge),
      ),
  }
}
