/**
 * `npm run load`: several instances beside one, the latency of reads under mixed load, and a store of many people while
 * the sweep runs. Azurite, the provider and the load need cores of their own;
 * CPU time counts only the broker's processes.
 */
import { createSweep } from '../../shared/store/sweep.ts'
import { createAzureTableStore } from '../../shared/store/azure-table/store.azure-table.ts'
import { readSession, repeat, signIn } from './driver.ts'
import { guestAt, perUnit, signInGuests } from './measure.ts'
import type { Measuring } from './measure.ts'
import { compare, figureOf, spreadOf } from './report.ts'
import type { Row } from './report.ts'
import type { Running } from './world.ts'

const instances = 4
const readsOfOneSignIn = 10

export async function measureLoad(measuring: Measuring): Promise<readonly Row[]> {
  const { world, plan, tell } = measuring
  const brokers = await Promise.all(Array.from({ length: instances }, () => world.startBroker()))
  tell(`warm-up of ${instances} brokers`)
  for (const broker of brokers) await signInGuests(measuring, broker, plan.warmUpSignIns)
  const first = at(brokers, 0)

  const scale = await measureScale(measuring, brokers)
  await Promise.all(brokers.slice(1).map((broker) => broker.end()))
  const latency = await measureLatency(measuring, first)
  const people = await measureManyPeople(measuring, first)
  await first.end()
  return [scale, ...latency, ...people]
}

/**
 * All instances at once beside one of them, with the same number of sign-ins in flight at each: what an instance does
 * not share costs nothing more. The one alternates, so that all are equally warm.
 */
async function measureScale(measuring: Measuring, brokers: readonly Running[]): Promise<Row> {
  const { world, plan, tell } = measuring
  const one: number[] = []
  const many: number[] = []
  const count = plan.signIns * brokers.length
  for (let round = 0; round < plan.rounds; round++) {
    tell(`one instance, then ${brokers.length}: ${round + 1} of ${plan.rounds}`)
    one.push(await signInGuests(measuring, at(brokers, round), plan.signIns))
    const before = await Promise.all(brokers.map((broker) => broker.usage()))
    await repeat(count, plan.inFlight * brokers.length, (index) => signIn(at(brokers, index), guestAt(world, index)))
    const after = await Promise.all(brokers.map((broker) => broker.usage()))
    many.push(after.reduce((sum, { cpu }, index) => sum + cpu - (before[index]?.cpu ?? 0), 0) / count)
  }
  const what = `CPU of a sign-in at ${brokers.length} instances`
  return compare({ number: 14, what, unit: 'µs', goal: { must: 1.1 } }, many, ['one instance', one])
}

function at(brokers: readonly Running[], index: number): Running {
  const broker = brokers[index % brokers.length]
  if (!broker) throw new Error('No broker was started.')
  return broker
}

/**
 * Ten reads for each sign-in, at a rate that keeps one core busy to 60 %, whether or not earlier ones have ended.
 * Provider, Azurite and the load need two more cores at that rate. Without them requests queue, and the figure would
 * describe the machine: it is left out.
 */
async function measureLatency(measuring: Measuring, broker: Running): Promise<readonly Row[]> {
  const { world, plan, tell } = measuring
  const cookie = await signIn(broker, guestAt(world, 0))
  await repeat(plan.warmUpReads, plan.inFlight, () => readSession(broker, cookie))
  const readCost = await perUnit(broker, plan.reads, () =>
    repeat(plan.reads, plan.inFlight, () => readSession(broker, cookie)),
  )
  const signInCost = await signInGuests(measuring, broker, plan.signIns)
  const pauseMilliseconds = (readsOfOneSignIn * readCost + signInCost) / 0.6 / (readsOfOneSignIn + 1) / 1000
  tell(`mixed load: one request each ${pauseMilliseconds.toFixed(2)} ms`)

  // In rounds, as everything else: one stall of the machine would decide the percentile of all reads together.
  const rounds = Array.from({ length: plan.rounds }, (): number[] => [])
  const running: Promise<unknown>[] = []
  const count = 5 * plan.reads
  const began = performance.now()
  for (let index = 0; index < count; index++) {
    const wait = began + index * pauseMilliseconds - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    if (index % (readsOfOneSignIn + 1) === 0) running.push(signIn(broker, guestAt(world, index)))
    else {
      const at = performance.now()
      const round = rounds[Math.floor((index * plan.rounds) / count)]
      running.push(readSession(broker, cookie).then(() => round?.push(performance.now() - at)))
    }
  }
  await Promise.all(running)
  const late = performance.now() - began - count * pauseMilliseconds
  if (late > 0.1 * count * pauseMilliseconds) {
    const what = 'mixed load: not measured, the machine has too few free cores; the last answer was late by'
    return [figureOf({ what, unit: 'ms', values: [late] })]
  }
  const slow = rounds.map((of) => of.sort((a, b) => a - b)[Math.floor(of.length * 0.99)] ?? NaN)
  const medians = rounds.map((of) => spreadOf(of).median)
  const row = { number: 14, what: 'read under mixed load, 99th percentile', unit: 'ms', goal: { must: 5 } }
  return [compare(row, slow, ['median', medians])]
}

/** Sessions of so many people are in the store, a tenth of them old enough for the sweep, which runs meanwhile. */
async function measureManyPeople(measuring: Measuring, broker: Running): Promise<readonly Row[]> {
  const { world, plan, tell } = measuring
  const store = createAzureTableStore({ ...world.store, credential: () => Promise.reject(new Error('none is needed')) })
  const before: number[] = []
  for (let round = 0; round < plan.rounds; round++) before.push(await signInGuests(measuring, broker, plan.signIns))

  const now = Date.now()
  await repeat(plan.storedPeople, 16, async (index) => {
    if (index % 10_000 === 0) tell(`sessions in the store: ${index.toLocaleString('en')}`)
    const sweepAfter = new Date(index % 10 === 0 ? now - 86_400_000 : now + 86_400_000)
    const values = { format: '1', owner: Buffer.alloc(500, index), tokens: Buffer.alloc(2500, index) }
    await store.insert('sessions', { partition: `p${index}`, row: `r${index}`, sweepAfter, values })
  })
  const sweep = createSweep({ store, clock: Date.now })
  let removed = 0
  const after: number[] = []
  for (let round = 1; round <= plan.rounds; round++) {
    tell(`a store of ${plan.storedPeople.toLocaleString('en')} people, ${round} of ${plan.rounds}`)
    const [cost, swept] = await Promise.all([signInGuests(measuring, broker, plan.signIns), sweep()])
    after.push(cost)
    removed += swept
  }
  const what = `sign-in with ${plan.storedPeople.toLocaleString('en')} people in the store, sweep running`
  return [
    compare({ number: 14, what, unit: 'µs', goal: { must: 1.05 } }, after, ['before', before]),
    figureOf({ what: 'rows that the sweep removed meanwhile', unit: 'rows', values: [removed] }),
  ]
}
