/**
 * A browser that signed in at this broker before, known again by a sealed cookie: it decides whether an OAuth client
 * may be signed in silently. It opens no session.
 */
import type { FrontEnd } from '../front-ends/front-ends.ts'
import type { Cookie, RequestCookies } from '../http/cookies.ts'
import { sessionCookiePrefix } from '../http/cookies.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { open, seal } from '../crypto/sealing.ts'
import { BrokerError } from '../errors/errors.ts'
import type { Hints } from '../front-ends/login-parameters.ts'

const name = '__Host-known'

interface Known {
  readonly frontEndId: string
  readonly loginHint: string | undefined
  readonly until: number
}

export async function knownBrowserCookie(known: Known, ring: KeyRing): Promise<Cookie> {
  const key = await ring.current()
  const sealed = seal(key.transaction, JSON.stringify(known), name)
  return { name, value: `${key.id}.${sealed.toString('base64url')}`, sameSite: 'Lax' }
}

export const endKnownBrowserCookie: Cookie = { name, value: '', sameSite: 'Lax', maxAge: 0 }

/**
 * What an OAuth client's sign-in may do without a question. The provider would sign the browser in silently; that is
 * for front ends whose registration says so, and for the one that the browser signed in at before.
 *
 * @throws {BrokerError} `login_required` where the client forbids the question that is owed
 */
export async function askAsRegistered(
  hints: Hints,
  frontEnd: FrontEnd,
  cookies: RequestCookies,
  ring: KeyRing,
  now: number,
): Promise<Hints> {
  const known = await openKnown(cookies, ring, now)
  if (frontEnd.singleSignOn || known?.frontEndId === frontEnd.id) {
    return { ...hints, loginHint: hints.loginHint ?? known?.loginHint }
  }
  const signedInElsewhere =
    known !== undefined || [...cookies.keys()].some((one) => one.startsWith(sessionCookiePrefix))
  if (!signedInElsewhere) return hints
  if (hints.prompt === 'none') throw new BrokerError('login_required')
  return { ...hints, prompt: hints.prompt ?? 'select_account' }
}

async function openKnown(cookies: RequestCookies, ring: KeyRing, now: number): Promise<Known | undefined> {
  const [keyId, sealed] = (cookies.get(name) ?? '').split('.')
  const key = keyId && sealed ? await ring.find(keyId) : undefined
  const opened = key && open(key.transaction, Buffer.from(sealed ?? '', 'base64url'), name)
  if (opened === undefined) return undefined
  const known = JSON.parse(opened) as Known
  return now < known.until ? known : undefined
}
