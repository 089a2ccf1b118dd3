/** The longest pause of a fresh broker's event loop while telemetry is loaded beside it, and works. */
import { setTimeout as wait } from 'node:timers/promises'
import { signIn } from './driver.ts'
import { guestAt } from './measure.ts'
import type { Measuring } from './measure.ts'
import { figureOf } from './report.ts'
import type { Row } from './report.ts'
import type { Pause } from './usage.ts'
import type { Running } from './world.ts'

/** Telemetry begins two seconds after the first answer, and sends every two seconds. */
const watchedMilliseconds = 5000
const betweenSignIns = 250

export async function measurePause({ world, plan, tell }: Measuring): Promise<readonly Row[]> {
  const without: Pause[] = []
  const reporting: Pause[] = []
  for (let round = 1; round <= plan.pauseRounds; round++) {
    tell(`watching event loops, ${round} of ${plan.pauseRounds}`)
    const watched = async (running: Running): Promise<Pause> => {
      // The modules that the first sign-in itself loads are not measured.
      await signIn(running, guestAt(world, round))
      await running.pause()
      const end = performance.now() + watchedMilliseconds
      while (performance.now() < end) {
        await signIn(running, guestAt(world, round))
        await wait(betweenSignIns)
      }
      const pause = await running.pause()
      await running.end()
      return pause
    }
    // In turns: in parallel they would compete for the core.
    without.push(await watched(await world.startBroker()))
    reporting.push(await watched(await world.startBroker({ telemetry: true })))
  }
  const of = (pauses: readonly Pause[], what: keyof Pause) => pauses.map((pause) => pause[what])
  return [
    figureOf({
      ...{ number: 12, what: 'longest pause while telemetry loads and works', unit: 'ms', goal: { must: 50 } },
      ...{ values: of(reporting, 'wall'), other: ['without', of(without, 'wall')] },
    }),
    figureOf({
      ...{ what: 'the same, less waiting for a core', unit: 'ms' },
      ...{ values: of(reporting, 'own'), other: ['without', of(without, 'own')] },
    }),
  ]
}
