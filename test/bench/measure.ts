/** What is measured, always in turns: fresh processes first, then warm ones. Times are CPU time of the process itself. */
import type { Child } from './child.ts'
import { get, readSession, repeat, signIn } from './driver.ts'
import type { Person } from './driver.ts'
import type { Plan } from './plan.ts'
import { compare, spreadOf } from './report.ts'
import type { Row } from './report.ts'
import type { Running, World } from './world.ts'

export interface Measuring {
  readonly world: World
  readonly plan: Plan
  readonly profileFolder?: string
  /** Told to whoever waits. */
  readonly tell: (step: string) => void
}

/** From process start, each round a new process. */
export async function measureCold({ world, plan, tell }: Measuring): Promise<readonly Row[]> {
  const broker: Fresh[] = []
  const peer: Fresh[] = []
  const bare: number[] = []
  // One round more: the first finds files that are not in memory, and makes tables, key ring and certificate row.
  for (let round = 0; round <= plan.coldRounds; round++) {
    tell(round === 0 ? 'fresh processes, once for nothing' : `fresh processes, ${round} of ${plan.coldRounds}`)
    const person = personAt(world, round)
    const fromBroker = await startAndSignIn(await world.startBroker(), person)
    const fromPeer = await startAndSignIn(await world.startPeer(), person)
    const fromBare = await startOnly(await world.startBareFunction())
    if (round === 0) continue
    broker.push(fromBroker)
    peer.push(fromPeer)
    bare.push(fromBare)
  }
  const of = (fresh: readonly Fresh[], what: keyof Fresh) => fresh.map((one) => one[what])
  const vsPeer = (what: keyof Fresh) => ['openid-client', of(peer, what)] as const
  return [
    compare(
      { number: 8, what: 'start to registered', unit: 'ms', goal: { must: 1.5, stretch: 1.2 } },
      of(broker, 'registered'),
      ['bare function', bare],
    ),
    compare(
      { number: 9, what: 'start to first finished sign-in', unit: 'ms', goal: { must: 1, stretch: 0.8 } },
      of(broker, 'signedIn'),
      vsPeer('signedIn'),
    ),
    compare(
      { number: 11, what: 'memory after the first sign-in', unit: 'MB', goal: { must: 1.1, stretch: 0.9 } },
      of(broker, 'memory'),
      vsPeer('memory'),
    ),
  ]
}

interface Fresh {
  /** Milliseconds of CPU until the process said that it is ready. */
  readonly registered: number
  readonly signedIn: number
  /** Megabytes. */
  readonly memory: number
}

async function startAndSignIn(running: Running, person: Person): Promise<Fresh> {
  await signIn(running, person)
  const { cpu, cpuAtReady, rss } = await running.usage()
  await running.end()
  return { registered: cpuAtReady / 1000, signedIn: cpu / 1000, memory: rss / 1024 / 1024 }
}

async function startOnly(child: Child<unknown>): Promise<number> {
  const { cpuAtReady } = await child.usage()
  await child.end()
  return cpuAtReady / 1000
}

