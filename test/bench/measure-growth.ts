/** Ten thousand people, each once, by one warm broker: does the ten-thousandth cost more than the first? */
import { repeat, signIn, withBrowser } from './driver.ts'
import { perUnit, signInGuests } from './measure.ts'
import type { Measuring } from './measure.ts'
import { compare } from './report.ts'
import type { Row } from './report.ts'

const atATime = 500

export async function measureGrowth(measuring: Measuring): Promise<readonly Row[]> {
  const { world, plan, tell } = measuring
  if (plan.strangers === 0) return []
  const broker = await world.startBroker()
  tell(`warm-up for ${plan.strangers.toLocaleString('en')} people: ${2 * plan.warmUpSignIns} sign-ins`)
  // Twice the usual: after once it still becomes cheaper, which would hide growth.
  await signInGuests(measuring, broker, 2 * plan.warmUpSignIns)

  const strangers = world.people.slice(-plan.strangers)
  const heapBefore = await broker.heap()
  const costs: number[] = []
  for (let begin = 0; begin < strangers.length; begin += atATime) {
    if (begin % 1000 === 0) tell(`people ${begin.toLocaleString('en')} to ${(begin + 1000).toLocaleString('en')}`)
    const some = strangers.slice(begin, begin + atATime)
    // A browser of their own, which is forgotten afterwards.
    const work = () => repeat(some.length, plan.inFlight, (index) => signIn(broker, withBrowser(some[index]!)))
    costs.push(await perUnit(broker, some.length, work))
  }
  const heapAfter = await broker.heap()
  await broker.end()

  const megabytes = (bytes: number) => [bytes / 1024 / 1024]
  const few = 1000 / atATime
  return [
    compare(
      {
        number: 3,
        what: `the last 1,000 of ${strangers.length.toLocaleString('en')} people`,
        unit: 'µs',
        goal: { must: 1.1, stretch: 1 },
      },
      costs.slice(-few),
      ['the first 1,000', costs.slice(0, few)],
    ),
    compare({ what: 'heap after all of them', unit: 'MB' }, megabytes(heapAfter), ['before', megabytes(heapBefore)]),
  ]
}
