/** A sign-in just before its callback: what an attacker or a fault can change there. */
import type { SignInAnswer } from '../../local/identity-provider/browser.ts'
import type { Person } from './person.ts'
import type { Stack } from './stack.ts'

export interface NamedCookie {
  readonly name: string
  readonly value: string
}

export interface Begun {
  readonly person: Person
  /** The provider's response, which the browser has not carried to the broker yet. */
  readonly answer: SignInAnswer
  readonly transaction: NamedCookie
}

/** Signs a person in at the provider, from the start at the broker. @param at the instance that starts it */
export async function almostSignedIn(
  stack: Stack,
  query: Readonly<Record<string, string>>,
  { username, at = stack.url }: { readonly username?: string; readonly at?: string } = {},
): Promise<Begun> {
  const person = stack.person()
  const begun = await person.begin(query, { at })
  const answer = await person.atProvider(begun.location ?? '', username)
  return { person, answer, transaction: await transactionOf(person) }
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
