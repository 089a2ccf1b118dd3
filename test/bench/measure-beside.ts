/**
 * Two builds of the broker in turns, to decide on a change: many short paired rounds, so that other load reaches both.
 */
import { readSession, repeat, signIn } from './driver.ts'
import { guestAt, perUnit, signInGuests } from './measure.ts'
import type { Measuring } from './measure.ts'
import { compare } from './report.ts'
import type { Row } from './report.ts'
import type { BrokerOptions, Running } from './world.ts'

const rounds = 15
const signIns = 150
const reads = 600
const coldStarts = 15

type Pair = readonly [here: number, there: number]

/**
 * @param dist of the other build, as `tools/build.ts` makes it
 * @param isAsked whether a part is to be measured
 */
export async function measureBeside(
  measuring: Measuring,
  dist: string,
  isRequested: (part: 'warm' | 'cold') => boolean,
): Promise<readonly Row[]> {
  const warmRows = isRequested('warm') ? await warm(measuring, dist) : []
  return [...warmRows, ...(isRequested('cold') ? await cold(measuring, dist) : [])]
}

async function warm(measuring: Measuring, dist: string): Promise<readonly Row[]> {
  const { world, plan, tell } = measuring
  const start = async (options: BrokerOptions = {}) =>
    [await world.startBroker(options), await world.startBroker({ ...options, dist })] as const
  const plainPair = await start()
  const keptPair = await start({ settings: { Broker__SessionCacheSeconds: '60' } })
  const read = async (running: Running, count: number) => {
    const cookies = await Promise.all([0, 1, 2, 3].map((index) => signIn(running, guestAt(world, index))))
    return perUnit(running, count, () =>
      repeat(count, plan.inFlight, (index) => readSession(running, cookies[index % cookies.length] ?? '')),
    )
  }
  const works = [
    { what: 'warm sign-in', pair: plainPair, work: (one: Running) => signInGuests(measuring, one, signIns) },
    { what: 'session, from the table', pair: plainPair, work: (one: Running) => read(one, reads) },
    { what: 'session, row kept 60 s', pair: keptPair, work: (one: Running) => read(one, reads) },
  ]
  tell(`warm-up of both builds`)
  for (const running of plainPair) await signInGuests(measuring, running, plan.warmUpSignIns)
  for (const running of [...plainPair, ...keptPair]) await read(running, plan.warmUpReads)

  const measured = new Map<string, Pair[]>(works.map(({ what }) => [what, []]))
  for (let round = 0; round < rounds; round++) {
    tell(`two builds, ${round + 1} of ${rounds}`)
    for (const { what, pair, work } of works) measured.get(what)?.push(await inTurn(round, pair, work))
  }
  await Promise.all([...plainPair, ...keptPair].map((running) => running.end()))
  return [...measured].map(([what, pairs]) => compareBuilds(what, 'µs', pairs))
}

async function cold({ world, tell }: Measuring, dist: string): Promise<readonly Row[]> {
  const registered: Pair[] = []
  const login: Pair[] = []
  const signedIn: Pair[] = []
  for (let round = 0; round <= coldStarts; round++) {
    tell(`fresh processes of two builds, ${round} of ${coldStarts}`)
    const work = async (options: BrokerOptions) => {
      const running = await world.startBroker(options)
      await fetch(`${running.url}${running.loginPath}`, { redirect: 'manual' })
      const atLogin = (await running.usage()).cpu
      await signIn(running, guestAt(world, round))
      const { cpu, cpuAtReady } = await running.usage()
      await running.end()
      return { registered: cpuAtReady / 1000, login: atLogin / 1000, signedIn: cpu / 1000 }
    }
    const order = [{}, { dist }]
    if (round % 2 === 1) order.reverse()
    const [first, second] = [await work(order[0] ?? {}), await work(order[1] ?? {})]
    const [here, there] = round % 2 === 1 ? [second, first] : [first, second]
    // The first round finds files that are not in memory, and makes tables, key ring and certificate row.
    if (round === 0) continue
    registered.push([here.registered, there.registered])
    login.push([here.login, there.login])
    signedIn.push([here.signedIn, there.signedIn])
  }
  return [
    compareBuilds('start to registered', 'ms', registered),
    compareBuilds('start to first answer of /login', 'ms', login),
    compareBuilds('start to second finished /login and first sign-in', 'ms', signedIn),
  ]
}

/** The order changes with each round. */
async function inTurn<T>(
  round: number,
  [here, there]: readonly [T, T],
  work: (one: T) => Promise<number>,
): Promise<Pair> {
  if (round % 2 === 0) return [await work(here), await work(there)]
  const second = await work(there)
  return [await work(here), second]
}

function compareBuilds(what: string, unit: string, pairs: readonly Pair[]): Row {
  return compare(
    { what, unit },
    pairs.map(([here]) => here),
    ['other build', pairs.map(([, there]) => there)],
  )
}
