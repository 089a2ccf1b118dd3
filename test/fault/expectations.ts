/** Expectations about a fault, from the view of a person's browser: no fault may sign a person out. */
import { expect } from 'vitest'
import { attemptAnew, isSignedIn } from '../attack/hostile-request.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import type { Stack } from '../setup/stack.ts'

/** Expects 503 with the given code and Retry-After, without a sign-out and without a change of a session cookie. */
export function expectPassingFault(reply: Reply, code: string): void {
  expect({ status: reply.status, code: reply.json.code }).toEqual({ status: 503, code })
  expect(reply.headers.get('retry-after')).toMatch(/^\d+$/)
  expect(reply.json.reference).toBe(reply.headers.get('broker-reference'))
  expect(reply.cookies.filter((cookie) => cookie.startsWith('__Host-session-'))).toEqual([])
}

export async function expectSignedIn(person: Person, at?: string): Promise<void> {
  const session = await person.script(shopPage, '/session', at === undefined ? {} : { at })
  expect({ status: session.status, username: session.json.username }).toEqual({
    status: 200,
    username: 'ada@contoso.example',
  })
}

/** Waits until each instance signs in again. A failed read of the key ring is cached for some seconds. */
export async function expectRecovery(stack: Stack, signedIn: Person, urls: readonly string[]): Promise<void> {
  expect(urls).not.toEqual([])
  const recovers = async (url: string) => {
    await expect
      .poll(async () => isSignedIn(await attemptAnew(stack, url)), { timeout: 60_000, interval: 500 })
      .toBe(true)
    await expectSignedIn(signedIn, url)
  }
  await Promise.all(urls.map(recovers))
}
