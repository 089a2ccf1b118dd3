/** The URL to which a front end sends the browser to sign in. The front end adds `return_url`, which only it knows. */
import type { BrokerError } from '../errors/errors.ts'
import { urlOf } from '../http/routes.ts'
import type { FrontEnd } from '../front-ends/front-ends.ts'

interface Missing {
  /** A claims challenge of the provider, passed on. */
  readonly claims?: string | undefined
  readonly scopes?: readonly string[]
  /** The provider of the session, where the front end has several. */
  readonly provider?: string | undefined
}

export function signInUrl(baseUrl: string, frontEnd: FrontEnd, missing: Missing = {}): string {
  const url = new URL(urlOf(baseUrl, 'login'))
  url.searchParams.set('frontend', frontEnd.id)
  if (missing.provider !== undefined) url.searchParams.set('provider', missing.provider)
  if (missing.claims !== undefined) url.searchParams.set('claims', missing.claims)
  if (missing.scopes && missing.scopes.length > 0) url.searchParams.set('scope', missing.scopes.join(' '))
  return url.href
}

/** Adds the URL that signs the person in again: for everything, or only for what the provider requires. */
export function withSignInUrl(
  error: BrokerError,
  baseUrl: string,
  frontEnd: FrontEnd,
  scopes: readonly string[],
): BrokerError {
  const { code, members } = error
  if (code === 'signed_out') return error.with({ members: { sign_in_url: signInUrl(baseUrl, frontEnd) } })
  if (code !== 'interaction_required') return error
  const textOf = (name: string) => (typeof members[name] === 'string' ? members[name] : undefined)
  const missing = { claims: textOf('claims'), provider: textOf('provider'), scopes }
  return error.with({ members: { sign_in_url: signInUrl(baseUrl, frontEnd, missing) } })
}
