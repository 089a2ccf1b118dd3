/** What an attacker does to an answer on its way, and to the cookie that it belongs to. */
import type { Person } from './person.ts'

export interface NamedCookie {
  readonly name: string
  readonly value: string
}

/** The one sign-in that this browser has under way. */
export async function transactionOf(person: Person): Promise<NamedCookie> {
  const found = Object.entries(await person.cookies()).find(([name]) => name.startsWith('__Host-signin-'))
  if (!found) throw new Error('This browser has no sign-in under way.')
  return { name: found[0], value: found[1] }
}

/** Puts a cookie into somebody's browser, as whoever breaks `__Host-` could. */
export async function plant(person: Person, brokerUrl: string, { name, value }: NamedCookie): Promise<void> {
  const sameSite = name.startsWith('__Host-signin-') ? 'None' : 'Lax'
  await person.jar.setCookie(`${name}=${value}; Path=/; Secure; HttpOnly; SameSite=${sameSite}`, brokerUrl)
}

export function without(fields: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([one]) => one !== name))
}
