import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import type { Fault } from '../../local/identity-provider/identity-provider.ts'
import { clockAhead } from '../setup/clock.ts'
import { holdTokenResponse } from '../setup/held-answer.ts'
import { shopPage } from '../setup/person.ts'
import type { Call, Person, Reply } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'
import type { StoreFault } from '../setup/table-proxy.ts'

const read = 'api://demo/orders.read'
const write = 'api://demo/orders.write'

describe('a renewal that a fault interrupts', () => {
  let stack: Stack
  let person: Person
  /** The time at which a token of five minutes is in its last minute. */
  let ahead: HostProcess
  beforeAll(async () => {
    stack = await startStack({ instances: 2 })
    await warmUp(stack)
    ahead = await stack.startInstance(clockAhead(250))
    stack.identityProvider.settings.accessTokenSeconds = 300
  })
  beforeEach(async () => {
    person = stack.person()
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    stack.identityProvider.resetRequests()
    stack.store.resetRequests()
  })
  afterEach(() => {
    stack.identityProvider.faults.clear()
    stack.identityProvider.changeTokenResponse()
    stack.identityProvider.settings.singleUseRefreshTokens = false
    stack.store.clearFaults()
  })
  afterAll(() => stack.close())

  /** Scopes whose token is stored since the sign-in. */
  const ask = (call: Call = {}): Promise<Reply> => person.sessionToken(shopPage, { api: 'orders' }, call)
  /** Scopes whose token must be requested. */
  const fetchAnew = (scope = read, call: Call = {}): Promise<Reply> =>
    person.sessionToken(shopPage, { api: 'orders', scope }, call)
  const isSignedIn = async () => (await person.script(shopPage, '/session')).status === 200
  const refreshes = () => stack.identityProvider.requests.filter(({ grantType }) => grantType === 'refresh_token')
  const fail = (fault: Omit<Fault, 'endpoint'>) => stack.identityProvider.faults.add({ endpoint: 'token', ...fault })

  const faults: readonly [string, Omit<Fault, 'endpoint'>][] = [
    ['refuses connections', { dropConnection: true }],
    ['answers 500', { status: 500 }],
    ['answers 503 by a page', { status: 503, body: '<html>down</html>', contentType: 'text/html' }],
    ['answers 429', { status: 429, retryAfterSeconds: 7 }],
    ['answers 200 by a page', { status: 200, body: '<html>hello</html>', contentType: 'text/html' }],
    ['answers broken JSON', { status: 200, body: '{"access_token":', contentType: 'application/json' }],
    ['answers 200 without a token', { status: 200, body: { token_type: 'Bearer', expires_in: 300 } }],
    ['redirects', { status: 302 }],
    ['answers 400 without an error', { status: 400, body: {} }],
  ]

  describe.each(faults)('when the provider %s', (_, fault) => {
    it('serves the token that is still good', async () => {
      const old = (await ask()).json.access_token
      fail(fault)

      const replies = [await ask({ at: ahead.url }), await ask({ at: ahead.url })]

      for (const { status, json } of replies) {
        expect(status).toBe(200)
        expect(json.access_token).toBe(old)
        expect(json.expires_in).toBeGreaterThan(0)
      }
      // The second call sent no request: not every call tries a provider that is down.
      expect(refreshes()).toHaveLength(1)
    })

    it('answers 503 where no token is good, keeps the cookie and the session, and works afterwards', async () => {
      fail(fault)

      const reply = await fetchAnew()

      expect(reply.status).toBe(503)
      expect(Number(reply.headers.get('retry-after'))).toBeGreaterThan(0)
      expect(reply.json.code).toMatch(/^provider_/)
      expect(reply.cookies).toEqual([])
      expect(await isSignedIn()).toBe(true)
      stack.identityProvider.faults.clear()
      expect((await fetchAnew()).status).toBe(200)
    })
  })

  it('returns the provider’s Retry-After', async () => {
    fail({ status: 429, retryAfterSeconds: 7 })

    const reply = await fetchAnew()

    expect(reply.headers.get('retry-after')).toBe('7')
    expect(reply.json.code).toBe('provider_throttled')
  })

  it('serves the old token at once to callers that need not wait for a slow provider', async () => {
    const old = (await ask()).json.access_token
    const { requested, release } = holdTokenResponse(stack.identityProvider)
    const slow = ask({ at: ahead.url })
    await requested

    const other = await ask({ at: stack.brokers[1]!.url })
    release()

    expect(other.json.access_token).toBe(old)
    expect((await slow).json.access_token).not.toBe(old)
  })

  describe('when the provider’s answer is lost', () => {
    it('works at the next attempt where the provider accepts the old refresh token again, as Entra does', async () => {
      fail({ loseAnswer: true, times: 1 })

      expect((await fetchAnew()).status).toBe(503)
      expect(refreshes()).toHaveLength(1) // not sent twice blindly
      expect((await fetchAnew()).status).toBe(200)
    })

    it('ends the session cleanly where a refresh token can be used only once', async () => {
      stack.identityProvider.settings.singleUseRefreshTokens = true
      fail({ loseAnswer: true, times: 1 })

      expect((await fetchAnew()).status).toBe(503)
      const reply = await fetchAnew()

      expect(reply.status).toBe(401)
      expect(reply.json.sign_in_url).toBe(`${stack.url}/login?frontend=shop`)
      expect(await isSignedIn()).toBe(false)
    })
  })

  describe('in the store', () => {
    it.each<[string, StoreFault]>([
      ['the answer to the lease is lost', { operation: 'replace', times: 1, loseAnswer: true }],
      ['the lease is refused once', { operation: 'replace', times: 1, status: 503 }],
      ['a read is cut once', { operation: 'find', times: 1, dropConnection: true }],
    ])('does not matter when %s', async (_, fault) => {
      stack.identityProvider.settings.singleUseRefreshTokens = true
      stack.store.addFault(fault)

      expect((await fetchAnew(read)).status).toBe(200)
      expect((await fetchAnew(write)).status).toBe(200)
      expect(refreshes()).toHaveLength(2)
    })

    it.each<[string, StoreFault]>([
      ['its answer is lost', { operation: 'replace', times: 1, loseAnswer: true }],
      ['it is refused several times', { operation: 'replace', times: 5, status: 500 }],
      ['connections are cut several times', { operation: 'replace', times: 3, dropConnection: true }],
    ])('keeps what the provider rotated when %s after the provider has answered', async (_, fault) => {
      stack.identityProvider.settings.singleUseRefreshTokens = true
      stack.identityProvider.changeTokenResponse(({ answer }) => {
        stack.identityProvider.changeTokenResponse()
        stack.store.addFault(fault)
        return answer
      })

      const first = await fetchAnew(read)
      stack.store.clearFaults()

      expect(first.status).toBe(200)
      expect((await fetchAnew(read, { at: stack.brokers[1]!.url })).json.access_token).toBe(first.json.access_token)
      expect((await fetchAnew(write)).status).toBe(200)
      expect(refreshes()).toHaveLength(2)
    })

    it('that rejects writes leaves the token that is still good, and it is served', async () => {
      const old = (await ask()).json.access_token
      stack.store.addFault({ operation: 'replace', status: 503 })

      const reply = await ask({ at: ahead.url })

      expect(reply.status).toBe(200)
      expect(reply.json.access_token).toBe(old)
      // Without a lease no request is sent: a token that cannot be stored is not fetched.
      expect(refreshes()).toEqual([])
    })

    it('that is down is answered with 503 and never with 401, and the cookie stays', async () => {
      stack.store.addFault({ status: 500 })
      const replies = [await ask(), await fetchAnew(), await person.script(shopPage, '/session')]
      stack.store.clearFaults()

      for (const reply of replies) {
        expect(reply.status).toBe(503)
        expect(reply.json.code).toBe('store_unavailable')
        expect(reply.headers.get('retry-after')).toMatch(/^\d+$/)
        expect(reply.cookies).toEqual([])
      }
      expect(await isSignedIn()).toBe(true)
    })
  })

  it('is not returned when the person signed out during the renewal, and does not restore the session', async () => {
    const { requested, release } = holdTokenResponse(stack.identityProvider)
    const cookie = `__Host-session-shop=${(await person.cookies())['__Host-session-shop']!}`
    const renewal = fetchAnew()
    await requested

    const out = await person.script(shopPage, '/logout', { method: 'POST', at: stack.brokers[1]!.url })
    release()
    const reply = await renewal

    expect(out.status).toBe(200)
    expect(reply.status).toBe(401)
    expect(reply.json).not.toHaveProperty('access_token')
    expect((await stack.person().script(shopPage, '/session', { headers: { cookie } })).status).toBe(401)
  })
})