/** The same processes all along, after warm-up. */
export async function measureWarm({ world, plan, tell, profileFolder }: Measuring): Promise<readonly Row[]> {
  const broker = await world.startBroker(profileFolder === undefined ? {} : { profileFolder })
  const peer = await world.startPeer()
  const caching = await world.startBroker({ settings: { Broker__SessionCacheSeconds: '60' } })
  const bare = await world.startBareFunction()
  const plain = await world.startPlainServer()

  const signInAt = (running: Running, count: number) =>
    perUnit(running, count, () => repeat(count, plan.inFlight, (index) => signIn(running, personAt(world, index))))
  const readAt = async (running: Running, count: number) => {
    const cookies = await Promise.all([0, 1, 2, 3].map((index) => signIn(running, personAt(world, index))))
    return perUnit(running, count, () =>
      repeat(count, plan.inFlight, (index) => readSession(running, cookies[index % cookies.length] ?? '')),
    )
  }
  const ask = (child: Child<{ readonly url: string }>, count: number) =>
    perUnit(child, count, () => repeat(count, plan.inFlight, () => get(`${child.ready.url}/hello`)))

  for (const running of [broker, peer]) {
    tell(`warm-up of the ${running.name}: ${plan.warmUpSignIns} sign-ins`)
    await signInAt(running, plan.warmUpSignIns)
    await readAt(running, plan.warmUpReads)
  }
  await readAt(caching, plan.warmUpReads)
  for (const child of [bare, plain]) await ask(child, plan.warmUpReads)

  const signIns: Rounds = { broker: [], peer: [] }
  const reads: Rounds & { caching: number[] } = { broker: [], peer: [], caching: [] }
  const hellos = { bare: [] as number[], plain: [] as number[] }
  for (let round = 1; round <= plan.rounds; round++) {
    tell(`warm processes, ${round} of ${plan.rounds}`)
    signIns.broker.push(await signInAt(broker, plan.signIns))
    signIns.peer.push(await signInAt(peer, plan.signIns))
    reads.broker.push(await readAt(broker, plan.reads))
    reads.peer.push(await readAt(peer, plan.reads))
    reads.caching.push(await readAt(caching, plan.reads))
    hellos.bare.push(await ask(bare, plan.reads))
    hellos.plain.push(await ask(plain, plan.reads))
  }
  await Promise.all([broker, peer, caching, bare, plain].map((child) => child.end()))

  return [
    compare({ number: 1, what: 'warm sign-in', unit: 'µs', goal: { must: 1, stretch: 0.8 } }, signIns.broker, [
      'openid-client',
      signIns.peer,
    ]),
    ...growth(signIns.broker, plan),
    compare(
      { number: 4, what: 'session, from the table', unit: 'µs', goal: { must: 2.3, stretch: 1.8 } },
      reads.broker,
      ['in memory', reads.peer],
    ),
    compare({ number: 4, what: 'session, row kept 60 s', unit: 'µs', goal: { must: 1, stretch: 0.7 } }, reads.caching, [
      'in memory',
      reads.peer,
    ]),
    ...withoutHost(signIns, reads, hellos),
  ]
}

interface Rounds {
  readonly broker: number[]
  readonly peer: number[]
}

/**
 * The functions host on a laptop serves in the process that is measured, and the library makes a Request and a Response
 * of each call. In Azure the worker stands in the host's place, so these rows say what is left without both.
 */
function withoutHost(
  signIns: Rounds,
  reads: Rounds & { readonly caching: readonly number[] },
  hellos: { readonly bare: readonly number[]; readonly plain: readonly number[] },
): readonly Row[] {
  const host = hellos.bare.map((cpu, round) => cpu - (hellos.plain[round] ?? 0))
  const less = (values: readonly number[], requests: number) =>
    values.map((cpu, round) => cpu - requests * (host[round] ?? 0))
  return [
    compare({ what: 'a request to a function that does nothing', unit: 'µs' }, hellos.bare, [
      'node:http',
      hellos.plain,
    ]),
    compare({ what: '1 without host and library', unit: 'µs' }, less(signIns.broker, 2), [
      'openid-client',
      signIns.peer,
    ]),
    compare({ what: '4, table, without them', unit: 'µs' }, less(reads.broker, 1), ['in memory', reads.peer]),
    compare({ what: '4, row kept, without them', unit: 'µs' }, less(reads.caching, 1), ['in memory', reads.peer]),
  ]
}

/** Rounds that hold at least 1,000 sign-ins, at either end of the run. */
function growth(rounds: readonly number[], { signIns }: Plan): readonly Row[] {
  const few = Math.ceil(1000 / signIns)
  if (rounds.length < 2 * few) return []
  const what = `no growth over ${(rounds.length * signIns).toLocaleString('en')} sign-ins`
  return [
    compare(
      { number: 3, what, unit: 'µs', goal: { must: 1.1, stretch: 1 } },
      [mean(rounds.slice(-few))],
      ['the first 1,000', [mean(rounds.slice(0, few))]],
    ),
  ]
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Microseconds of CPU for each of so many. */
async function perUnit(child: Child<unknown>, count: number, work: () => Promise<void>): Promise<number> {
  const before = await child.usage()
  await work()
  const after = await child.usage()
  return (after.cpu - before.cpu) / count
}

function personAt({ people }: World, index: number): Person {
  const person = people[index % people.length]
  if (!person) throw new Error('Nobody is there to sign in.')
  return person
}

/** The size that a cold start reads, beside its goal. */
export function entryRow({ entryBytes }: World): Row {
  const size = spreadOf([entryBytes / 1024])
  return {
    number: 10,
    what: 'entry chunk with static imports',
    unit: 'KB',
    broker: size,
    figure: size,
    goal: { must: 350, stretch: 150 },
  }
}
