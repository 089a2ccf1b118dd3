/**
 * Single sign-on marks: one sealed cookie for each OAuth client at which this browser has signed in. A mark decides
 * whether that client may sign the browser in without a question (OpenID Connect Core §3.1.2.1, `prompt`). It opens no
 * session. One cookie a client, because no client may end or replace the mark of another one.
 */
import type { FrontEnd } from '../front-ends/front-ends.ts'
import type { Cookie, RequestCookies } from '../http/cookies.ts'
import { sessionCookiePrefix } from '../http/cookies.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { openToken, sealToken } from '../crypto/sealed-token.ts'
import { BrokerError } from '../errors/errors.ts'
import type { Hints } from '../front-ends/login-parameters.ts'
import { plainIdForm } from '../settings/identifiers.ts'

const prefix = '__Host-known-'

/** The name of a cookie that the broker sets; a name goes back into a header, so only these are accepted. */
const ownName = new RegExp(`^${prefix}(${plainIdForm})$`)

/** More would fill the Cookie header: each has up to 900 characters. */
const maxMarks = 8
/** The provider chooses the text of the hint. It saves a question only, so a long one is left out. */
const mostHintBytes = 512

interface Mark {
  readonly loginHint: string | undefined
  /** Milliseconds since the epoch. */
  readonly until: number
  /** Id of the provider; undefined for the primary one, and in marks of an earlier release. */
  readonly provider?: string | undefined
}

/** The marks of one browser, and the means to open them. */
interface BrowserMarks {
  readonly cookies: RequestCookies
  readonly ring: KeyRing
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * @param frontEndId the client at which the sign-in has just succeeded
 * @returns the cookie that marks this browser for that client
 */
export async function ssoCookie(frontEndId: string, mark: Mark, ring: KeyRing): Promise<Cookie> {
  const name = `${prefix}${frontEndId}`
  const isShort = Buffer.byteLength(mark.loginHint ?? '') <= mostHintBytes
  const kept: Mark = isShort ? mark : { ...mark, loginHint: undefined }
  return { name, value: sealToken(kept, name, await ring.current()), sameSite: 'Lax' }
}

/** @returns ids of the OAuth clients that this browser has marks of; the marks are not opened */
export function markedClients(cookies: RequestCookies): readonly string[] {
  return [...cookies.keys()].flatMap((name) => ownName.exec(name)?.[1] ?? [])
}

/** @returns the cookie that ends the mark of this client, and of no other */
export function endSsoCookie(frontEndId: string): Cookie {
  return { name: `${prefix}${frontEndId}`, value: '', sameSite: 'Lax', maxAge: 0 }
}

/** @returns cookies that end the marks over the limit: those that do not open, then the oldest */
export async function endOldestMarks(marks: BrowserMarks): Promise<readonly Cookie[]> {
  const ids = markedClients(marks.cookies)
  if (ids.length <= maxMarks) return []
  const aged = await Promise.all(ids.map(async (id) => ({ id, until: (await openMark(id, marks))?.until ?? 0 })))
  aged.sort((a, b) => a.until - b.until)
  return aged.slice(0, ids.length - maxMarks).map(({ id }) => endSsoCookie(id))
}

/**
 * Decides whether an OAuth client may sign this browser in without a question. The provider may know the browser, and
 * would then answer at once. That is right for a client with `singleSignOn`, and for a client whose own mark the
 * browser holds. `prompt=none` at any other client is refused in every case, so that its answer does not reveal whether
 * the browser has signed in at another client.
 *
 * @param hints of the authorization request, checked
 * @param provider at which the sign-in begins: undefined for the primary one. A mark of another provider does not
 *   count
 * @returns the hints to pass on to the provider
 * @throws {BrokerError} `login_required` where the client forbids the question
 */
export async function applySsoPolicy(
  hints: Hints,
  frontEnd: FrontEnd,
  provider: string | undefined,
  marks: BrowserMarks,
): Promise<Hints> {
  const own = await openMark(frontEnd.id, marks)
  if (own && own.provider === provider) return { ...hints, loginHint: hints.loginHint ?? own.loginHint }
  if (frontEnd.singleSignOn) {
    const newest = await newestMark(marks, (mark) => mark.provider === provider)
    return { ...hints, loginHint: hints.loginHint ?? newest?.loginHint }
  }
  if (hints.prompts.includes('none')) throw new BrokerError('login_required')
  const isElsewhere = signedInElsewhere(marks.cookies)
  return hints.prompts.length === 0 && isElsewhere ? { ...hints, prompts: ['select_account'] } : hints
}

/**
 * Finds the provider at which the browser signed in for this client,
 * or for any client where this one has `singleSignOn`.
 *
 * @param accepts true for a provider of this client; undefined is the primary one
 * @returns the mark that decides; undefined where there is none
 */
export async function findMark(
  frontEnd: FrontEnd,
  accepts: (provider: string | undefined) => boolean,
  marks: BrowserMarks,
): Promise<Pick<Mark, 'provider'> | undefined> {
  const own = await openMark(frontEnd.id, marks)
  if (own && accepts(own.provider)) return own
  return frontEnd.singleSignOn ? newestMark(marks, ({ provider }) => accepts(provider)) : undefined
}

/** By name alone: a cookie that does not open makes the answer only more careful. */
function signedInElsewhere(cookies: RequestCookies): boolean {
  return [...cookies.keys()].some((name) => name.startsWith(prefix) || name.startsWith(sessionCookiePrefix))
}

async function newestMark(marks: BrowserMarks, counts: (mark: Mark) => boolean): Promise<Mark | undefined> {
  const ids = markedClients(marks.cookies).slice(0, maxMarks)
  const opened = await Promise.all(ids.map((id) => openMark(id, marks)))
  return opened
    .filter((mark) => mark !== undefined)
    .filter(counts)
    .sort((a, b) => b.until - a.until)[0]
}

/** @returns undefined where there is no mark, it has ended, or it was sealed for another client */
async function openMark(frontEndId: string, { cookies, ring, now }: BrowserMarks): Promise<Mark | undefined> {
  const name = `${prefix}${frontEndId}`
  const mark = (await openToken(cookies.get(name), name, ring)) as Mark | undefined
  return mark && now < mark.until ? mark : undefined
}
