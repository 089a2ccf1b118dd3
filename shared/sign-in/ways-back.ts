/**
 * Links of a page that ends a sign-in: to sign in, and to the application. They are links and never redirects, so that
 * a failure that repeats itself does not loop. They lead to registered addresses only.
 */
import type { Link } from '../errors/errors.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { checkReturnUrl } from '../front-ends/return-url.ts'
import { signInUrl } from './sign-in-url.ts'

/** The request of a browser at `/login`, as far as the links depend on it; untrusted. */
export interface LinkRequest {
  readonly frontEnd: FrontEnd | undefined
  readonly returnUrl?: string | undefined
  /** The text of the link that starts a sign-in. */
  readonly again: 'Try again' | 'Sign in'
}

/** @returns the links, the most useful first; none where the front end is not registered */
export function signInLinks({ frontEnd, returnUrl, again }: LinkRequest, baseUrl: string): readonly Link[] {
  if (!frontEnd) return []
  // An OAuth client starts with a state and a challenge of its own: only its page can start again.
  if (frontEnd.kind === 'oauth') return [{ text: 'Back to the application', url: `${frontEnd.origins[0] ?? ''}/` }]
  const url = new URL(signInUrl(baseUrl, frontEnd))
  const back = usableReturnUrl(returnUrl, frontEnd)
  if (back !== undefined) url.searchParams.set('return_url', back)
  return [
    { text: again, url: url.href },
    { text: 'Back to the application', url: back ?? checkReturnUrl(undefined, frontEnd) },
  ]
}

/**
 * The front end of a request to `/login` that was refused before its parameters were checked.
 *
 * @param query untrusted: it only chooses among registered front ends
 */
export function frontEndForLinks(query: URLSearchParams, frontEnds: FrontEnds): FrontEnd | undefined {
  const id = query.get('client_id') ?? query.get('frontend')
  if (id !== null && id !== '') return frontEnds.find(id)
  const [only, ...others] = frontEnds.all.filter(({ kind }) => kind === 'session')
  return others.length > 0 ? undefined : only
}

/** @returns the return URL, checked; undefined where it is refused: the links then lead past it */
function usableReturnUrl(text: string | undefined, frontEnd: FrontEnd): string | undefined {
  try {
    return text === undefined ? undefined : checkReturnUrl(text, frontEnd)
  } catch {
    return undefined
  }
}
