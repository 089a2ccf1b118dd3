/**
 * Labels of sessions and codes: keyed hashes beside the sealed content, by which an operator finds the sessions of a
 * person, a tenant or a front end. They are values of rows that are written anyway, so they cost no call. Each uses the
 * key of the month that sealed the row, so a reader of the store sees only which rows are alike.
 */
import { subjectOf, tokenIssuerOf } from '../provider/identity.ts'
import type { Identity } from '../provider/identity.ts'
import type { RingKey } from '../crypto/key-ring.ts'
import { BoundedMap } from '../async/bounded-map.ts'

/** Columns of a row. `person` is issuer and subject; rows of the previous release have that one alone. */
export const labelNames = ['person', 'subject', 'frontEnd', 'tenant', 'objectId', 'username'] as const

export type LabelName = (typeof labelNames)[number]

/** The values that labels are made of. */
export interface Labelled {
  /** The subject that front ends receive; a label only where the broker makes it. */
  readonly subject: string
  readonly frontEnd: string
  readonly tenant: string
  readonly objectId: string
  readonly username: string
}

/** A keyed hash that all sessions of a person carry; it changes each month. */
export function personOf(of: Pick<Identity, 'issuer' | 'tokenIssuer' | 'subject'>, ringKey: RingKey): string {
  return ringKey.blindIndex(JSON.stringify(['person', tokenIssuerOf(of), of.subject]))
}

/** Ids and user names are compared without regard to case, as Entra ID does; a subject is compared exactly. */
export function labelOf(name: keyof Labelled, value: string, ringKey: RingKey): string {
  const compared = name === 'subject' ? value : value.normalize('NFC').toLowerCase()
  return ringKey.blindIndex(JSON.stringify([name, compared]))
}

/**
 * Each label costs some microseconds of a sign-in, so those of front ends and tenants are kept, and the subject has one
 * only where it differs from the provider's own (people of many tenants, or of a further provider); otherwise `person`
 * finds it.
 */
export function labelsOf(
  identity: Identity,
  frontEnd: string,
  ringKey: RingKey,
): Readonly<Partial<Record<LabelName, string>>> {
  const { tenantId, objectId, username, subject: own } = identity
  const subject = subjectOf(identity)
  return {
    person: personOf(identity, ringKey),
    frontEnd: keptLabel('frontEnd', frontEnd, ringKey),
    ...(subject === own ? {} : { subject: labelOf('subject', subject, ringKey) }),
    ...(tenantId === undefined ? {} : { tenant: keptLabel('tenant', tenantId, ringKey) }),
    ...(objectId === undefined ? {} : { objectId: labelOf('objectId', objectId, ringKey) }),
    ...(username === undefined ? {} : { username: labelOf('username', username, ringKey) }),
  }
}

/** By key of the ring, then by name and value. */
const kept = new WeakMap<RingKey, BoundedMap<string, string>>()

function keptLabel(name: 'frontEnd' | 'tenant', value: string, ringKey: RingKey): string {
  const labels = kept.get(ringKey) ?? new BoundedMap<string, string>(1000)
  kept.set(ringKey, labels)
  const found = labels.get(`${name} ${value}`) ?? labelOf(name, value, ringKey)
  labels.set(`${name} ${value}`, found)
  return found
}
