import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '../../local/identity-provider/identity-provider.ts'
import { attempt, attemptAnew, isSignedIn, toShop } from '../attack/hostile-request.ts'
import { openInside } from '../setup/process-probe.ts'
import { shopPage } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { expectPassingFault, expectSignedIn } from './expectations.ts'

type Effect = Omit<Fault, 'endpoint'>

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
afterEach(() => {
  stack.identityProvider.faults.clear()
  stack.identityProvider.resetRequests()
  stack.identityProvider.settings.singleUseRefreshTokens = false
})
afterAll(() => stack.close())

const faults: readonly (readonly [what: string, effect: Effect, code: string])[] = [
  ['drops the connection', { dropConnection: true }, 'provider_unavailable'],
  ['answers 429', { status: 429, retryAfterSeconds: 17, body: {} }, 'provider_throttled'],
  ['answers 500', { status: 500, body: {} }, 'provider_unavailable'],
  [
    'answers 503 with a page',
    { status: 503, body: '<h1>Sorry</h1>', contentType: 'text/html' },
    'provider_unavailable',
  ],
  ['answers garbage', { body: '<h1>Hello</h1>', contentType: 'text/html' }, 'provider_answer_invalid'],
  ['loses its answer', { loseAnswer: true }, 'provider_unavailable'],
]
const requested = (endpoint: Fault['endpoint']) =>
  stack.identityProvider.requests.filter((request) => request.endpoint === endpoint).length
const narrower = { api: 'orders', scope: 'api://demo/orders.read' }

/** The broker sends a failing provider no request for up to five seconds. This instance's clock skips that time. */
async function startAnother(): Promise<{ url: string; passTime: () => Promise<void> }> {
  const inside = await openInside()
  const { url } = await stack.startInstance(inside.settings)
  let seconds = 0
  return { url, passTime: () => inside.moveClock((seconds += 6)) }
}

describe('a token endpoint that', () => {
  it.each(faults)(
    '%s for a code receives the code once, no person is signed out, and the next sign-in works',
    async (_what, effect, code) => {
      const person = stack.person()
      await attempt(person)
      const begun = await person.begin(toShop)
      const answer = await person.atProvider(begun.location!)
      stack.identityProvider.resetRequests()
      stack.identityProvider.faults.add({ endpoint: 'token', ...effect })

      const failed = await person.callback(answer, { headers: { accept: 'application/json' } })

      expectPassingFault(failed, code)
      if (effect.retryAfterSeconds !== undefined) expect(failed.headers.get('retry-after')).toBe('17')
      await expectSignedIn(person)
      // A reload of the page posts the form again: without its transaction it belongs to no sign-in.
      stack.identityProvider.faults.clear()
      const again = await person.callback(answer, { headers: { accept: 'application/json' } })
      expect(again.cookies).toEqual([])
      expect(requested('token')).toBe(1)
      await expectSignedIn(person)
      expect(isSignedIn(await attempt(person))).toBe(true)
    },
  )

  it('loses its answer does not receive the code again from a browser that kept its cookies', async () => {
    const person = stack.person()
    const begun = await person.begin(toShop)
    const answer = await person.atProvider(begun.location!)
    const kept = await person.jar.getCookieString(stack.url)
    stack.identityProvider.resetRequests()
    stack.identityProvider.faults.add({ endpoint: 'token', loseAnswer: true, times: 1 })
    await person.callback(answer)

    const again = await person.callback(answer, { headers: { cookie: kept } })

    expect(again.status).toBe(303)
    expect(again.location).toBe(toShop.return_url)
    expect(again.cookies).toEqual([])
    expect(requested('token')).toBe(1)
  })

  it.each(faults)(
    '%s for a refresh token does not end the session, and the next refresh works',
    async (_what, effect, code) => {
      const person = stack.person()
      await attempt(person)
      stack.identityProvider.resetRequests()
      stack.identityProvider.faults.add({ endpoint: 'token', ...effect })

      expectPassingFault(await person.sessionToken(shopPage, narrower), code)

      expect(requested('token')).toBe(1)
      // The access token that is still valid is served.
      expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
      await expectSignedIn(person)
      stack.identityProvider.faults.clear()
      expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)
    },
  )

  it('answers late does not fail the sign-in', async () => {
    stack.identityProvider.faults.add({ endpoint: 'token', delayMs: 400 })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    expect(requested('token')).toBe(1)
  })

  it('rotated before its answer was lost, and accepts each token once, ends the session cleanly, with a sign-in URL', async () => {
    stack.identityProvider.settings.singleUseRefreshTokens = true
    const person = stack.person()
    await attempt(person)
    stack.identityProvider.faults.add({ endpoint: 'token', loseAnswer: true, times: 1 })
    expectPassingFault(await person.sessionToken(shopPage, narrower), 'provider_unavailable')

    const ended = await person.sessionToken(shopPage, narrower)

    expect(ended.status).toBe(401)
    expect(ended.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
    expect(isSignedIn(await attempt(person))).toBe(true)
    expect((await person.sessionToken(shopPage, narrower)).status).toBe(200)
  })
})

describe('metadata that cannot be fetched', () => {
  it('is reported at the start of a sign-in, and the failure is not cached', async () => {
    stack.identityProvider.faults.add({ endpoint: 'discovery', dropConnection: true })
    const { url, passTime } = await startAnother()
    const person = stack.person()

    for (const [, effect, code] of faults) {
      await passTime()
      stack.identityProvider.faults.clear()
      stack.identityProvider.faults.add({ endpoint: 'discovery', ...effect })
      const refused = await person.begin(toShop, { at: url, headers: { accept: 'application/json' } })
      expectPassingFault(refused, code)
      // No sign-in has started, so no cookie is left.
      expect(refused.cookies).toEqual([])
    }
    const page = await person.begin(toShop, { at: url })
    expect(page.status).toBe(503)
    expect(page.headers.get('content-type')).toContain('text/html')
    const ready = await person.open('/health/ready', { at: url })
    expect([ready.status, ready.text]).toEqual([503, 'provider'])

    stack.identityProvider.faults.clear()
    await passTime()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })

  it('is not needed by an instance that has it', async () => {
    stack.identityProvider.faults.add({ endpoint: 'discovery', dropConnection: true })
    stack.identityProvider.faults.add({ endpoint: 'keys', dropConnection: true })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    expect(requested('discovery') + requested('keys')).toBe(0)
  })
})

describe('keys that cannot be fetched', () => {
  it('are reported at the first sign-in, and the code is not sent twice', async () => {
    stack.identityProvider.faults.add({ endpoint: 'keys', dropConnection: true })
    const { url, passTime } = await startAnother()

    for (const [what, effect, code] of faults.filter(([what]) => what !== 'loses its answer')) {
      await passTime()
      stack.identityProvider.faults.clear()
      stack.identityProvider.resetRequests()
      stack.identityProvider.faults.add({ endpoint: 'keys', ...effect })
      expectPassingFault(await attemptAnew(stack, url), code)
      expect(requested('token'), what).toBe(1)
    }

    stack.identityProvider.faults.clear()
    await passTime()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })
})
