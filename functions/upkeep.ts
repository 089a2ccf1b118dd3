/** The sweep on its timer, and the warm-up that the platform calls before a new instance receives requests. */
import type { Timer } from '@azure/functions'
import { asBrokerError } from '../shared/errors/errors.ts'
import { describeError } from '../shared/telemetry/log.ts'
import type { Composed } from './compose/index.ts'
import { asJob } from './host.ts'

export const sweep = (composed: Composed) =>
  asJob(composed, async (broker, _: Timer, { reference, log }) => {
    try {
      log('info', 'swept', { reference, removed: await broker.sweep() })
    } catch (error) {
      // The next run continues; a failed invocation would only be repeated sooner.
      log('error', 'sweep failed', { reference, ...describeError(asBrokerError(error)) })
    }
  })

export const warmup = (composed: Composed) => async (): Promise<void> => {
  if ('broker' in composed) await composed.broker.warmUp()
}
