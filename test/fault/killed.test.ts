import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attempt, isSignedIn, toShop } from '../attack/attempt.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectSignedIn } from './calm.ts'

const narrower = { api: 'orders', scope: 'api://demo/orders.read' }

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  stack.identityProvider.settings.singleUseRefreshTokens = true
})
afterAll(() => stack.close())

const refreshes = () => stack.identityProvider.requests.filter(({ grantType }) => grantType === 'refresh_token')

async function signedIn(): Promise<Person> {
  const person = stack.person()
  expect(isSignedIn(await attempt(person))).toBe(true)
  return person
}

/** Somebody refreshes at an instance of its own, which is killed as soon as the provider has the request. */
async function killInARefresh(person: Person): Promise<void> {
  const instance = await stack.startInstance()
  await expectSignedIn(person, instance.url)
  const before = refreshes().length
  const lost = person.sessionToken(shopPage, narrower, { at: instance.url }).catch(() => 'no answer')
  await expect.poll(() => refreshes().length).toBe(before + 1)
  process.kill(instance.pid!, 'SIGKILL')
  expect(await lost).toBe('no answer')
}

/** Asks until the answer is not that somebody else is at it. */
async function askUntilItIsDecided(person: Person): Promise<Reply> {
  for (;;) {
    const reply = await person.sessionToken(shopPage, narrower)
    if (reply.json.code !== 'renewal_pending') return reply
    expect(reply.headers.get('retry-after')).toMatch(/^\d+$/)
  }
}

describe('an instance that is killed in a refresh', () => {
  it('leaves a session that works, or ends cleanly where the provider had rotated at a single use', async () => {
    const [unasked, rotated] = [await signedIn(), await signedIn()]

    stack.identityProvider.faults.add({ endpoint: 'token', grantType: 'refresh_token', hang: true, times: 1 })
    await killInARefresh(unasked)
    stack.identityProvider.faults.add({ endpoint: 'token', grantType: 'refresh_token', delayMs: 300, times: 1 })
    await killInARefresh(rotated)
    await expect.poll(() => refreshes().at(-1)?.status).toBe(200)

    // What is still good is served by others all the while.
    for (const person of [unasked, rotated]) {
      expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    }
    const [works, ended] = await Promise.all([askUntilItIsDecided(unasked), askUntilItIsDecided(rotated)])
    expect(works.status).toBe(200)
    expect(ended.status).toBe(401)
    expect(ended.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
    expect(isSignedIn(await attempt(rotated))).toBe(true)
    expect((await rotated.sessionToken(shopPage, narrower)).status).toBe(200)
    // The lease of the one that was killed has to run out first.
  }, 60_000)
})

describe('an instance that is asked to end', () => {
  it('finishes the sign-in that it is in', async () => {
    const instance = await stack.startInstance()
    const person = stack.person()
    const answer = await person.atProvider((await person.begin(toShop)).location!)
    stack.identityProvider.resetRequests()
    stack.identityProvider.faults.add({ endpoint: 'token', delayMs: 500, times: 1 })

    const finishing = person.callback(answer, { at: instance.url })
    await expect.poll(() => stack.identityProvider.requests.some(({ endpoint }) => endpoint === 'token')).toBe(true)
    await instance.close()

    expect(isSignedIn(await finishing)).toBe(true)
    await expectSignedIn(person)
  })
})
