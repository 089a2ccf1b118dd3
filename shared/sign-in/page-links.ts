/**
 * Links of an error page: to sign in, and to the application. They are links and never redirects, so that a failure
 * that repeats itself does not loop. They lead to registered addresses only.
 */
import type { KeyRing } from '../crypto/key-ring.ts'
import type { BrokerError, Link } from '../errors/errors.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { acceptedHints, readLoginParameters } from '../front-ends/login-parameters.ts'
import type { LoginParameters } from '../front-ends/login-parameters.ts'
import { checkReturnUrl, checkSignedOutUrl } from '../front-ends/return-url.ts'
import { uniqueWordsOf } from '../front-ends/space-separated.ts'
import { sessionCookieName, signedOutCookieName } from '../http/cookies.ts'
import type { RequestCookies } from '../http/cookies.ts'
import { urlOf } from '../http/routes.ts'
import { withParameters } from '../http/url-parameters.ts'
import { signInUrl } from './sign-in-url.ts'
import { markedClients } from './sso-cookie.ts'
import { frontEndIdOf, frontEndIdsOf } from './transaction.ts'

/** The request that failed, as far as the links depend on it. */
interface LinkRequest {
  readonly frontEnd: FrontEnd | undefined
  /** Of `/login` or `/signup`; untrusted. The link repeats those that are accepted. */
  readonly parameters: LoginParameters
}

export interface SignInLinkRequest extends LinkRequest {
  /** The text of the link that starts a sign-in. */
  readonly again: 'Try again' | 'Sign in' | 'Sign in with another account'
}

/** @returns the links, the most useful first; none where the front end is not registered */
export function signInLinks({ frontEnd, parameters, again }: SignInLinkRequest, baseUrl: string): readonly Link[] {
  if (!frontEnd) return []
  // An OAuth client starts with a state and a challenge of its own: only its page can start again.
  if (frontEnd.kind === 'oauth') return [{ text: 'Back to the application', url: `${frontEnd.origins[0] ?? ''}/` }]
  const isOther = again === 'Sign in with another account'
  const { login_hint, domain_hint, prompt, ...hints } = acceptedHints(parameters, frontEnd)
  const back = usableReturnUrl(parameters.return_url, frontEnd)
  const link = withParameters(signInUrl(baseUrl, frontEnd), {
    return_url: back,
    // Where the front end registers this prompt: otherwise the link would be refused.
    prompt: isOther && frontEnd.prompts.includes('select_account') ? withChoice(prompt) : prompt,
    ...hints,
    // Another account may be one of another provider.
    ...(isOther ? {} : { provider: acceptedProvider(parameters, frontEnd), login_hint, domain_hint }),
  })
  return [{ text: again, url: link }, backLink(back, frontEnd)]
}

/** @param prompt of the failed request: a new sign-in that it required is required again */
function withChoice(prompt = ''): string {
  return uniqueWordsOf(`${prompt} select_account`).join(' ')
}

/** @returns links of a page that ends a sign-up: again, and to the application */
export function signUpLinks({ frontEnd, parameters }: LinkRequest, baseUrl: string): readonly Link[] {
  if (!frontEnd) return []
  const { login_hint, domain_hint } = acceptedHints(parameters, frontEnd)
  const back = usableReturnUrl(parameters.return_url, frontEnd)
  const link = withParameters(urlOf(baseUrl, 'signup'), {
    frontend: frontEnd.id,
    return_url: back === checkReturnUrl(undefined, frontEnd) ? undefined : back,
    provider: acceptedProvider(parameters, frontEnd),
    login_hint,
    domain_hint,
  })
  return [{ text: 'Sign up again', url: link }, backLink(back, frontEnd)]
}

function backLink(returnUrl: string | undefined, frontEnd: FrontEnd): Link {
  return { text: 'Back to the application', url: returnUrl ?? checkReturnUrl(undefined, frontEnd) }
}

/** @returns undefined also where the front end has only one: there is nothing to choose */
function acceptedProvider({ provider }: LoginParameters, { providers = [] }: FrontEnd): string | undefined {
  return providers.length > 1 ? providers.find((id) => id === provider) : undefined
}

/** The routes whose errors are pages for a person. */
export type PageRoute = 'login' | 'sign-up' | 'callback' | 'sign-out'

/** A request that ends on an error page. */
export interface FailedRequest {
  readonly route: PageRoute
  /** Untrusted, as the cookies and `error.frontEndId`: they only choose among registered front ends. */
  readonly query: URLSearchParams
  readonly cookies: RequestCookies
  readonly error: Pick<BrokerError, 'status' | 'frontEndId'> & Partial<Pick<BrokerError, 'code'>>
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
    const again = route !== 'callback' && error.status < 500 ? 'Sign in' : 'Try again'
    const parameters = route === 'callback' ? {} : parametersOf(query)
    const isSignUp = route === 'sign-up' && error.code !== 'sign_up_closed'
    if (isSignUp) return signUpLinks({ frontEnd, parameters }, options.baseUrl)
    return signInLinks({ frontEnd, parameters, again }, options.baseUrl)
  }
}

/** A sign-in that the identity provider starts names its return URL `target_link_uri` (initiated-login.ts). */
function parametersOf(query: URLSearchParams): LoginParameters {
  const target = query.get('target_link_uri')
  return { ...readLoginParameters(query), ...(target ? { return_url: target } : {}) }
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
    // A private scheme has no host; the first origin is that of a page about the application.
    return { text: `Back to ${new URL(url).host || new URL(frontEnd.origins[0] ?? url).host}`, url }
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
  // `/login` and `/signup` without a name mean the only session front end, also beside OAuth clients.
  const session =
    route === 'login' || route === 'sign-up'
      ? onlyOne(frontEnds.all.filter(({ kind }) => kind === 'session'))
      : undefined
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
