/** A person who signed in at an identity provider. */
import { hash } from 'node:crypto'
import type { RegisteredClaims } from './registered-claims.ts'

declare const checked: unique symbol

/**
 * Made by `checkIdToken` only; a session cannot be made without one. Kept in session rows, so members are only added.
 */
export interface Identity {
  readonly [checked]: true
  /** The provider's key in the registry. */
  readonly issuer: string
  /** `iss` of the ID token where it differs: at a provider of several tenants, the issuer of the person's tenant. */
  readonly tokenIssuer?: string | undefined
  /** `sub` of the ID token. Unique at its issuer only; front ends receive `subjectOf`. */
  readonly subject: string
  /** The subject that front ends receive; undefined where it is the same. */
  readonly frontEndSubject?: string
  /** Id of the provider; undefined for the primary one. */
  readonly provider?: string
  /** The tenant, and the id of the person in it: together the key for a front end that keeps people. */
  readonly tenantId: string | undefined
  readonly objectId: string | undefined
  /** The provider's session, where the ID token names one; sign-outs at the provider refer to it. */
  readonly sessionId: string | undefined
  /** For display only: both may be reassigned to another person. */
  readonly name: string | undefined
  readonly username: string | undefined
  /** For display only, as the others: the broker does not verify it. */
  readonly email?: string | undefined
  /** When the person authenticated, where the provider names it. Seconds since the epoch. */
  readonly authenticatedAt?: number | undefined
  /** The authentication context class, where the provider names it. */
  readonly acr?: string | undefined
  /** Opaque; lets the provider sign out the right person without a question. */
  readonly loginHint: string | undefined
  /** Those that the front end of this sign-in has registered; undefined where it registers none. */
  readonly claims?: RegisteredClaims | undefined
}

/** @returns `iss` of the person's ID token: a person is `iss` and `sub` together (OpenID Connect Core §5.7) */
export function tokenIssuerOf({ issuer, tokenIssuer }: Pick<Identity, 'issuer' | 'tokenIssuer'>): string {
  return tokenIssuer ?? issuer
}

/**
 * The subject that front ends receive. They see one issuer, the broker, so two people with the same `sub` at two
 * issuers must differ. At a primary provider of one tenant it is `sub` itself.
 */
export function subjectOf(identity: Pick<Identity, 'issuer' | 'tokenIssuer' | 'subject' | 'frontEndSubject'>): string {
  if (identity.frontEndSubject !== undefined) return identity.frontEndSubject
  if (identity.tokenIssuer === undefined) return identity.subject
  return hash('sha256', JSON.stringify([identity.tokenIssuer, identity.subject]), 'base64url')
}
