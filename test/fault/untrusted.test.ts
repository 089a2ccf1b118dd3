import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attempt, attemptAnew, isSignedIn, toShop } from '../attack/attempt.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectPassingFault, expectSignedIn } from './calm.ts'

const asProgram = { headers: { accept: 'application/json' } }

let stack: Stack
let signedIn: Person
beforeAll(async () => {
  stack = await startStack()
  signedIn = stack.person()
  expect(isSignedIn(await attempt(signedIn))).toBe(true)
})
afterAll(() => stack.close())

describe('an instance that does not trust', () => {
  it('who issued the certificates of provider and vault tells them nothing, and signs nobody out', async () => {
    const { url } = await stack.startInstance({ NODE_EXTRA_CA_CERTS: undefined })
    stack.vault.resetRequests()
    stack.identityProvider.resetRequests()

    expectPassingFault(await signedIn.script(shopPage, '/session', { at: url }), 'vault_unavailable')
    expectPassingFault(await stack.person().begin(toShop, { at: url, ...asProgram }), 'vault_unavailable')
    expect(stack.vault.requests).toEqual([])
    expect(stack.identityProvider.requests).toEqual([])
    // The same by one that does.
    await expectSignedIn(signedIn)
    expect(isSignedIn(await attemptAnew(stack, (await stack.startInstance()).url))).toBe(true)
  })
})
