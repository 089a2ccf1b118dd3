/** A sign-in as an attack or a fault meets it: what the broker says, to a program, and what the browser is left with. */
import type { Person, Reply } from '../setup/person.ts'
import type { Stack } from '../setup/stack.ts'

export const toShop = { frontend: 'shop', return_url: 'http://localhost:3000/orders' }
const asProgram = { accept: 'application/json' }

/** The whole way; an answer that is no page says its code. */
export function attempt(person: Person, at?: string): Promise<Reply> {
  return person.signIn(toShop, undefined, { headers: asProgram, ...(at === undefined ? {} : { at }) })
}

/** A new browser of its own for each attempt. */
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
