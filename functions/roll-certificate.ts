/** Timer: reads the vault and continues the certificate's roll, which lasts hours; also covers lost events. */
import type { Timer } from '@azure/functions'
import { asBrokerError } from '../shared/errors/errors.ts'
import { describeError } from '../shared/telemetry/log.ts'
import type { Composed } from './compose/index.ts'
import { asJob } from './host.ts'

/** Well below the host's function timeout. */
const budgetMilliseconds = 90_000

export const rollCertificate = (composed: Composed) =>
  asJob(composed, async (broker, _: Timer, { reference, log }) => {
    try {
      await broker.roll(budgetMilliseconds)
    } catch (error) {
      // The next run continues; a failed invocation would only be repeated sooner.
      log('error', 'certificate roll failed', {
        reference,
        ...describeError(asBrokerError(error)),
      })
    }
  })
