/** What the platform calls by itself: the sweep on its timer, the warm-up before a new instance takes requests. */
import type { Timer } from '@azure/functions'
import { asBrokerError } from '../shared/errors/errors.ts'
import { describeError } from '../shared/telemetry/log.ts'
import type { Composed } from './compose/index.ts'
import { asJob, logOf, referenceOf } from './respond.ts'

export const sweep = (composed: Composed) =>
  asJob(composed, async (broker, _: Timer, context) => {
    const log = logOf(context)
    const reference = referenceOf(context)
    try {
      log('info', 'swept', { reference, removed: await broker.sweep() })
    } catch (error) {
      // The next run goes on; a failed invocation would only be repeated sooner.
      log('error', 'sweep failed', { reference, ...describeError(asBrokerError(error)) })
    }
  })

export const warmup = (composed: Composed) => async (): Promise<void> => {
  if ('broker' in composed) await composed.broker.warmUp()
}
