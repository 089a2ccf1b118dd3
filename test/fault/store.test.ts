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
  ['hangs up', { dropConnection: true }],
  ['says 429', { status: 429 }],
  ['says 500', { status: 500 }],
  ['says 503', { status: 503 }],
  ['answers garbage', { status: 200, body: '<h1>Hello</h1>' }],
  ['answers nothing', { status: 200 }],
  ['answers an empty object', { status: 200, body: '{}' }],
  ['finds nothing, in nobody’s words', { status: 404, body: '{}' }],
  ['forbids', { status: 403 }],
]
const redemptions = () => stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token').length
const inserts = (table: string) =>
  stack.store.requests.filter((request) => request.operation === 'insert' && request.table === table).length
const narrower = { api: 'orders', scope: 'api://demo/orders.read' }

describe('a store that, when a state is taken,', () => {
  it.each(faults)(
    '%s: the code is not redeemed, nobody is signed out, and the next sign-in works',
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

  it('loses its answer has taken it for this very sign-in, which goes on', async () => {
    stack.store.addFault({ operation: 'insert', table: 'states', loseAnswer: true, times: 1 })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)

    expect(inserts('states')).toBe(2)
    expect(redemptions()).toBe(1)
  })

  it('hangs up once is asked once more', async () => {
    stack.store.addFault({ operation: 'insert', table: 'states', dropConnection: true, times: 1 })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it('loses its answer to one of two who bring the same code lets one of them in', async () => {
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
    '%s: the code is spent once, the earlier session stays, and the next sign-in works',
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

  it('loses its answer has written it: one session, and the cookie opens it', async () => {
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
    ['hangs up once', { dropConnection: true, times: 1 }],
    ['loses one answer', { loseAnswer: true, times: 1 }],
    ['is busy once', { status: 503, times: 1 }],
    ['takes its time', { delayMs: 300 }],
  ])('%s is asked once more, and nobody notices', async (_what, effect) => {
    const person = stack.person()
    await attempt(person)
    stack.store.addFault({ operation: 'find', table: 'sessions', ...effect })

    await expectSignedIn(person)
  })

  it('has really no such session is believed', async () => {
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
    // The lease itself: nothing was asked of the provider yet.
    stack.store.addFault({ operation: 'replace', table: 'sessions', ...effect })

    expectPassingFault(await person.sessionToken(shopPage, narrower), 'store_unavailable')

    expect(redemptions()).toBe(0)
    await expectSignedIn(person)
    stack.store.clearFaults()
    expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)
  })

  it('loses its answer has written it: one refresh, one lease, and nobody waits for somebody else', async () => {
    const person = stack.person()
    await attempt(person)
    stack.identityProvider.resetRequests()
    stack.store.addFault({ operation: 'replace', table: 'sessions', loseAnswer: true, times: 1 })

    expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)

    expect(redemptions()).toBe(1)
  })
})

describe('a store that is down', () => {
  it('does not keep people from starting: nothing is stored for those who only begin', async () => {
    stack.store.addFault({ dropConnection: true })

    expect((await stack.person().begin(toShop)).status).toBe(303)
    expect(stack.store.requests).toEqual([])
  })

  it('makes ready red, by its name', async () => {
    const { url } = await stack.startInstance()
    const person = stack.person()
    await person.begin(toShop, { at: url })
    stack.store.addFault({ dropConnection: true })

    const ready = await person.open('/health/ready', { at: url })

    expect([ready.status, ready.text]).toEqual([503, 'store'])
  })

  it('tells a new instance nothing, which says so, makes no key of its own, and comes round', async () => {
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
