import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { openInside } from '../setup/process-probe.ts'
import type { Inside } from '../setup/process-probe.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const read = 'api://demo/orders.read'

describe('an instance that is killed in a renewal, after the provider has rotated', () => {
  let stack: Stack
  let survivor: string
  let inside: Inside
  beforeAll(async () => {
    stack = await startStack()
    inside = await openInside()
    survivor = (await stack.startInstance(inside.settings)).url
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
      stack.identityProvider.changeTokenResponse(({ answer }) => {
        stack.identityProvider.changeTokenResponse()
        process.kill(victim.pid!, 'SIGKILL')
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

    // Until then the other instances cannot detect its death: a stored token is served, other calls are to be retried.
    expect((await person.sessionToken(shopPage, { api: 'orders' }, { at: survivor })).status).toBe(200)
    const early = await fetchAnew(person, survivor)
    expect(early.status).toBe(503)
    expect(early.json.code).toBe('renewal_pending')
    expect(early.headers.get('retry-after')).toBe('2')
    expect(early.cookies).toEqual([])

    await inside.moveClock(20)
    expect((await fetchAnew(person, survivor)).status).toBe(200)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
  })

  it('ends the session cleanly, with a URL to sign in again, where a refresh token can be used only once', async () => {
    stack.identityProvider.settings.singleUseRefreshTokens = true
    const person = await killInRenewal()
    await inside.moveClock(40)

    const reply = await fetchAnew(person, survivor)

    expect(reply.status).toBe(401)
    expect(reply.json.code).toBe('signed_out')
    expect((await person.script(shopPage, '/session')).status).toBe(401)
    const begun = await person.open(`${reply.json.sign_in_url as string}&return_url=http://localhost:3000/`)
    expect((await person.callback(await person.atProvider(begun.location!))).status).toBe(303)
    expect((await fetchAnew(person, survivor)).status).toBe(200)
  })
})
