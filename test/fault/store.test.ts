import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { attempt, attemptAnew, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { shopPage } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import type { StoreFault } from '../setup/table-proxy.ts'
import { expectPassingFault, expectSignedIn } from './expectations.ts'

type Effect = Omit<StoreFault, 'operation' | 'table'>

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterEach(() => {
  stack.store.clearFaults()
  stack.store.resetRequests()
  stack.identityProvider.resetRequests()
})
afterAll(() => stack.close())

const faults: readonly (readonly [what: string, effect: Effect])[] = [
  ['drops the connection', { dropConnection: true }],
  ['answers 429', { status: 429 }],
  ['answers 500', { status: 500 }],
  ['answers 503', { status: 503 }],
  ['answers garbage', { status: 200, body: '<h1>Hello</h1>' }],
  ['answers with an empty body', { status: 200 }],
  ['answers with an empty object', { status: 200, body: '{}' }],
  ['answers 404 without an error code of the service', { status: 404, body: '{}' }],
  ['answers 403', { status: 403 }],
]
const redemptions = () => stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token').length
const inserts = (table: string) =>
  stack.store.requests.filter((request) => request.operation === 'insert' && request.table === table).length
const narrower = { api: 'orders', scope: 'api://demo/orders.read' }

describe('a store that, when a state is used up,', () => {
  it.each(faults)(
    '%s: the code is not redeemed, no person is signed out, and the next sign-in works',
    async (_what, effect) => {
      const person = stack.person()
      await attempt(person)
      stack.identityProvider.resetRequests()
      stack.store.addFault({ operation: 'insert', table: 'states', ...effect })

      expectPassingFault(await attempt(person), 'store_unavailable')

      expect(redemptions()).toBe(0)
      await expectSignedIn(person)
      stack.store.clearFaults()
      expect(isSignedIn(await attempt(person))).toBe(true)
    },
  )

  it('loses its answer has removed it for this sign-in, which continues', async () => {
    stack.store.addFault({ operation: 'insert', table: 'states', loseAnswer: true, times: 1 })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)

    expect(inserts('states')).toBe(2)
    expect(redemptions()).toBe(1)
  })

  it('drops the connection once gets the request once more', async () => {
    stack.store.addFault({ operation: 'insert', table: 'states', dropConnection: true, times: 1 })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it('loses its answer to one of two callbacks with the same code signs one of them in', async () => {
    const person = stack.person()
    const answer = await person.atProvider((await person.begin(toShop)).location!)
    const cookie = await person.jar.getCookieString(stack.url)
    stack.identityProvider.resetRequests()
    stack.store.addFault({ operation: 'insert', table: 'states', loseAnswer: true, times: 1 })

    const replies = await Promise.all([1, 2].map(() => stack.person().callback(answer, { headers: { cookie } })))

    expect(replies.filter((reply) => isSignedIn(reply))).toHaveLength(1)
    expect(replies.map(({ status, location }) => [status, location])).toEqual([
      [303, toShop.return_url],
      [303, toShop.return_url],
    ])
    expect(redemptions()).toBe(1)
  })
})

describe('a store that, when a session is written,', () => {
  it.each(faults)(
    '%s: the code is redeemed once, the earlier session stays, and the next sign-in works',
    async (_what, effect) => {
      const person = stack.person()
      await attempt(person)
      stack.identityProvider.resetRequests()
      stack.store.addFault({ operation: 'insert', table: 'sessions', ...effect })

      expectPassingFault(await attempt(person), 'store_unavailable')

      expect(redemptions()).toBe(1)
      await expectSignedIn(person)
      stack.store.clearFaults()
      expect(isSignedIn(await attempt(person))).toBe(true)
    },
  )

  it('loses its answer has written it: there is one session, and the cookie is valid for it', async () => {
    stack.store.addFault({ operation: 'insert', table: 'sessions', loseAnswer: true, times: 1 })
    const person = stack.person()

    expect(isSignedIn(await attempt(person))).toBe(true)

    expect(inserts('sessions')).toBe(2)
    await expectSignedIn(person)
  })
})

describe('a store that, when a session is read,', () => {
  it.each(faults)('%s: 503 and never 401, the cookie stays, and the next read finds it', async (_what, effect) => {
    const person = stack.person()
    await attempt(person)
    stack.store.addFault({ operation: 'find', table: 'sessions', ...effect })

    expectPassingFault(await person.script(shopPage, '/session'), 'store_unavailable')
    expectPassingFault(await person.sessionToken(shopPage, { api: 'orders' }), 'store_unavailable')

    stack.store.clearFaults()
    await expectSignedIn(person)
    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
  })

  it.each<[string, Effect]>([
    ['drops the connection once', { dropConnection: true, times: 1 }],
    ['loses one answer', { loseAnswer: true, times: 1 }],
    ['is busy once', { status: 503, times: 1 }],
    ['answers late', { delayMs: 300 }],
  ])('%s gets the request once more, and the session is served', async (_what, effect) => {
    const person = stack.person()
    await attempt(person)
    stack.store.addFault({ operation: 'find', table: 'sessions', ...effect })

    await expectSignedIn(person)
  })

  it('has no such session signs the person out', async () => {
    const person = stack.person()
    await attempt(person)
    await person.script(shopPage, '/logout', { method: 'POST' })

    expect((await person.script(shopPage, '/session')).status).toBe(401)
  })
})

describe('a store that, when a renewal is written,', () => {
  it.each(faults)('%s: no second refresh, the session stays, and the next renewal works', async (_what, effect) => {
    const person = stack.person()
    await attempt(person)
    stack.identityProvider.resetRequests()
    // This write is the lease: the provider has received no request yet.
    stack.store.addFault({ operation: 'replace', table: 'sessions', ...effect })

    expectPassingFault(await person.sessionToken(shopPage, narrower), 'store_unavailable')

    expect(redemptions()).toBe(0)
    await expectSignedIn(person)
    stack.store.clearFaults()
    expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)
  })

  it('loses its answer has written it: one refresh, one lease, and no caller waits for another', async () => {
    const person = stack.person()
    await attempt(person)
    stack.identityProvider.resetRequests()
    stack.store.addFault({ operation: 'replace', table: 'sessions', loseAnswer: true, times: 1 })

    expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)

    expect(redemptions()).toBe(1)
  })
})

