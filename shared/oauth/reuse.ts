/**
 * Reuse: a code or a refresh token that comes a second time may be stolen, so the session that it opened ends for both
 * holders. RFC 6749 §4.1.2, RFC 9700 §4.14.2.
 */
import type { Sessions } from '../session/sessions.ts'
import type { SessionKey } from '../session/session-row.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'

export type EndForReuse = (session: Pick<SessionKey, 'frontEndId' | 'rowKey'>) => Promise<void>

export function createEndForReuse(sessions: Pick<Sessions, 'end'>, flowEvents: FlowEvents): EndForReuse {
  return (session) =>
    flowEvents.track('sign_out', { frontEnd: session.frontEndId, by: 'reuse' }, async (step) =>
      step.add({ sessions: (await sessions.end(session)) ? 1 : 0 }),
    )
}
