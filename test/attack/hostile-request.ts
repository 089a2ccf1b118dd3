/**
 * A sign-in attempt under an attack or a fault: the broker's answer to a program, and the browser's cookies after it.
 */
import type { Person, Reply } from '../setup/person.ts'
import type { Stack } from '../setup/stack.ts'

export const toShop = { frontend: 'shop', return_url: 'http://localhost:3000/orders' }
const asProgram = { accept: 'application/json' }

/** The whole sign-in. The accept header is for a program, so that an error answer contains its code. */
export function attempt(person: Person, at?: string): Promise<Reply> {
  return person.signIn(toShop, undefined, { headers: asProgram, ...(at === undefined ? {} : { at }) })
}

/** Each attempt uses a new browser. */
export function attemptAnew(stack: Stack, at?: string): Promise<Reply> {
  return attempt(stack.person(), at)
}

export function isSignedIn(reply: Reply): boolean {
  return (
    reply.status === 303 &&
    reply.location === toShop.return_url &&
    reply.cookies.some((cookie) => cookie.startsWith('__Host-session-shop='))
  )
}
