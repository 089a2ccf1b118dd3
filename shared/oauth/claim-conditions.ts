/**
 * Conditions that a client's parameter `claims` sets for its answer, checked after the sign-in.
 * OpenID Connect Core §5.5.
 */
import { BrokerError } from '../errors/errors.ts'
import { subjectOf } from '../provider/identity.ts'
import type { Identity } from '../provider/identity.ts'

/** Conditions for a successful answer. The transaction keeps them. */
export interface ClaimConditions {
  /** One of these is the `acr` of the ID token (§5.5.1.1). */
  readonly acr?: readonly string[]
  /** The person (§3.1.2.2). */
  readonly subject?: string
}

/**
 * @throws {BrokerError} `authentication_requirement_unmet` for another `acr`; `login_required` for another person,
 *   since only that person may be answered for
 */
export function checkClaimConditions(identity: Identity, conditions: ClaimConditions = {}): void {
  if (conditions.subject !== undefined && conditions.subject !== subjectOf(identity)) {
    throw new BrokerError('login_required', { detail: 'sub' })
  }
  if (conditions.acr && !conditions.acr.some((value) => value === identity.acr)) {
    throw new BrokerError('authentication_requirement_unmet')
  }
}
