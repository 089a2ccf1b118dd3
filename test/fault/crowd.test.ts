import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attemptAnew, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectSignedIn } from './expectations.ts'

const instances = 4
const people = 40
/** Processes that start at the same moment, on a machine with two cores. */
const startedAtOnce = 2

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  expect(isSignedIn(await attemptAnew(stack))).toBe(true)
})
afterAll(() => stack.close())

/** Runs in parallel, up to a limit of runs at once. */
async function inParallel<T>(count: number, atOnce: number, work: (n: number) => Promise<T>): Promise<readonly T[]> {
  const results: T[] = []
  let next = 0
  const worker = async () => {
    while (next < count) {
      const n = next++
      results[n] = await work(n)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return results
}

const done = (operation: string) =>
  stack.vault.requests.filter((request) => request.operation === operation && request.status === 200).length

describe('four cold instances', () => {
  it('serve forty sign-ins from the moment that they listen, with one unwrap, one signature and one identity token each', async () => {
    const begun = await inParallel(people, 8, async () => {
      const person = stack.person()
      return { person, answer: await person.atProvider((await person.begin(toShop)).location!) }
    })
    stack.vault.resetRequests()
    stack.managedIdentity.resetRequests()
    stack.store.resetRequests()
    stack.identityProvider.resetRequests()
    // Slow enough that an instance has nothing yet when its ten sign-ins arrive,
    // and all of them wait for the same results.
    for (const operation of ['unwrapkey', 'sign'] as const) stack.vault.faults.add({ operation, delayMs: 1000 })
    stack.managedIdentity.failWith({ delayMs: 1000 })

    const outcomes = await inParallel(instances, startedAtOnce, async (instance) => {
      const { url } = await stack.startInstance()
      const its = begun.filter((_, n) => n % instances === instance)
      // Without await: the next instance starts at the same time.
      return { url, replies: Promise.all(its.map(({ person, answer }) => person.callback(answer, { at: url }))) }
    })
    const replies = (await Promise.all(outcomes.map((one) => one.replies))).flat()

    expect(replies.filter((reply) => !isSignedIn(reply)).map(({ text }) => text)).toEqual([])
    expect(replies).toHaveLength(people)
    // Each instance needs one, so this total means one for each.
    expect({ unwrap: done('unwrapkey'), sign: done('sign'), wrap: done('wrapkey') }).toEqual({
      unwrap: instances,
      sign: instances,
      wrap: 0,
    })
    expect(done('listVersions') + done('getCertificate')).toBe(0)
    expect(stack.managedIdentity.requests).toHaveLength(instances)
    const requested = (endpoint: string) => stack.identityProvider.requests.filter((one) => one.endpoint === endpoint)
    expect(requested('token').map(({ status }) => status)).toEqual(Array(people).fill(200))
    expect([requested('discovery').length, requested('keys').length]).toEqual([instances, instances])
    const written = (table: string) =>
      stack.store.requests.filter((one) => one.operation === 'insert' && one.table === table).length
    expect([written('states'), written('sessions'), written('service')]).toEqual([people, people, 0])

    // And each instance serves the people of the others.
    for (let n = 0; n < instances; n++) await expectSignedIn(begun[n]!.person, outcomes[(n + 1) % instances]!.url)
  }, 300_000)
})