describe('a store that is down', () => {
  it('does not stop the start of a sign-in, since a start stores nothing', async () => {
    stack.store.addFault({ dropConnection: true })

    expect((await stack.person().begin(toShop)).status).toBe(303)
    expect(stack.store.requests).toEqual([])
  })

  it('fails readiness, which names the store', async () => {
    const { url } = await stack.startInstance()
    const person = stack.person()
    await person.begin(toShop, { at: url })
    stack.store.addFault({ dropConnection: true })

    const ready = await person.open('/health/ready', { at: url })

    expect([ready.status, ready.text]).toEqual([503, 'store'])
  })

  it('makes a new instance report the fault, create no key of its own, and recover later', async () => {
    const person = stack.person()
    await attempt(person)
    stack.store.addFault({ operation: 'list', table: 'service', status: 200, body: '<h1>Hello</h1>' })
    const { url } = await stack.startInstance()

    expectPassingFault(await person.script(shopPage, '/session', { at: url }), 'store_unavailable')
    const begun = await person.begin(toShop, { at: url, headers: { accept: 'application/json' } })
    expectPassingFault(begun, 'store_unavailable')
    expect(inserts('service')).toBe(0)

    stack.store.clearFaults()
    await expect
      .poll(async () => (await person.script(shopPage, '/session', { at: url })).status, { timeout: 60_000 })
      .toBe(200)
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })
})
