import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { attempt, isSignedIn, toShop } from '../attack/hostile-request.ts'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { clockAhead } from '../setup/clock.ts'
import { holdTokenResponse } from '../setup/held-answer.ts'
import { app, ordersRead, refresh, signInByCode } from '../setup/client.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'
import { expectPassingFault, expectSignedIn } from './expectations.ts'

/** A busy machine needs a long time to start a new instance. */
const patience = { timeout: 60_000 }
const narrower = { api: 'orders', scope: ordersRead }

let stack: Stack
/** The address of an instance for which the time limit of a renewal is already over. */
let later: string
beforeAll(async () => {
  stack = await startStack({ frontEnds: [shop, app] })
  await warmUp(stack)
  later = (await stack.startInstance(clockAhead(20))).url
})
beforeEach(() => {
  stack.identityProvider.settings.singleUseRefreshTokens = true
})
afterEach(() => stack.identityProvider.faults.clear())
afterAll(() => stack.close())

const refreshes = () => stack.identityProvider.requests.filter(({ grantType }) => grantType === 'refresh_token')

async function signedIn(): Promise<Person> {
  const person = stack.person()
  expect(isSignedIn(await attempt(person))).toBe(true)
  return person
}

/** Sends a request to a new instance, and kills that instance at a moment before its answer. */
async function killIn(ask: (at: string) => Promise<Reply>, moment: () => Promise<unknown>): Promise<void> {
  const instance = await stack.startInstance()
  const lost = ask(instance.url).catch(() => 'no answer')
  await moment()
  process.kill(instance.pid!, 'SIGKILL')
  expect(await lost).toBe('no answer')
}
/** The provider has received the refresh token, and has not rotated it. */
async function killBeforeRotation(ask: (at: string) => Promise<Reply>): Promise<void> {
  stack.identityProvider.faults.add({ endpoint: 'token', grantType: 'refresh_token', hang: true, times: 1 })
  const before = refreshes().length
  await killIn(ask, () => expect.poll(() => refreshes().length, patience).toBe(before + 1))
}
/** The provider has rotated, and its answer has not arrived. */
async function killAfterRotation(ask: (at: string) => Promise<Reply>): Promise<void> {
  const { requested, release } = holdTokenResponse(stack.identityProvider)
  await killIn(ask, () => requested)
  release()
}

describe('an instance that is killed in a renewal', () => {
  const renew = (person: Person) => (at: string) => person.sessionToken(shopPage, narrower, { at })

  it('leaves a session that works on another instance, after the time limit of a renewal', async () => {
    stack.identityProvider.settings.singleUseRefreshTokens = false
    const [unrequested, rotated] = [await signedIn(), await signedIn()]
    await killBeforeRotation(renew(unrequested))
    // Entra accepts a refresh token again that it has rotated.
    await killAfterRotation(renew(rotated))

    // Until then an instance cannot detect the death of another: a stored token is served, other calls are retried.
    const early = await Promise.all([unrequested, rotated].map((person) => renew(person)(stack.url)))
    for (const reply of early) {
      expectPassingFault(reply, 'renewal_pending')
      expect(reply.headers.get('retry-after')).toBe('2')
    }
    for (const person of [unrequested, rotated]) {
      expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
      expect((await renew(person)(later)).status).toBe(200)
      await expectSignedIn(person)
    }
  })

  it('ends the session cleanly, with a URL to sign in again, where a refresh token can be used only once', async () => {
    const person = await signedIn()
    await killAfterRotation(renew(person))

    const ended = await renew(person)(later)

    expect(ended.status).toBe(401)
    expect(ended.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
    expect((await person.script(shopPage, '/session')).status).toBe(401)
    expect(isSignedIn(await attempt(person))).toBe(true)
    expect((await renew(person)(stack.url)).status).toBe(200)
  })

  it('of an OAuth client leaves its refresh token valid, or ends it with the error of OAuth', async () => {
    const scopes = { scope: 'api://demo/orders.read api://demo/orders.write' }
    const [unrequested, rotated] = [
      await signInByCode(stack.person(), stack.url, scopes),
      await signInByCode(stack.person(), stack.url, scopes),
    ]
    const narrowed = (refreshToken: string, at: string) => refresh(at, refreshToken, { scope: ordersRead })

    await killBeforeRotation((at) => narrowed(unrequested.refreshToken, at))
    await killAfterRotation((at) => narrowed(rotated.refreshToken, at))

    expect((await narrowed(unrequested.refreshToken, later)).status).toBe(200)
    const ended = await narrowed(rotated.refreshToken, later)
    expect([ended.status, ended.json.error]).toEqual([400, 'invalid_grant'])
    const again = await signInByCode(stack.person(), stack.url, scopes)
    expect((await narrowed(again.refreshToken, stack.url)).status).toBe(200)
  })
})

describe('an instance that is stopped', () => {
  /** The provider's answer arrives when the instance accepts no further request. */
  const endIn = async <T>(instance: HostProcess, ask: () => Promise<T>): Promise<T> => {
    const { requested, release } = holdTokenResponse(stack.identityProvider)
    const finishing = ask()
    await requested
    const closing = instance.close()
    const isDraining = () =>
      fetch(`${instance.url}/health`).then(
        ({ status }) => status === 503,
        () => true,
      )
    await expect.poll(isDraining, patience).toBe(true)
    release()
    await closing
    return finishing
  }

  it('completes the current sign-in', async () => {
    const instance = await stack.startInstance()
    const person = stack.person()
    const answer = await person.atProvider((await person.begin(toShop)).location!)

    const done = await endIn(instance, () => person.callback(answer, { at: instance.url }))

    expect(isSignedIn(done)).toBe(true)
    await expectSignedIn(person)
  })

  it('stores the refresh token that the provider rotated in the current refresh', async () => {
    const instance = await stack.startInstance()
    const person = await signedIn()

    const { status, json } = await endIn(instance, () => person.sessionToken(shopPage, narrower, { at: instance.url }))

    expect(status).toBe(200)
    expect((await person.sessionToken(shopPage, narrower)).json.access_token).toBe(json.access_token)
    // This refresh uses the new refresh token.
    const wider = await person.sessionToken(shopPage, { api: 'orders', scope: 'api://demo/orders.write' })
    expect(wider.status).toBe(200)
  })
})
