import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { attempt, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { clockAhead } from '../setup/clock.ts'
import { app, ordersRead, refresh, signInByCode } from '../setup/client.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectSignedIn } from './expectations.ts'

/** A busy machine needs a long time to start a new instance. */
const patience = { timeout: 60_000 }
const narrower = { api: 'orders', scope: ordersRead }

let stack: Stack
/** The address of an instance for which the time limit of a renewal is already over. */
let later: string
beforeAll(async () => {
  stack = await startStack({ frontEnds: [shop, app] })
  stack.identityProvider.settings.singleUseRefreshTokens = true
  later = (await stack.startInstance(clockAhead(20))).url
})
afterEach(() => stack.identityProvider.faults.clear())
afterAll(() => stack.close())

const refreshes = () => stack.identityProvider.requests.filter(({ grantType }) => grantType === 'refresh_token')

async function signedIn(): Promise<Person> {
  const person = stack.person()
  expect(isSignedIn(await attempt(person))).toBe(true)
  return person
}

/** Sends a request to a new instance, and kills that instance as soon as the provider has received its request. */
async function killIn(ask: (at: string) => Promise<Reply>): Promise<void> {
  const instance = await stack.startInstance()
  const before = refreshes().length
  const lost = ask(instance.url).catch(() => 'no answer')
  await expect.poll(() => refreshes().length, patience).toBe(before + 1)
  process.kill(instance.pid!, 'SIGKILL')
  expect(await lost).toBe('no answer')
}
const killInARefresh = (person: Person) => killIn((at) => person.sessionToken(shopPage, narrower, { at }))

/** The instance is killed before the provider has rotated. */
const hang = () =>
  stack.identityProvider.faults.add({ endpoint: 'token', grantType: 'refresh_token', hang: true, times: 1 })
/** The provider rotates, and its answer does not arrive. */
const rotateLate = () =>
  stack.identityProvider.faults.add({ endpoint: 'token', grantType: 'refresh_token', delayMs: 300, times: 1 })
const isRotated = () => expect.poll(() => refreshes().at(-1)?.status, patience).toBe(200)

describe('an instance that is killed in a refresh', () => {
  it('leaves a session that works, or that ends cleanly if the provider rotated a single-use refresh token', async () => {
    const [unrequested, rotated] = [await signedIn(), await signedIn()]

    hang()
    await killInARefresh(unrequested)
    rotateLate()
    await killInARefresh(rotated)
    await isRotated()

    // Other instances serve the valid access token at the same time.
    for (const person of [unrequested, rotated]) {
      expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    }
    const works = await unrequested.sessionToken(shopPage, narrower, { at: later })
    const ended = await rotated.sessionToken(shopPage, narrower, { at: later })
    expect(works.status).toBe(200)
    expect(ended.status).toBe(401)
    expect(ended.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
    expect(isSignedIn(await attempt(rotated))).toBe(true)
    expect((await rotated.sessionToken(shopPage, narrower)).status).toBe(200)
  })

  it('of an OAuth client leaves its refresh token valid, or ends it with the error of OAuth', async () => {
    const scopes = { scope: 'api://demo/orders.read api://demo/orders.write' }
    const [unrequested, rotated] = [
      await signInByCode(stack.person(), stack.url, scopes),
      await signInByCode(stack.person(), stack.url, scopes),
    ]
    const narrowed = (refreshToken: string, at: string) => refresh(at, refreshToken, { scope: ordersRead })

    hang()
    await killIn((at) => narrowed(unrequested.refreshToken, at))
    rotateLate()
    await killIn((at) => narrowed(rotated.refreshToken, at))
    await isRotated()

    expect((await narrowed(unrequested.refreshToken, later)).status).toBe(200)
    const ended = await narrowed(rotated.refreshToken, later)
    expect([ended.status, ended.json.error]).toEqual([400, 'invalid_grant'])
    const again = await signInByCode(stack.person(), stack.url, scopes)
    expect((await narrowed(again.refreshToken, stack.url)).status).toBe(200)
  })
})

describe('an instance that receives SIGTERM', () => {
  it('completes the current sign-in', async () => {
    const instance = await stack.startInstance()
    const person = stack.person()
    const answer = await person.atProvider((await person.begin(toShop)).location!)
    stack.identityProvider.resetRequests()
    stack.identityProvider.faults.add({ endpoint: 'token', delayMs: 500, times: 1 })

    const finishing = person.callback(answer, { at: instance.url })
    await expect
      .poll(() => stack.identityProvider.requests.some((one) => one.endpoint === 'token'), patience)
      .toBe(true)
    await instance.close()

    expect(isSignedIn(await finishing)).toBe(true)
    await expectSignedIn(person)
  })

  it('stores the refresh token that the provider rotated in the current refresh', async () => {
    const instance = await stack.startInstance()
    const person = await signedIn()
    const before = refreshes().length
    stack.identityProvider.faults.add({ endpoint: 'token', delayMs: 500, times: 1 })

    const finishing = person.sessionToken(shopPage, narrower, { at: instance.url })
    await expect.poll(() => refreshes().length, patience).toBe(before + 1)
    await instance.close()

    const { status, json } = await finishing
    expect(status).toBe(200)
    expect((await person.sessionToken(shopPage, narrower)).json.access_token).toBe(json.access_token)
    // This refresh uses the new refresh token.
    const wider = await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })
    expect(wider.status).toBe(200)
  })
})
