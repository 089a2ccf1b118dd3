/** Fresh processes in turns: their CPU time and memory until they are registered, and until a person is signed in. */
import type { Child } from './child.ts'
import { signIn } from './driver.ts'
import type { Guest } from './driver.ts'
import { onFunctions } from './measure-warm.ts'
import { guestAt } from './measure.ts'
import type { Measuring } from './measure.ts'
import { compare, figureOf } from './report.ts'
import type { Row } from './report.ts'
import type { Running, World } from './world.ts'

/** From process start, each round a new process. */
export async function measureCold({ world, plan, tell }: Measuring): Promise<readonly Row[]> {
  const broker: Fresh[] = []
  const peer: Fresh[] = []
  const other: Fresh[] = []
  const team: Fresh[] = []
  const bundled: Fresh[] = []
  const bare: number[] = []
  const specialised = { broker: [] as number[], bare: [] as number[] }
  // One round more: the first finds files that are not in memory, and makes tables, key ring and certificate row.
  for (let round = 0; round <= plan.coldRounds; round++) {
    tell(round === 0 ? 'fresh processes, once for nothing' : `fresh processes, ${round} of ${plan.coldRounds}`)
    const guest = guestAt(world, round)
    const fromBroker = await startAndSignIn(await world.startBroker(), guest)
    const fromPeer = await startAndSignIn(await world.startPeer('openid-client'), guest)
    const fromOther = await startAndSignIn(await world.startPeer('express-openid-connect'), guest)
    const fromTeam = await startAndSignIn(await world.startPeer('functions'), guest)
    const fromBundled = await startAndSignIn(await world.startPeer('functions, bundled'), guest)
    const fromBare = await startOnly(await world.startBareFunction())
    const brokerGiven = await world.specialise('broker')
    const bareGiven = await world.specialise('bare')
    if (round === 0) continue
    specialised.broker.push(brokerGiven.cpu / 1000)
    specialised.bare.push(bareGiven.cpu / 1000)
    broker.push(fromBroker)
    peer.push(fromPeer)
    other.push(fromOther)
    team.push(fromTeam)
    bundled.push(fromBundled)
    bare.push(fromBare)
  }
  const of = (fresh: readonly Fresh[], what: keyof Fresh) => fresh.map((one) => one[what])
  const vsPeer = (what: keyof Fresh) => ['openid-client', of(peer, what)] as const
  const vsOther = (what: keyof Fresh) => ['express-openid-connect', of(other, what)] as const
  return [
    compare(
      { number: 8, what: 'start to registered', unit: 'ms', goal: { must: 1.3, stretch: 1.2 } },
      of(broker, 'registered'),
      ['bare function', bare],
    ),
    compare(
      { number: 8, what: 'registered by a worker that is warm already', unit: 'ms', goal: { must: 2 } },
      specialised.broker,
      ['bare function', specialised.bare],
    ),
    compare(
      { number: 9, what: 'start to first finished sign-in', unit: 'ms', goal: { must: 0.85, stretch: 0.8 } },
      of(broker, 'signedIn'),
      vsPeer('signedIn'),
    ),
    compare({ what: 'the same', unit: 'ms' }, of(broker, 'signedIn'), vsOther('signedIn')),
    compare({ number: 13, what: 'the same', unit: 'ms', goal: { must: 0.6 } }, of(broker, 'signedIn'), [
      onFunctions,
      of(team, 'signedIn'),
    ]),
    compare({ what: 'the same', unit: 'ms' }, of(broker, 'signedIn'), [
      `${onFunctions}, bundled`,
      of(bundled, 'signedIn'),
    ]),
    compare(
      { number: 11, what: 'memory after the first sign-in', unit: 'MB', goal: { must: 1.1, stretch: 0.9 } },
      of(broker, 'memory'),
      vsPeer('memory'),
    ),
    compare({ what: 'the same', unit: 'MB' }, of(broker, 'memory'), vsOther('memory')),
  ]
}

interface Fresh {
  /** Milliseconds of CPU until the process reported that it is ready. */
  readonly registered: number
  readonly signedIn: number
  /** Megabytes. */
  readonly memory: number
}

async function startAndSignIn(running: Running, guest: Guest): Promise<Fresh> {
  await signIn(running, guest)
  const { cpu, cpuAtReady, rss } = await running.usage()
  await running.end()
  return { registered: cpuAtReady / 1000, signedIn: cpu / 1000, memory: rss / 1024 / 1024 }
}

async function startOnly(child: Child<unknown>): Promise<number> {
  const { cpuAtReady } = await child.usage()
  await child.end()
  return cpuAtReady / 1000
}

/** The sizes that are deployed, beside their goals. */
export function sizeRows({ sizes }: World): readonly Row[] {
  const { entryBytes, totalBytes, telemetryBytes } = sizes
  const of = (what: string, bytes: number) => ({ number: 10, what, unit: 'KB', values: [bytes / 1024] })
  return [
    figureOf({ ...of('entry chunk with static imports', entryBytes), goal: { must: 350, stretch: 150 } }),
    figureOf({ ...of('whole package, telemetry apart', totalBytes), goal: { must: 1200 } }),
    figureOf({ what: "the telemetry's thread, read later", unit: 'KB', values: [telemetryBytes / 1024] }),
  ]
}
