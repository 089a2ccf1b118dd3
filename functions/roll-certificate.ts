/** Timer: reads the vault and goes on with the certificate's roll; for when events are lost, and for what takes hours. */
import type { Timer } from '@azure/functions'
import { asBrokerError } from '../shared/errors/errors.ts'
import { describeError } from '../shared/telemetry/log.ts'
import type { Composed } from './compose/index.ts'
import { asJob, logOf, referenceOf } from './respond.ts'

/** Well below the host's function timeout. */
const budgetMilliseconds = 90_000

export const rollCertificate = (composed: Composed) =>
  asJob(composed, async (broker, _: Timer, context) => {
    const log = logOf(context)
    try {
      await broker.roll.run(budgetMilliseconds)
    } catch (error) {
      // The next run goes on; a failed invocation would only be repeated sooner.
      log('error', 'certificate roll failed', {
        reference: referenceOf(context),
        ...describeError(asBrokerError(error)),
      })
    }
  })
