/** A person who signed in at an identity provider. */

declare const checked: unique symbol

/** Made by `checkIdToken` only; a session cannot be made without one. Kept in session rows, so members are only added. */
export interface Identity {
  readonly [checked]: true
  readonly issuer: string
  readonly subject: string
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
}
