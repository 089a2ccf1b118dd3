/** Client assertions, with their age reported. */
import { noTelemetry } from '../telemetry/telemetry.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Clock } from '../async/deadline.ts'
import type { ClientAssertions } from './client-assertion.ts'

/** How old an assertion is when it is used: close to its end, a vault in trouble becomes sign-ins in trouble. */
export function observeAssertions(assertions: ClientAssertions, telemetry: Telemetry, clock: Clock): ClientAssertions {
  if (telemetry === noTelemetry) return assertions
  return {
    ...assertions,
    get: async () => {
      const assertion = await assertions.get()
      const issuedAt = assertions.state()?.issuedAt
      if (issuedAt !== undefined)
        telemetry.latest('broker.assertion.age_seconds', Math.round(clock() / 1000 - issuedAt))
      return assertion
    },
  }
}
