import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { clockAhead } from '../setup/clock.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const read = 'api://demo/orders.read'

describe('an instance that is killed in a renewal, after the provider has rotated', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ instances: 2 })
  })
  afterAll(() => stack.close())

  const fetchAnew = (person: Person, at: string): Promise<Reply> =>
    person.sessionToken(shopPage, { api: 'orders', scope: read }, { at })

  /** Lets the provider rotate, and kills the instance before the answer arrives. */
  const killInRenewal = async (): Promise<Person> => {
    const person = stack.person()
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    const victim = await stack.startInstance()
    const rotated = new Promise<void>((resolve) => {
      stack.identityProvider.changeTokenResponse(async ({ answer }) => {
        stack.identityProvider.changeTokenResponse()
        process.kill(victim.pid!, 'SIGKILL')
        await new Promise((go) => setTimeout(go, 50))
        resolve()
        return answer
      })
    })
    await expect(fetchAnew(person, victim.url)).rejects.toThrow()
    await rotated
    return person
  }

  it('leaves a session that works on another instance, after the time limit of a renewal', async () => {
    const person = await killInRenewal()
    const survivor = stack.brokers[1]!.url

    // Until then the other instances cannot detect its death: a stored token is served, other calls are to be retried.
    expect((await person.sessionToken(shopPage, { api: 'orders' }, { at: survivor })).status).toBe(200)
    const early = await fetchAnew(person, survivor)
    expect(early.status).toBe(503)
    expect(early.json.code).toBe('renewal_pending')
    expect(early.headers.get('retry-after')).toBe('2')
    expect(early.cookies).toEqual([])

    expect((await fetchAnew(person, survivor)).status).toBe(200)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('ends the session cleanly, with a URL to sign in again, where a refresh token can be used only once', async () => {
    stack.identityProvider.settings.singleUseRefreshTokens = true
    const person = await killInRenewal()
    // Its clock is past the time limit of a renewal.
    const later = await stack.startInstance(clockAhead(20))

    const reply = await fetchAnew(person, later.url)

    expect(reply.status).toBe(401)
    expect(reply.json.code).toBe('signed_out')
    expect((await person.script(shopPage, '/session')).status).toBe(401)
    const begun = await person.open(`${reply.json.sign_in_url as string}&return_url=http://localhost:3000/`)
    expect((await person.callback(await person.atProvider(begun.location!))).status).toBe(303)
    expect((await fetchAnew(person, later.url)).status).toBe(200)
  })
})
