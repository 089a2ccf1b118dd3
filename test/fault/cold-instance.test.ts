import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { VaultFault } from '../../local/vault/vault.ts'
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
afterEach(() => {
  stack.vault.faults.clear()
  stack.managedIdentity.failWith(undefined)
  stack.vault.resetRequests()
  stack.managedIdentity.resetRequests()
  stack.identityProvider.resetRequests()
  stack.store.resetRequests()
})
afterAll(() => stack.close())

const done = (operation: string) =>
  stack.vault.requests.filter((request) => request.operation === operation && request.status === 200).length
const asProgram = { headers: { accept: 'application/json' } }

/** The warm instance has everything that it needs. */
async function expectOthersUnaffected(): Promise<void> {
  await expectSignedIn(signedIn)
  expect(isSignedIn(await attemptAnew(stack))).toBe(true)
}

describe('a new instance', () => {
  it('serves twenty parallel sign-ins while it is still cold, with one unwrap, one signature and one identity token', async () => {
    const people = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const person = stack.person()
        const begun = await person.begin(toShop)
        return { person, answer: await person.atProvider(begun.location!) }
      }),
    )
    // Slow enough that all of them wait for the same results.
    stack.managedIdentity.failWith({ delayMs: 300 })
    stack.vault.faults.add({ operation: 'unwrapkey', delayMs: 300 })
    stack.vault.faults.add({ operation: 'sign', delayMs: 300 })
    stack.vault.resetRequests()
    stack.managedIdentity.resetRequests()

    const { url } = await stack.startInstance()
    const replies = await Promise.all(people.map(({ person, answer }) => person.callback(answer, { at: url })))

    expect(replies.map(({ status, location }) => [status, location])).toEqual(Array(20).fill([303, toShop.return_url]))
    expect(replies.filter(isSignedIn)).toHaveLength(20)
    expect({ unwrap: done('unwrapkey'), sign: done('sign'), wrap: done('wrapkey') }).toEqual({
      unwrap: 1,
      sign: 1,
      wrap: 0,
    })
    expect(stack.managedIdentity.requests).toHaveLength(1)
    // And each instance has the session of each person.
    for (const { person } of people) await expectSignedIn(person)
  })

  it('reads no certificate, since the store records which version signs', async () => {
    const { url } = await stack.startInstance()

    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)

    expect(done('listVersions') + done('getCertificate')).toBe(0)
  })

  it('serves the sessions of other instances, and ends them for all instances', async () => {
    const { url } = await stack.startInstance()
    const person = stack.person()
    await attempt(person)

    await expectSignedIn(person, url)
    await person.script(shopPage, '/logout', { method: 'POST', at: url })

    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })
})

describe('a new instance whose key ring cannot be unwrapped', () => {
  const faults: readonly (readonly [what: string, fault: VaultFault, code: string])[] = [
    ['drops the connection', { dropConnection: true }, 'vault_unavailable'],
    ['answers 500', { status: 500 }, 'vault_unavailable'],
    ['answers garbage', { garbage: true }, 'vault_unavailable'],
    ['is throttled', { status: 429, retryAfterSeconds: 7 }, 'vault_throttled'],
    ['answers 403', { status: 403 }, 'vault_forbidden'],
    ['has no such key', { status: 404 }, 'key_ring_unreadable'],
  ]
  const urls: string[] = []

  it.each(faults)(
    'since the vault %s reports it, signs no person out and creates no key of its own',
    async (_what, fault, code) => {
      stack.vault.faults.add({ operation: 'unwrapkey', ...fault })
      const { url } = await stack.startInstance()
      urls.push(url)

      expectPassingFault(await signedIn.script(shopPage, '/session', { at: url }), code)
      expectPassingFault(await signedIn.sessionToken(shopPage, { api: 'orders' }, { at: url }), code)
      expectPassingFault(await stack.person().begin(toShop, { at: url, ...asProgram }), code)
      const ready = await signedIn.open('/health/ready', { at: url })
      expect([ready.status, ready.text]).toEqual([503, 'key ring'])
      expect(done('wrapkey')).toBe(0)
      await expectOthersUnaffected()
    },
  )

  it('recovers after any of these faults', () => expectRecovery(stack, signedIn, urls))

  it('because one answer was lost repeats the request once', async () => {
    stack.vault.faults.add({ operation: 'unwrapkey', loseAnswer: true, times: 1 })
    const { url } = await stack.startInstance()

    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })
})

describe('a new instance that has no assertion yet', () => {
  it('sends no assertion with an invalid signature to the provider, reports it, and recovers with the next valid one', async () => {
    stack.vault.faults.add({ operation: 'sign', wrongValue: true })
    const { url } = await stack.startInstance()
    stack.identityProvider.resetRequests()

    expectPassingFault(await attemptAnew(stack, url), 'signature_invalid')
    expectPassingFault(await attemptAnew(stack, url), 'signature_invalid')
    const ready = await signedIn.open('/health/ready', { at: url })
    expect([ready.status, ready.text]).toEqual([503, 'certificate'])
    expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([])
    await expectSignedIn(signedIn, url)

    stack.vault.faults.clear()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })

  it('serves sessions, reports the fault to a person who signs in, answers /health/ready with certificate, and recovers', async () => {
    stack.vault.faults.add({ operation: 'sign', dropConnection: true })
    const { url } = await stack.startInstance()

    await expectSignedIn(signedIn, url)
    expect((await signedIn.sessionToken(shopPage, { api: 'orders' }, { at: url })).status).toBe(200)
    expectPassingFault(await attemptAnew(stack, url), 'vault_unavailable')
    const ready = await signedIn.open('/health/ready', { at: url })
    expect([ready.status, ready.text]).toEqual([503, 'certificate'])
    expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([])

    stack.vault.faults.clear()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })
})
