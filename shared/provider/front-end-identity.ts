/**
 * The identity that front ends receive where several providers sign people in. A front end knows a person by the
 * subject, and a provider chooses its subjects and email addresses freely: without these rules, one provider could name
 * a person of another one.
 */
import { hash } from 'node:crypto'
import { tokenIssuerOf } from './identity.ts'
import type { Identity } from './identity.ts'
import type { IdentityProvider } from './provider.ts'

/** The subjects that `withFrontEndIdentity` makes. The primary provider may not use one for a person of its own. */
const madeSubject = /^[\w-]{43}\.[a-z0-9-]{1,32}$/

/**
 * @param provider at which the person signed in
 * @param isPrimary true for the provider of the usual settings: its subjects stay as they are, and its email addresses
 * @returns the identity with the subject for front ends, which no other provider can name (OpenID Connect Core §2: `sub`
 *   is unique within the issuer, which is the broker), and without an email address outside the provider's domains
 */
export function withFrontEndIdentity(
  identity: Identity,
  { id, domains }: Pick<IdentityProvider, 'id' | 'domains'>,
  isPrimary: boolean,
): Identity {
  const { subject, email } = identity
  if (isPrimary && !madeSubject.test(subject)) return identity
  const made = `${hash('sha256', JSON.stringify([tokenIssuerOf(identity), subject]), 'base64url')}.${id}`
  if (isPrimary) return { ...identity, frontEndSubject: made }
  const domain = email?.slice(email.lastIndexOf('@') + 1).toLowerCase()
  const isOwn = domain !== undefined && domains.includes(domain)
  return { ...identity, frontEndSubject: made, provider: id, email: isOwn ? email : undefined }
}
