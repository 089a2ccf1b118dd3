/** Observes client assertions: reports their age to telemetry. */
import { noTelemetry } from '../telemetry/telemetry.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Clock } from '../async/deadline.ts'
import type { ClientAssertions } from './client-assertion.ts'

/** Reports the age of each assertion that is used: when it nears its end, a failing vault makes sign-ins fail. */
export function observeAssertions(assertions: ClientAssertions, telemetry: Telemetry, clock: Clock): ClientAssertions {
  if (telemetry === noTelemetry) return assertions
  return {
    ...assertions,
    get: async () => {
      const assertion = await assertions.get()
      const issuedAt = assertions.state()?.issuedAt
      if (issuedAt !== undefined) telemetry.gauge('broker.assertion.age_seconds', Math.round(clock() / 1000 - issuedAt))
      return assertion
    },
  }
}
