/** Event Grid: the vault has made a new version, or says that one is near its end. A reason to look; nothing is taken from it. */
import type { Composed } from './compose/index.ts'
import { asJob, logOf, referenceOf } from './respond.ts'

/** Event Grid waits 30 s for an answer; the timer does what is left. */
const budgetMilliseconds = 15_000

/** A run that fails throws, and the event is delivered again. */
export const certificateEvent = (composed: Composed) =>
  asJob(composed, async (broker, event: unknown, context) => {
    const log = logOf(context)
    const reference = referenceOf(context)
    const news = broker.readVaultEvent(event)
    if (!news) {
      log('warn', 'certificate event ignored', { reference })
      return
    }
    // The policy renews long before that: the vault's own warning means that the renewal failed.
    if (news === 'near expiry') log('error', 'certificate renewal failed', { reference })
    await broker.roll.run(budgetMilliseconds)
  })
