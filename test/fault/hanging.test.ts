import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { attempt, attemptAnew, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { almostSignedIn } from '../setup/answers.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectRecovery, expectPassingFault, expectSignedIn } from './expectations.ts'

const asProgram = { headers: { accept: 'application/json' } }

let stack: Stack
/** An instance that signs an assertion for each request. */
let careful: string
/** An instance without metadata of the provider. */
let cold: string
/** An instance without a key of the ring. */
let keyless: string
let signedIn: Person

beforeAll(async () => {
  stack = await startStack()
  careful = (await stack.startInstance({ Broker__AssertionReuse: 'false' })).url
  signedIn = stack.person()
  expect(isSignedIn(await attempt(signedIn))).toBe(true)
  expect(isSignedIn(await attemptAnew(stack, careful))).toBe(true)
  stack.identityProvider.faults.add({ endpoint: 'discovery', hang: true })
  cold = (await stack.startInstance()).url
  await expectSignedIn(signedIn, cold)
  stack.vault.faults.add({ operation: 'unwrapkey', hang: true })
  keyless = (await stack.startInstance()).url
})
afterEach(() => {
  stack.identityProvider.faults.clear()
  stack.vault.faults.clear()
  stack.store.clearFaults()
  stack.identityProvider.resetRequests()
})
afterAll(() => stack.close())

describe('a call without an answer', () => {
  it('ends at its deadline, with an error code for each part, while other requests succeed', async () => {
    const narrower = { api: 'orders', scope: 'api://demo/orders.read' }
    const atCold = stack.person().begin(toShop, { at: cold, ...asProgram })
    const atRing = [
      signedIn.script(shopPage, '/session', { at: keyless }),
      stack.person().begin(toShop, { at: keyless, ...asProgram }),
    ]
    stack.vault.faults.add({ operation: 'sign', hang: true })
    const atCareful = attemptAnew(stack, careful)
    stack.identityProvider.faults.add({ endpoint: 'token', grantType: 'refresh_token', hang: true })
    const atRefresh = signedIn.sessionToken(shopPage, narrower)

    // While all of these wait, a warm instance signs people in and serves sessions.
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    await expectSignedIn(signedIn)
    expect((await signedIn.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)

    for (const reply of await Promise.all(atRing)) expectPassingFault(reply, 'vault_unavailable')
    expectPassingFault(await atCareful, 'vault_unavailable')
    expectPassingFault(await atRefresh, 'provider_unavailable')
    expectPassingFault(await atCold, 'provider_unavailable')
    await expectSignedIn(signedIn)
    stack.identityProvider.faults.clear()
    stack.vault.faults.clear()
    expect(isSignedIn(await attemptAnew(stack, careful))).toBe(true)
    expect(isSignedIn(await attemptAnew(stack, cold))).toBe(true)
    await expectRecovery(stack, signedIn, [keyless])
    expect((await signedIn.sessionToken(shopPage, narrower)).status).toBe(200)
  })

  it('to the store or with a code ends too: no code is redeemed twice, and the next sign-in works', async () => {
    const [atToken, atStates] = [await almostSignedIn(stack, toShop), await almostSignedIn(stack, toShop)]
    stack.identityProvider.resetRequests()
    stack.identityProvider.faults.add({ endpoint: 'token', grantType: 'authorization_code', hang: true })
    const redeeming = atToken.person.callback(atToken.answer, asProgram)
    await expect
      .poll(() => stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token'))
      .toHaveLength(1)
    stack.store.addFault({ operation: 'insert', table: 'states', hang: true })
    stack.store.addFault({ operation: 'find', table: 'sessions', hang: true })
    const [taking, reading] = [
      atStates.person.callback(atStates.answer, asProgram),
      signedIn.script(shopPage, '/session'),
    ]

    expectPassingFault(await taking, 'store_unavailable')
    expectPassingFault(await reading, 'store_unavailable')
    expectPassingFault(await redeeming, 'provider_unavailable')
    expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toHaveLength(1)

    stack.store.clearFaults()
    stack.identityProvider.faults.clear()
    await expectSignedIn(signedIn)
    expect(isSignedIn(await attempt(atToken.person))).toBe(true)
    expect(isSignedIn(await attempt(atStates.person))).toBe(true)
  })
})
