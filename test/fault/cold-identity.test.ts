import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { FaultEffects } from '../../local/vault/faults.ts'
import { attempt, attemptAnew, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectRecovery, expectPassingFault, expectSignedIn } from './expectations.ts'

let stack: Stack
let signedIn: Person
beforeAll(async () => {
  stack = await startStack()
  signedIn = stack.person()
  expect(isSignedIn(await attempt(signedIn))).toBe(true)
})
afterEach(() => stack.managedIdentity.failWith(undefined))
afterAll(() => stack.close())

const asProgram = { headers: { accept: 'application/json' } }

describe('a new instance whose identity', () => {
  const faults: readonly (readonly [what: string, fault: FaultEffects])[] = [
    ['is refused', { status: 400 }],
    ['is answered with garbage', { garbage: true }],
    ['drops the connection', { dropConnection: true }],
    ['hangs', { hang: true }],
  ]
  const urls: string[] = []

  it.each(faults)('%s reports it within a bounded time, and signs no person out', async (_what, fault) => {
    stack.managedIdentity.failWith(fault)
    const { url } = await stack.startInstance()
    urls.push(url)

    const [session, begun] = await Promise.all([
      signedIn.script(shopPage, '/session', { at: url }),
      stack.person().begin(toShop, { at: url, ...asProgram }),
    ])
    expectPassingFault(session, 'managed_identity_unavailable')
    expectPassingFault(begun, 'managed_identity_unavailable')
    // The other instances have everything that they need.
    await expectSignedIn(signedIn)
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it('had any of these faults recovers after it', () => expectRecovery(stack, signedIn, urls))

  it('answers late waits for the answer', async () => {
    stack.managedIdentity.failWith({ delayMs: 500 })
    const { url } = await stack.startInstance()

    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })
})
