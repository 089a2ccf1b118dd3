/** The CPU time of a warm broker by package: for a sign-in and for a session read, each in its own process. */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { readSession, repeat, signIn } from './driver.ts'
import { guestAt, signInGuests } from './measure.ts'
import type { Measuring } from './measure.ts'
import { partsTable, readParts } from './profile-parts.ts'

/**
 * @param folder where the profiles are left, for a browser's developer tools
 * @returns two tables, as Markdown
 */
export async function measureProfile(measuring: Measuring, folder: string): Promise<string> {
  const { world, plan, tell } = measuring
  const count = { signIns: plan.warmUpSignIns + plan.rounds * plan.signIns, reads: plan.rounds * plan.reads }
  const profiled = async (
    name: string,
    work: (broker: Awaited<ReturnType<typeof world.startBroker>>) => Promise<unknown>,
  ) => {
    const profileFolder = path.join(folder, name)
    await mkdir(profileFolder, { recursive: true })
    const broker = await world.startBroker({ profileFolder })
    await work(broker)
    await broker.end()
    return partsTable(await readParts(profileFolder))
  }

  tell(`${count.signIns} sign-ins`)
  const signIns = await profiled('sign-in', (broker) => signInGuests(measuring, broker, count.signIns))
  tell(`${count.reads} session reads`)
  const reads = await profiled('session', async (broker) => {
    const cookie = await signIn(broker, guestAt(world, 0))
    await repeat(count.reads, plan.inFlight, () => readSession(broker, cookie))
  })
  return `A sign-in:\n\n${signIns}\n\nA session read from the table:\n\n${reads}`
}
