/** The URL to which a front end sends the browser to sign in. The front end adds `return_url`, which only it knows. */
import type { BrokerError } from '../errors/errors.ts'
import { urlOf } from '../http/routes.ts'
import { withParameters } from '../http/url-parameters.ts'
import type { FrontEnd } from '../front-ends/front-ends.ts'

interface Missing {
  /** A claims challenge of the provider, passed on. */
  readonly claims?: string | undefined
  readonly scopes?: readonly string[]
  /** The provider of the session, where the front end has several. */
  readonly provider?: string | undefined
}

export function signInUrl(baseUrl: string, frontEnd: FrontEnd, missing: Missing = {}): string {
  const { provider, claims, scopes = [] } = missing
  const scope = scopes.length > 0 ? scopes.join(' ') : undefined
  return withParameters(urlOf(baseUrl, 'login'), { frontend: frontEnd.id, provider, claims, scope })
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
