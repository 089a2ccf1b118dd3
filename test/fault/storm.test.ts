/**
 * Other instances write all the time: a conditional write fails repeatedly, and is retried with the current row,
 * but not for ever.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { attempt, isSignedIn } from '../attack/hostile-request.ts'
import { runRoll, versionsAt } from '../certificate/rolling.ts'
import {
  app,
  ordersRead,
  redeem,
  authorize,
  authorizationRequest,
  newPkce,
  refresh,
  signInByCode,
} from '../setup/client.ts'
import { shopPage } from '../setup/person.ts'
import type { Person } from '../setup/person.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectPassingFault, expectSignedIn } from './expectations.ts'

const narrower = { api: 'orders', scope: ordersRead }

let stack: Stack
let person: Person
beforeAll(async () => {
  stack = await startStack({ frontEnds: [shop, app] })
  person = stack.person()
  expect(isSignedIn(await attempt(person))).toBe(true)
})
afterEach(() => {
  stack.store.clearFaults()
  stack.identityProvider.changeTokenResponse()
  stack.identityProvider.resetRequests()
  stack.store.resetRequests()
})
afterAll(() => stack.close())

/** Answers as the store does for a row that another instance has changed. */
const storm = (table: string, times?: number) =>
  stack.store.addFault({
    operation: 'replace',
    table,
    status: 412,
    body: '{"odata.error":{"code":"UpdateConditionNotSatisfied","message":{"lang":"en-US","value":"changed"}}}',
    ...(times === undefined ? {} : { times }),
  })
const refreshes = () => stack.identityProvider.requests.filter(({ grantType }) => grantType === 'refresh_token').length
const replaced = () => stack.store.requests.filter(({ operation }) => operation === 'replace').length

describe('a storm of changes', () => {
  it('before a renewal delays it: the provider receives one request', async () => {
    storm('sessions', 5)

    expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)

    expect(refreshes()).toBe(1)
  })

  it('after the provider has answered does not lose its tokens', async () => {
    stack.identityProvider.settings.singleUseRefreshTokens = true
    stack.identityProvider.changeTokenResponse(({ answer }) => {
      storm('sessions', 3)
      return answer
    })

    const renewed = await person.sessionToken(shopPage, { ...narrower, scope: 'api://demo/orders.write' })

    expect(renewed.status).toBe(200)
    stack.identityProvider.changeTokenResponse()
    const kept = await person.sessionToken(shopPage, { ...narrower, scope: 'api://demo/orders.write' })
    expect(kept.json.access_token).toBe(renewed.json.access_token)
    expect(refreshes()).toBe(1)
    stack.identityProvider.settings.singleUseRefreshTokens = false
  })

  it('that does not end is reported after a while, signs no person out, and causes a bounded number of requests', async () => {
    const other = stack.person()
    await attempt(other)
    storm('sessions')

    expectPassingFault(await other.sessionToken(shopPage, narrower), 'renewal_pending')

    expect(refreshes()).toBe(0)
    expect(replaced()).toBeLessThan(120)
    await expectSignedIn(other)
    stack.store.clearFaults()
    expect((await other.sessionToken(shopPage, narrower)).status).toBe(200)
  })

  it('at the rotation of a refresh token leads to one next token', async () => {
    const { refreshToken } = await signInByCode(stack.person(), stack.url)
    storm('sessions', 5)

    const next = await refresh(stack.url, refreshToken)

    expect(next.status).toBe(200)
    expect((await refresh(stack.url, next.json.refresh_token as string)).status).toBe(200)
  })

  it('at a code means that another caller used it: the broker issues no token, also at a second attempt', async () => {
    const pkce = newPkce()
    const code = (await authorize(stack.person(), authorizationRequest(pkce))).get('code')!
    storm('codes', 1)

    expect((await redeem(stack.url, code, pkce)).json.error).toBe('invalid_grant')
    expect((await redeem(stack.url, code, pkce)).json.error).toBe('invalid_grant')
  })

  it('at the certificate’s row delays the roll', async () => {
    const [broker] = stack.brokers
    storm('service', 5)

    expect(await runRoll(broker!)).toBe(202)

    expect(Object.values(await versionsAt(broker!))).toMatchObject([{ status: 'accepted', signs: true }])
  })
})
