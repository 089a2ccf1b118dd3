/** The common part of all measurements: CPU time of a process, requested by its channel. */
import type { Child } from './child.ts'
import { repeat, signIn } from './driver.ts'
import type { Guest } from './driver.ts'
import type { Plan } from './plan.ts'
import type { Running, World } from './world.ts'

export interface Measuring {
  readonly world: World
  readonly plan: Plan
  /** Progress messages for the person who runs the bench. */
  readonly tell: (step: string) => void
}

/** Microseconds of CPU for each of so many. */
export async function perUnit(child: Child<unknown>, count: number, work: () => Promise<void>): Promise<number> {
  const before = await child.usage()
  await work()
  const after = await child.usage()
  return (after.cpu - before.cpu) / count
}

/** So many sign-ins of the guests, one after the other of them. */
export function signInGuests({ world, plan }: Measuring, running: Running, count: number): Promise<number> {
  return perUnit(running, count, () => repeat(count, plan.inFlight, (index) => signIn(running, guestAt(world, index))))
}

export function guestAt({ guests }: World, index: number): Guest {
  const guest = guests[index % guests.length]
  if (!guest) throw new Error('The world has no guests.')
  return guest
}
