/** Access tokens of a session, in memory. Parallel calls for one token share its request. */
import type { BrokerError } from './broker-error.ts'
import { abortable } from './page.ts'
import type { Call, SessionTab } from './session-check.ts'

interface Kept {
  readonly token: Promise<string>
  until: number
}

/** @returns `getToken`; its last parameter is the challenge with which the API rejected the last token */
export function createSessionTokens(call: Call, { getState, set }: SessionTab) {
  const tokens: Record<string, Kept> = {}

  return (api: string, { scope, signal }: { scope?: string; signal?: AbortSignal | null } = {}, claims?: string) => {
    // Another person has tokens of their own.
    const key = `${getState().session?.subject} ${api} ${scope}`
    let kept = tokens[key]
    if (!kept || claims || Date.now() > kept.until) {
      const made: Kept = {
        // Until the answer is here, parallel calls share the request.
        until: Infinity,
        token: call<{ access_token: string; expires_in: number }>('/session/token', { api, scope, claims }).then(
          ({ access_token, expires_in }) => {
            // Not in its last minute, and for five minutes at most, so that use of the page keeps the session alive.
            made.until = Date.now() + Math.min(300, expires_in - 60) * 1000
            return access_token
          },
          (thrown: unknown) => {
            made.until = 0
            if ((thrown as BrokerError).code === 'signed_out') set('signed-out')
            throw thrown
          },
        ),
      }
      tokens[key] = kept = made
    }
    return abortable(kept.token, signal)
  }
}
