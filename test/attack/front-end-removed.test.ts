import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { attempt, isSignedIn, toShop } from './hostile-request.ts'

let stack: Stack
let signedIn: Person
beforeAll(async () => {
  stack = await startStack()
  signedIn = stack.person()
  expect(isSignedIn(await attempt(signedIn))).toBe(true)
})
afterAll(() => stack.close())

describe('a front end that was removed from the settings', () => {
  it('gets no sign-in that started before, and no existing session: the person sees a page without a link to it', async () => {
    const without = await stack.startInstance({ Broker__FrontEnds: JSON.stringify([desk]) })
    const person = stack.person()
    const answer = await person.atProvider((await person.begin(toShop)).location!)
    const kept = await person.jar.getCookieString(stack.url)
    stack.identityProvider.resetRequests()

    const refused = await person.callback(answer, { at: without.url })

    expect([refused.status, refused.location]).toEqual([400, null])
    expect(refused.text).toContain('Code: front_end_unknown')
    expect(refused.text).not.toContain(shop.origins[0])
    expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([])
    const session = await signedIn.script(shopPage, '/session', { at: without.url })
    expect(session.status).not.toBe(200)
    expect(session.headers.get('access-control-allow-origin')).toBeNull()
    // At an instance where it is still registered, the same response signs the person in.
    expect(isSignedIn(await person.callback(answer, { headers: { cookie: kept } }))).toBe(true)
    expect((await signedIn.script(shopPage, '/session')).status).toBe(200)
  })
})
