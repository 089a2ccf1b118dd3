/** Where a front end sends the browser to sign in; it adds the `return_url` itself, which only it knows. */
import type { FrontEnd } from '../frontend/front-ends.ts'

export interface Missing {
  /** A claims challenge of the provider, passed on. */
  readonly claims?: string | undefined
  readonly scopes?: readonly string[]
}

export function signInUrl(baseUrl: string, frontEnd: FrontEnd, missing: Missing = {}): string {
  const url = new URL(`${baseUrl}/login`)
  url.searchParams.set('frontend', frontEnd.id)
  if (missing.claims !== undefined) url.searchParams.set('claims', missing.claims)
  if (missing.scopes && missing.scopes.length > 0) url.searchParams.set('scope', missing.scopes.join(' '))
  return url.href
}
