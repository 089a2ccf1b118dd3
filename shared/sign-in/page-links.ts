/**
 * Links of an error page: to sign in, and to the application. They are links and never redirects, so that a failure
 * that repeats itself does not loop. They lead to registered addresses only.
 */
import type { KeyRing } from '../crypto/key-ring.ts'
import type { BrokerError, Link } from '../errors/errors.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { checkReturnUrl, checkSignedOutUrl } from '../front-ends/return-url.ts'
import { sessionCookieName, signedOutCookieName } from '../http/cookies.ts'
import type { RequestCookies } from '../http/cookies.ts'
import { urlOf } from '../http/routes.ts'
import { signInUrl } from './sign-in-url.ts'
import { markedClients } from './sso-cookie.ts'
import { frontEndIdOf, frontEndIdsOf } from './transaction.ts'

/** The request of a browser at `/login`, as far as the links depend on it; untrusted. */
export interface LinkRequest {
  readonly frontEnd: FrontEnd | undefined
  readonly returnUrl?: string | undefined
  /** The text of the link that starts a sign-in. */
  readonly again: 'Try again' | 'Sign in' | 'Sign in with another account'
}

/** @returns the links, the most useful first; none where the front end is not registered */
export function signInLinks({ frontEnd, returnUrl, again }: LinkRequest, baseUrl: string): readonly Link[] {
  if (!frontEnd) return []
  // An OAuth client starts with a state and a challenge of its own: only its page can start again.
  if (frontEnd.kind === 'oauth') return [{ text: 'Back to the application', url: `${frontEnd.origins[0] ?? ''}/` }]
  const url = new URL(signInUrl(baseUrl, frontEnd))
  const back = usableReturnUrl(returnUrl, frontEnd)
  if (back !== undefined) url.searchParams.set('return_url', back)
  // Where the front end registers this prompt: otherwise the link would be refused.
  const isOther = again === 'Sign in with another account' && frontEnd.prompts.includes('select_account')
  if (isOther) url.searchParams.set('prompt', 'select_account')
  return [
    { text: again, url: url.href },
    { text: 'Back to the application', url: back ?? checkReturnUrl(undefined, frontEnd) },
  ]
}

/** @returns links of a page that ends a sign-up: again, and to the application */
export function signUpLinks(frontEnd: FrontEnd | undefined, baseUrl: string): readonly Link[] {
  if (!frontEnd) return []
  const again = new URL(urlOf(baseUrl, 'signup'))
  again.searchParams.set('frontend', frontEnd.id)
  return [
    { text: 'Sign up again', url: again.href },
    { text: 'Back to the application', url: checkReturnUrl(undefined, frontEnd) },
  ]
}

/** The routes whose errors are pages for a person. */
export type PageRoute = 'login' | 'callback' | 'sign-out'

/** A request that ends on an error page. */
export interface FailedRequest {
  readonly route: PageRoute
  /** Untrusted, as the cookies and `error.frontEndId`: they only choose among registered front ends. */
  readonly query: URLSearchParams
  readonly cookies: RequestCookies
  readonly error: Pick<BrokerError, 'status' | 'frontEndId'>
}

/**
 * @returns the links of an error page, the most useful first; none where the request and the browser name no registered
 *   front end, or several. At a sign-out, those of several that the browser has cookies of. Never throws: the page must
 *   not depend on the store or the vault.
 */
export type FindPageLinks = (request: FailedRequest) => Promise<readonly Link[]>

interface PageLinksOptions {
  readonly frontEnds: FrontEnds
  readonly ring: KeyRing
  readonly baseUrl: string
}

export function createFindPageLinks(options: PageLinksOptions): FindPageLinks {
  return async (request) => {
    const { route, query, cookies, error } = request
    const frontEnd = await frontEndOf(request, options)
    if (!frontEnd) return route === 'sign-out' ? usedLinks(cookies, options.frontEnds) : []
    if (route === 'sign-out') return signedOutLinks(frontEnd)
    const again = route === 'login' && error.status < 500 ? 'Sign in' : 'Try again'
    return signInLinks({ frontEnd, returnUrl: query.get('return_url') ?? undefined, again }, options.baseUrl)
  }
}

/** @returns the link of a page that ends a sign-out: to the first registered page for it */
function signedOutLinks(frontEnd: FrontEnd): readonly Link[] {
  return [{ text: 'Back to the application', url: checkSignedOutUrl(undefined, frontEnd) }]
}

/** More links would not help the person. */
const mostUsed = 5

/**
 * @returns a link to the front end of the last sign-out, else to those that this browser has cookies of:
 *   the page reveals no other one
 */
function usedLinks(cookies: RequestCookies, frontEnds: FrontEnds): readonly Link[] {
  const left = frontEnds.find(cookies.get(signedOutCookieName) ?? '')
  if (left) return signedOutLinks(left)
  const sessions = frontEnds.all.filter(({ id }) => cookies.has(sessionCookieName(id))).map(({ id }) => id)
  const used = [...new Set([...sessions, ...markedClients(cookies)])].flatMap((id) => frontEnds.find(id) ?? [])
  const [first, ...others] = used
  if (first && others.length === 0) return signedOutLinks(first)
  return used.slice(0, mostUsed).map((frontEnd) => {
    const url = checkSignedOutUrl(undefined, frontEnd)
    return { text: `Back to ${new URL(url).host}`, url }
  })
}

/** A name in the request comes first, then the state's, then the pending sign-ins of the browser. */
async function frontEndOf(
  request: FailedRequest,
  { frontEnds, ring }: PageLinksOptions,
): Promise<FrontEnd | undefined> {
  const { route, query, cookies, error } = request
  const named = [error.frontEndId, query.get('client_id'), query.get('frontend')].find(Boolean)
  if (named) return frontEnds.find(named) ?? onlyOne(frontEnds.all)
  const pending = frontEnds.find(frontEndIdOf(query.get('state') ?? ''))
  if (pending) return pending
  const ids = await frontEndIdsOf(cookies, ring).catch(() => [])
  if (ids.length > 0) return onlyOne(ids.flatMap((id) => frontEnds.find(id) ?? []))
  // `/login` without a name means the only session front end, also beside OAuth clients.
  const session = route === 'login' ? onlyOne(frontEnds.all.filter(({ kind }) => kind === 'session')) : undefined
  return session ?? onlyOne(frontEnds.all)
}

function onlyOne<T>([first, ...others]: readonly T[]): T | undefined {
  return others.length > 0 ? undefined : first
}

/** @returns the return URL, checked; undefined where it is refused: the links then lead past it */
function usableReturnUrl(text: string | undefined, frontEnd: FrontEnd): string | undefined {
  try {
    return text === undefined ? undefined : checkReturnUrl(text, frontEnd)
  } catch {
    return undefined
  }
}
