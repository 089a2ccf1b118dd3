/**
 * Claims about a person that a front end has registered, read from the ID token. They are bounded, since each session
 * row carries them. A claim that is left out is named, so that an application does not mistake it for an absent one.
 *
 * A confirmation (`email_verified`) is about the address of the same document. Beside the address of another ID token,
 * or of userinfo, it would confirm an address that the person has only typed.
 */
import { isObject } from '../json/json.ts'
import { specifiedClaims } from '../settings/openid-scopes.ts'

/** Checked by the signature of the token, or of userinfo; the values are of any type. */
type Json = Readonly<Record<string, unknown>>

type ClaimValue = string | number | boolean | readonly string[] | Address

/** Members of OpenID Connect Core §5.1.1. */
type Address = Readonly<Record<string, string>>

/** Kept in session rows, so members are only added. */
export interface RegisteredClaims {
  readonly values: Readonly<Record<string, ClaimValue>>
  /** Claims of the ID token that were left out: too large, of another type, or to be fetched elsewhere. */
  readonly omitted?: readonly string[] | undefined
  /** The person is in more groups than the provider puts into a token. */
  readonly groupsOverage?: boolean | undefined
}

/** The most bytes of the values of all claims of a session, as JSON in UTF-8. */
export const mostClaimBytes = 2048

/** The address that each confirmation is about. OpenID Connect Core §5.1. */
const addressOf: ReadonlyMap<string, string> = new Map([
  ['email_verified', 'email'],
  ['phone_number_verified', 'phone_number'],
])

/** @returns the names, and before each confirmation its address, which has to be kept with it */
export function withAddresses(names: readonly string[]): readonly string[] {
  return [...new Set(names.flatMap((name) => [addressOf.get(name) ?? name, name]))]
}

/**
 * @param claims of an ID token whose signature was verified
 * @param names as `withAddresses` returns them; where the bound is reached, the earlier ones have precedence
 * @param unproven names of claims that are left out, since the token does not prove them
 */
export function readRegisteredClaims(
  claims: Json,
  names: readonly string[],
  unproven: readonly string[] = [],
): RegisteredClaims {
  const elsewhere = distributedClaims(claims)
  const collected = collectClaims()
  for (const name of names) {
    const value = Object.hasOwn(claims, name) ? claims[name] : undefined
    if (value !== undefined && value !== null)
      collected.add(name, unproven.includes(name) ? undefined : valueOf(name, value))
    else if (elsewhere.has(name) && name !== 'groups') collected.add(name, undefined)
  }
  const groupsOverage = names.includes('groups') && elsewhere.has('groups')
  return { ...collected.claims(), ...(groupsOverage ? { groupsOverage } : {}) }
}

/**
 * @param userinfo of the same person; untrusted beyond the connection that it came by
 * @param names as `withAddresses` returns them
 * @returns the claims of the ID token, and those of userinfo that it lacks, within the bound
 */
export function completeClaims(claims: RegisteredClaims, userinfo: Json, names: readonly string[]): RegisteredClaims {
  const { values, omitted = [] } = readRegisteredClaims(userinfo, names)
  const collected = collectWithOthers(claims, values)
  for (const name of omitted) if (!isKnown(name, claims)) collected.add(name, undefined)
  return { ...claims, ...collected.claims() }
}

/** @returns true for a claim that the document had, also where it was left out */
export function isKnown(name: string, { values, omitted = [] }: RegisteredClaims): boolean {
  return Object.hasOwn(values, name) || omitted.includes(name)
}

/**
 * @returns the claims after a renewal: those of its ID token, and of the earlier ones those that it may lack: a renewal
 *   requests few scopes, and a provider may return their claims at userinfo alone
 */
export function renewClaims(before: RegisteredClaims | undefined, renewed: RegisteredClaims): RegisteredClaims {
  const kept = Object.entries(before?.values ?? {}).filter(([name]) => specifiedClaims.has(name))
  return { ...renewed, ...collectWithOthers(renewed, Object.fromEntries(kept)).claims() }
}

