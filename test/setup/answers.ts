/** Changes of an attacker to a response of the provider, and to the cookie of its sign-in. */
import type { Person } from './person.ts'

export interface NamedCookie {
  readonly name: string
  readonly value: string
}

/** The cookie of the only sign-in that is under way in this browser. */
export async function transactionOf(person: Person): Promise<NamedCookie> {
  const found = Object.entries(await person.cookies()).find(([name]) => name.startsWith('__Host-signin-'))
  if (!found) throw new Error('This browser has no sign-in under way.')
  return { name: found[0], value: found[1] }
}

/** Puts a cookie into a person's browser, as an attacker could who breaks `__Host-`. */
export async function plant(person: Person, brokerUrl: string, { name, value }: NamedCookie): Promise<void> {
  const sameSite = name.startsWith('__Host-signin-') ? 'None' : 'Lax'
  await person.jar.setCookie(`${name}=${value}; Path=/; Secure; HttpOnly; SameSite=${sameSite}`, brokerUrl)
}

export function without(fields: Readonly<Record<string, string>>, name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([one]) => one !== name))
}
