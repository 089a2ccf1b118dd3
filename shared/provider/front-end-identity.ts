/**
 * The identity that front ends receive where several providers sign people in. A front end knows a person by the
 * subject, and a provider chooses its subjects and email addresses freely: without these rules, one provider could name
 * a person of another one.
 */
import { hash } from 'node:crypto'
import { domainOf } from './email-domain.ts'
import { tokenIssuerOf } from './identity.ts'
import type { Identity } from './identity.ts'
import type { IdentityProvider } from './provider.ts'
import { withAddresses } from './registered-claims.ts'
import type { RegisteredClaims } from './registered-claims.ts'

/**
 * @param names of claims that a front end has registered
 * @returns those that the provider may set for a front end: roles and groups of one provider mean nothing at another
 *   one. A confirmation is read with its address
 */
export function claimNamesOf(
  { claims }: Pick<IdentityProvider, 'claims'>,
  names: readonly string[] = [],
): readonly string[] {
  const wanted = withAddresses(names)
  return claims ? wanted.filter((name) => claims.includes(name)) : wanted
}

/** The subjects that `withFrontEndIdentity` makes. The primary provider may not use one for a person of its own. */
const madeSubject = /^[\w-]{43}\.[a-z0-9-]{1,32}$/

/**
 * @param provider at which the person signed in
 * @param isPrimary true for the provider of the usual settings: its subjects stay as they are, and its email addresses
 * @returns the identity with the subject for front ends, which no other provider can name (OpenID Connect Core §2:
 *   `sub` is unique within the issuer, which is the broker), and without an email address outside the provider's
 *   domains
 */
export function withFrontEndIdentity(
  identity: Identity,
  { id, domains }: Pick<IdentityProvider, 'id' | 'domains'>,
  isPrimary: boolean,
): Identity {
  const { subject, email, claims } = identity
  if (isPrimary && !madeSubject.test(subject)) return identity
  const made = `${hash('sha256', JSON.stringify([tokenIssuerOf(identity), subject]), 'base64url')}.${id}`
  if (isPrimary) return { ...identity, frontEndSubject: made }
  const ownEmail = email !== undefined && isOwnEmail(email, domains) ? email : undefined
  return { ...identity, frontEndSubject: made, provider: id, email: ownEmail, claims: ownClaims(claims, domains) }
}

/** @returns the registered claims of a provider beside the primary one, without an email address outside its domains */
export function ownClaims<Claims extends RegisteredClaims | undefined>(
  claims: Claims,
  domains: readonly string[],
): Claims {
  const { email, ...others } = claims?.values ?? {}
  if (!claims || email === undefined || (typeof email === 'string' && isOwnEmail(email, domains))) return claims
  const { email_verified, ...values } = others
  const omitted = ['email', ...(email_verified === undefined ? [] : ['email_verified'])]
  return { ...claims, values, omitted: [...(claims.omitted ?? []), ...omitted] }
}

function isOwnEmail(email: string, domains: readonly string[]): boolean {
  const domain = domainOf(email)
  return domain !== undefined && domains.includes(domain)
}
