import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { attempt, attemptAnew, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { almostSignedIn } from '../setup/answers.ts'
import { openInside } from '../setup/process-probe.ts'
import type { Inside } from '../setup/process-probe.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectPassingFault, expectSignedIn } from './expectations.ts'

const hour = 3600
/** A scope that requires a renewal. */
const narrower = { api: 'orders', scope: 'api://demo/orders.read' }

/** Moves the clock of one warm instance. All other clocks stay right. */
let stack: Stack
let inside: Inside
let signedIn: Person
beforeAll(async () => {
  // Longer than the jumps: other tests cover the expiry after an hour.
  stack = await startStack({ instances: 0, settings: { Broker__SessionIdleSeconds: '7200' } })
  // A certificate with a realistic age, so that it was valid an hour ago too.
  stack.vault.setCertificateDates('broker', undefined, { notBefore: new Date(Date.now() - 24 * hour * 1000) })
  inside = await openInside()
  await stack.startInstance(inside.settings)
  signedIn = stack.person()
  expect(isSignedIn(await attempt(signedIn))).toBe(true)
})
afterEach(async () => {
  await inside.moveClock(0)
  stack.identityProvider.resetRequests()
  stack.vault.resetRequests()
  stack.managedIdentity.resetRequests()
})
afterAll(() => stack.close())

const begin = () => almostSignedIn(stack, toShop)

describe('a clock that is off by', () => {
  it.each([
    ['nearly five minutes ahead', 295],
    ['nearly five minutes behind', -295],
  ])('%s signs people in, renews and serves, at once and after its correction', async (_what, seconds) => {
    const underWay = await begin()

    await inside.moveClock(seconds)

    expect(isSignedIn(await underWay.person.callback(underWay.answer))).toBe(true)
    const person = stack.person()
    expect(isSignedIn(await attempt(person))).toBe(true)
    expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)
    await expectSignedIn(signedIn)
    await inside.moveClock(0)
    await expectSignedIn(person)
    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it.each([
    ['an hour ahead', hour],
    ['an hour behind', -hour],
  ])(
    '%s serves sessions, reports why no person can sign in, and signs people in at once after its correction',
    async (_what, seconds) => {
      const before = stack.person()
      await attempt(before)

      await inside.moveClock(seconds)

      // The log contains the provider's message: the assertion is outside its validity period.
      expectPassingFault(await attemptAnew(stack), 'client_refused')
      expect(stack.log()).toContain('700024')
      // A renewal uses the same assertion, and its failure is no sign-out.
      expectPassingFault(await before.sessionToken(shopPage, narrower), 'client_refused')
      await expectSignedIn(before)
      await expectSignedIn(signedIn)
      const ready = await before.open('/health/ready')
      expect([ready.status, ready.text]).toEqual([503, 'certificate'])

      await inside.moveClock(0)
      expect(isSignedIn(await attemptAnew(stack))).toBe(true)
      expect((await before.sessionToken(shopPage, narrower)).status).toBe(200)
      await expectSignedIn(signedIn)
    },
  )
})

describe('a sign-in under way, when the clock jumps', () => {
  it('an hour ahead, is rejected as expired, and the next one works', async () => {
    const { person, answer } = await begin()

    await inside.moveClock(hour)
    const late = await person.callback(answer, { headers: { accept: 'application/json' } })

    expect([late.status, late.json.code]).toEqual([400, 'sign_in_expired'])
    expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([])
    await inside.moveClock(0)
    expect(isSignedIn(await attempt(person))).toBe(true)
  })

  it('ahead and back again, ends as without a jump', async () => {
    const { person, answer } = await begin()

    await inside.moveClock(hour)
    await inside.moveClock(0)

    expect(isSignedIn(await person.callback(answer))).toBe(true)
  })
})

describe('the cached values of an instance, when the clock jumps', () => {
  it.each([hour, -hour])('by %i seconds, are neither kept for ever nor requested without end', async (seconds) => {
    const warm = async () => {
      for (let i = 0; i < 5; i++) await expectSignedIn(signedIn)
      await stack.person().begin(toShop)
    }
    await warm()
    stack.identityProvider.resetRequests()
    stack.vault.resetRequests()
    stack.managedIdentity.resetRequests()

    await inside.moveClock(seconds)
    await warm()
    await inside.moveClock(0)
    await warm()

    expect(
      stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'discovery' || endpoint === 'keys'),
    ).toEqual([])
    expect(stack.vault.requests).toEqual([])
    expect(stack.managedIdentity.requests).toEqual([])
  })
})