/** @param others claims of another document about the same person, which do not replace those of the first */
function collectWithOthers(first: RegisteredClaims, others: RegisteredClaims['values']) {
  const collected = collectClaims(first)
  for (const name of withAddresses(Object.keys(others))) {
    if (isKnown(name, first) || !Object.hasOwn(others, name)) continue
    const address = addressOf.get(name)
    const isForThisAddress = address === undefined || others[address] === collected.get(address)
    collected.add(name, isForThisAddress ? others[name] : undefined)
  }
  return collected
}

/** Collects claims as long as they are within the bound, and the names of the others. */
function collectClaims(start?: RegisteredClaims) {
  const values = new Map(Object.entries(start?.values ?? {}))
  const omitted = [...(start?.omitted ?? [])]
  const sizeOf = (name: string, value: ClaimValue) => Buffer.byteLength(JSON.stringify({ [name]: value }))
  let bytes = [...values].reduce((sum, [name, value]) => sum + sizeOf(name, value), 0)
  return {
    get: (name: string) => values.get(name),
    /** @param value undefined for one that cannot be accepted */
    add: (name: string, value: ClaimValue | undefined): void => {
      const size = value === undefined ? Infinity : sizeOf(name, value)
      const address = addressOf.get(name)
      const isUnproven = value === true && address !== undefined && typeof values.get(address) !== 'string'
      if (value === undefined || isUnproven || bytes + size > mostClaimBytes) omitted.push(name)
      else {
        bytes += size
        values.set(name, value)
      }
    },
    claims: (): RegisteredClaims => ({
      values: Object.fromEntries(values),
      ...(omitted.length > 0 ? { omitted } : {}),
    }),
  }
}

/** What a front end receives, in `/session`, in ID tokens and at userinfo. */
interface ShownClaims {
  readonly values: Readonly<Record<string, ClaimValue>>
  readonly about: { readonly claims_omitted?: readonly string[]; readonly groups_overage?: true }
}

/**
 * @param names as they are registered now: a claim that left the registration is shown no longer
 * @returns undefined where the session has no claims: none are registered, or it began before they were
 */
export function shownClaims(
  claims: RegisteredClaims | undefined,
  names: readonly string[] = [],
): ShownClaims | undefined {
  if (!claims || names.length === 0) return undefined
  const omitted = claims.omitted?.filter((name) => names.includes(name)) ?? []
  return {
    values: Object.fromEntries(Object.entries(claims.values).filter(([name]) => names.includes(name))),
    about: {
      ...(omitted.length > 0 ? { claims_omitted: omitted } : {}),
      ...(claims.groupsOverage === true && names.includes('groups') ? { groups_overage: true } : {}),
    },
  }
}

/**
 * OpenID Connect Core §5.6.2: claims that the token names without their values. Entra ID does so for the groups of a
 * person in more than 200 of them, or sends `hasgroups`. The broker fetches none.
 */
function distributedClaims({ _claim_names: names, hasgroups }: Json): ReadonlySet<string> {
  const found = new Set(isObject(names) ? Object.keys(names) : [])
  if (hasgroups === true || hasgroups === 'true') found.add('groups')
  return found
}

/**
 * @returns undefined for a value of another type: objects but `address`, and arrays of other things than texts. A claim
 *   that confirms an address is a boolean (OpenID Connect Core §5.1), and some providers write it as text: the text
 *   `false` would pass for true
 */
function valueOf(name: string, value: unknown): ClaimValue | undefined {
  if (addressOf.has(name)) {
    return value === true || (typeof value === 'string' && /^true$/i.test(value))
  }
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined
  if (name === 'address' && isObject(value)) return postalAddressOf(value)
  if (!Array.isArray(value) || !value.every((one): one is string => typeof one === 'string')) return undefined
  return [...new Set(value)]
}

const addressMembers = ['formatted', 'street_address', 'locality', 'region', 'postal_code', 'country']

function postalAddressOf(value: Json): Address | undefined {
  const members = addressMembers.flatMap((name) => {
    const text = Object.hasOwn(value, name) ? value[name] : undefined
    return typeof text === 'string' ? [[name, text] as const] : []
  })
  return members.length > 0 ? Object.fromEntries(members) : undefined
}
