/**
 * A broker that reports beside one that does not, at full load and at five sign-ins a second. Both have done the same
 * before, in processes of their own: a sign-in becomes cheaper over thousands of them.
 */
import { signIn } from './driver.ts'
import { guestAt, perUnit, signInGuests } from './measure.ts'
import type { Measuring } from './measure.ts'
import { compare } from './report.ts'
import type { Row } from './report.ts'
import type { Running } from './world.ts'

/** Reports are collected for five seconds, so the last ones of a round are sent after its last sign-in. */
const untilReported = 5_500

interface Pair {
  readonly broker: Running
  readonly reporting: Running
}

export async function measureTelemetry(measuring: Measuring): Promise<readonly Row[]> {
  const { world, plan, tell } = measuring
  const pair = { broker: await world.startBroker(), reporting: await world.startBroker({ telemetry: true }) }
  tell(`warm-up with and without telemetry: ${plan.warmUpSignIns} sign-ins each`)
  for (const running of Object.values(pair)) await signInGuests(measuring, running, plan.warmUpSignIns)
  const rows = [await measureFullLoad(measuring, pair), await measureSlow(measuring, pair)]
  await Promise.all(Object.values(pair).map((running) => running.end()))
  return rows
}

/**
 * In rounds that are long enough: of a short one, most operations would be those that telemetry reports in full after a
 * pause, two hundred at once.
 */
async function measureFullLoad(measuring: Measuring, { broker, reporting }: Pair): Promise<Row> {
  const { plan, tell } = measuring
  const { rounds, signIns } = plan.fullLoad
  const off: number[] = []
  const on: number[] = []
  for (let round = 1; round <= rounds; round++) {
    tell(`telemetry at full load, ${round} of ${rounds}`)
    off.push(await signInGuests(measuring, broker, signIns))
    on.push(
      await perUnit(reporting, signIns, async () => {
        await signInGuests(measuring, reporting, signIns)
        await waitUntil(performance.now() + untilReported)
      }),
    )
  }
  const what = 'warm sign-in, telemetry on'
  return compare({ number: 12, what, unit: 'µs', goal: { must: 1.15, stretch: 1.1 } }, on, ['off', off])
}

/** So few a second that every operation is reported in full. Under full load most are only counted. */
async function measureSlow({ world, plan, tell }: Measuring, { broker, reporting }: Pair): Promise<Row> {
  const { rounds, perSecond, seconds } = plan.slowSignIns
  const count = perSecond * seconds
  const paced = (running: Running) =>
    perUnit(running, count, async () => {
      const started = performance.now()
      for (let index = 0; index < count; index++) {
        await waitUntil(started + (index * 1000) / perSecond)
        await signIn(running, guestAt(world, index))
      }
      await waitUntil(started + seconds * 1000 + untilReported)
    })
  const off: number[] = []
  const on: number[] = []
  for (let round = 1; round <= rounds; round++) {
    tell(`${perSecond} sign-ins a second, ${round} of ${rounds}`)
    const [without, with_] = await Promise.all([paced(broker), paced(reporting)])
    off.push(without)
    on.push(with_)
  }
  const what = `the same, ${perSecond} a second, each reported in full`
  return compare({ number: 12, what, unit: 'µs', goal: { must: 1.2, stretch: 1.1 } }, on, ['off', off])
}

function waitUntil(moment: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, moment - performance.now())))
}
