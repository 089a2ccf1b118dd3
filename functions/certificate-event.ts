/**
 * Event Grid: a version was created or is near its end. The event only starts a read of the vault; it is not trusted.
 */
import type { Composed } from './compose/index.ts'
import { asJob } from './host.ts'

/** Event Grid waits 30 s for an answer; the timer continues a roll that needs longer. */
const budgetMilliseconds = 15_000

/** A failed run throws, and Event Grid delivers the event again. */
export const certificateEvent = (composed: Composed) =>
  asJob(composed, async (broker, event: unknown, { reference, log }) => {
    const news = broker.readVaultEvent(event)
    if (!news) {
      log('warn', 'certificate event ignored', { reference })
      return
    }
    // The certificate's policy renews long before that: the vault's own warning means that the renewal failed.
    if (news === 'near expiry') log('error', 'certificate renewal failed', { reference })
    await broker.roll(budgetMilliseconds)
  })
