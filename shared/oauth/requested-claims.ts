/**
 * The parameter `claims` of an OAuth client's authorization request. OpenID Connect Core §5.5. Voluntary claims are
 * ignored, since the scopes grant them. Essential ones change the request to the provider, the scopes or the check of
 * the ID token. The member `access_token` is a claims challenge of the provider, which front-ends/ checks.
 */
import { BrokerError } from '../errors/errors.ts'
import { membersOf, parseClaims } from '../front-ends/claims-challenge.ts'
import { areAcrs } from '../front-ends/login-parameters.ts'
import type { ClaimConditions } from './claim-conditions.ts'
import { claimsOfScope } from '../settings/openid-scopes.ts'

interface RequestedClaims {
  /** Text of the challenge, unchecked; undefined where there is none. */
  readonly challenge: string | undefined
  readonly conditions: ClaimConditions
  /** Scopes that grant the essential claims about the person. */
  readonly scopes: readonly string[]
  /** Claims that the provider is to return in its ID token; undefined where there are none. */
  readonly idToken: Readonly<Record<string, unknown>> | undefined
}

const scopesWithClaims = Object.entries({ profile: ['name', 'preferred_username'], ...claimsOfScope })

/**
 * @param text untrusted
 * @throws {BrokerError} `claims_not_allowed` where it does not have the form of §5.5
 */
export function parseRequestedClaims(text: string): RequestedClaims {
  // §5.5: a member that is not understood is ignored.
  const { access_token, id_token, userinfo } = parseClaims(text)
  const challenge = access_token ?? undefined
  // Serializers write `null` for a member without a value, also in the request of a claim.
  const [idToken, aboutPerson] = [claimsOf(id_token ?? {}), claimsOf(userinfo ?? {})]
  const essential = [...idToken, ...aboutPerson].filter(([, request]) => request.essential === true)
  const names = essential.map(([name]) => name)
  const scopes = scopesWithClaims.flatMap(([scope, claims]) =>
    claims.some((one) => names.includes(one)) ? [scope] : [],
  )

  const requests = new Map(idToken)
  const [acr, subject, time] = [requests.get('acr'), requests.get('sub'), requests.get('auth_time')]
  const acrValues = acr?.essential === true ? valuesOf(acr) : []
  if (!areAcrs(acrValues)) throw refused()
  const forProvider = {
    ...(acrValues.length > 0 ? { acr: { essential: true, values: acrValues } } : {}),
    ...(time?.essential === true ? { auth_time: { essential: true } } : {}),
  }
  return {
    challenge: challenge === undefined ? undefined : JSON.stringify({ access_token: challenge }),
    conditions: {
      ...(acrValues.length > 0 ? { acr: acrValues } : {}),
      ...subjectOf(subject ?? {}),
    },
    scopes,
    idToken: Object.keys(forProvider).length > 0 ? forProvider : undefined,
  }
}

type ClaimRequest = Readonly<Record<string, unknown>>

/** §5.5.1: each claim has `null` or an object. */
function claimsOf(member: unknown): readonly (readonly [string, ClaimRequest])[] {
  return Object.entries(membersOf(member)).map(([name, request]) => [name, request === null ? {} : membersOf(request)])
}

function valuesOf({ value, values }: ClaimRequest): readonly unknown[] {
  const several: unknown = values ?? []
  if (!Array.isArray(several)) throw refused()
  const [first, others] = [value ?? undefined, several as readonly unknown[]]
  return first === undefined ? others : [first, ...others]
}

/** A condition for several people is not supported, and must not look as if it were. */
function subjectOf(request: ClaimRequest): Pick<ClaimConditions, 'subject'> {
  const [subject, ...others] = new Set(valuesOf(request))
  if (subject === undefined) return {}
  if (typeof subject !== 'string' || subject.length > 255 || others.length > 0) throw refused()
  return { subject }
}

function refused(): BrokerError {
  return new BrokerError('claims_not_allowed')
}
