/**
 * The same processes all along, after warm-up, in turns:
 * sign-ins, session reads, and what host and library add to them.
 */
import type { Child } from './child.ts'
import { get, readSession, repeat, signIn } from './driver.ts'
import { guestAt, perUnit, signInGuests } from './measure.ts'
import type { Measuring } from './measure.ts'
import { compare } from './report.ts'
import type { Row } from './report.ts'
import type { Running } from './world.ts'

type Hello = Child<{ readonly url: string }>

export async function measureWarm(measuring: Measuring): Promise<readonly Row[]> {
  const { world, plan, tell } = measuring
  const broker = await world.startBroker()
  const caching = await world.startBroker({ settings: { Broker__SessionCacheSeconds: '60' } })
  const peer = await world.startPeer('openid-client')
  const other = await world.startPeer('express-openid-connect')
  const team = await world.startPeer('functions')
  const hello = {
    bare: await world.startBareFunction(),
    library: await world.startLibrary(),
    plain: await world.startPlainServer(),
  }

  const signInAt = (running: Running, count: number) => signInGuests(measuring, running, count)
  const readAt = async (running: Running, count: number) => {
    const cookies = await Promise.all([0, 1, 2, 3].map((index) => signIn(running, guestAt(world, index))))
    return perUnit(running, count, () =>
      repeat(count, plan.inFlight, (index) => readSession(running, cookies[index % cookies.length] ?? '')),
    )
  }
  const ask = (child: Hello, count: number) =>
    perUnit(child, count, () => repeat(count, plan.inFlight, () => get(`${child.ready.url}/hello`)))

  for (const running of [broker, peer, other, team]) {
    tell(`warm-up of ${running.name}: ${plan.warmUpSignIns} sign-ins`)
    await signInAt(running, plan.warmUpSignIns)
  }
  tell(`warm-up: ${plan.warmUpReads} reads each`)
  for (const running of [broker, caching, peer, other, team]) await readAt(running, plan.warmUpReads)
  for (const child of Object.values(hello)) await ask(child, plan.warmUpReads)

  const signIns = {
    broker: [] as number[],
    peer: [] as number[],
    other: [] as number[],
    team: [] as number[],
  }
  const reads = {
    broker: [] as number[],
    caching: [] as number[],
    peer: [] as number[],
    other: [] as number[],
    team: [] as number[],
  }
  const hellos = { bare: [] as number[], library: [] as number[], plain: [] as number[] }
  for (let round = 1; round <= plan.rounds; round++) {
    tell(`warm processes, ${round} of ${plan.rounds}`)
    signIns.broker.push(await signInAt(broker, plan.signIns))
    signIns.peer.push(await signInAt(peer, plan.signIns))
    signIns.other.push(await signInAt(other, plan.signIns))
    signIns.team.push(await signInAt(team, plan.signIns))
    reads.broker.push(await readAt(broker, plan.reads))
    reads.peer.push(await readAt(peer, plan.reads))
    reads.team.push(await readAt(team, plan.reads))
    reads.caching.push(await readAt(caching, plan.reads))
    reads.other.push(await readAt(other, plan.reads))
    hellos.bare.push(await ask(hello.bare, plan.reads))
    hellos.library.push(await ask(hello.library, plan.reads))
    hellos.plain.push(await ask(hello.plain, plan.reads))
  }
  await Promise.all([broker, peer, other, team, caching, ...Object.values(hello)].map((child) => child.end()))

  const signInRow = { what: 'warm sign-in', unit: 'µs' }
  const fromTable = { what: 'session, from the table', unit: 'µs' }
  const kept = { what: 'session, row kept 60 s', unit: 'µs' }
  const memory = (values: readonly number[]) => ['openid-client, in memory', values] as const
  const cookie = (values: readonly number[]) => ['express-openid-connect', values] as const
  return [
    compare({ number: 1, ...signInRow, goal: { must: 0.9, stretch: 0.8 } }, signIns.broker, [
      'openid-client',
      signIns.peer,
    ]),
    compare({ number: 2, ...signInRow, goal: { must: 0.75, stretch: 0.6 } }, signIns.broker, cookie(signIns.other)),
    compare({ number: 13, ...signInRow, goal: { must: 0.5 } }, signIns.broker, [onFunctions, signIns.team]),
    compare({ number: 13, ...fromTable, goal: { must: 0.6 } }, reads.broker, [onFunctions, reads.team]),
    compare({ number: 4, ...fromTable, goal: { must: 2.3, stretch: 1.8 } }, reads.broker, memory(reads.peer)),
    compare({ number: 4, ...kept, goal: { must: 1.2, stretch: 0.7 } }, reads.caching, memory(reads.peer)),
    compare({ number: 5, ...fromTable, goal: { must: 0.75, stretch: 0.55 } }, reads.broker, cookie(reads.other)),
    compare({ number: 5, ...kept, goal: { must: 0.35, stretch: 0.2 } }, reads.caching, cookie(reads.other)),
    ...withoutHost(signIns, reads, hellos),
  ]
}

/** The peer that does the same job on the same host. */
export const onFunctions = 'functions, by the libraries'

interface Hellos {
  readonly bare: readonly number[]
  readonly library: readonly number[]
  readonly plain: readonly number[]
}

/**
 * The functions host on a laptop serves in the process that is measured; in Azure it is another program, and the worker
 * stands in its place. These rows show its cost, that of the library, which the broker's HTTP functions leave out, and
 * the ratios without the host.
 */
function withoutHost(
  signIns: { readonly broker: readonly number[]; readonly peer: readonly number[] },
  reads: { readonly broker: readonly number[]; readonly caching: readonly number[]; readonly peer: readonly number[] },
  { bare, library, plain }: Hellos,
): readonly Row[] {
  const host = bare.map((cpu, round) => cpu - (library[round] ?? 0))
  const less = (values: readonly number[], requests: number) =>
    values.map((cpu, round) => cpu - requests * (host[round] ?? 0))
  const ofSignIn = { number: 1, what: 'warm sign-in, without our host', unit: 'µs', goal: { must: 0.75 } }
  return [
    compare({ what: 'a function that does nothing', unit: 'µs' }, bare, ['node:http', plain]),
    compare({ what: 'the same without our host: the library', unit: 'µs' }, library, ['node:http', plain]),
    compare({ what: '4, table, without our host', unit: 'µs' }, less(reads.broker, 1), ['in memory', reads.peer]),
    compare({ what: '4, row kept, without our host', unit: 'µs' }, less(reads.caching, 1), ['in memory', reads.peer]),
    compare(ofSignIn, less(signIns.broker, 2), ['openid-client', signIns.peer]),
  ]
}
