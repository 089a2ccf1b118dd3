/**
 * Labels of sessions and codes: keyed hashes beside the sealed content, by which an operator finds the sessions of a
 * person, a tenant or a front end. They are values of rows that are written anyway, so they cost no call. Each uses the
 * key of the month that sealed the row, so a reader of the store sees only which rows are alike.
 */
import { subjectOf, tokenIssuerOf } from '../provider/identity.ts'
import type { Identity } from '../provider/identity.ts'
import type { RingKey } from '../crypto/key-ring.ts'
import { defined } from '../json/json.ts'

/** Columns of a row. `person` is issuer and subject; rows of the previous release have that one alone. */
export const labelNames = ['person', 'subject', 'frontEnd', 'tenant', 'objectId', 'username'] as const

export type LabelName = (typeof labelNames)[number]

/** The values that labels are made of. */
export interface Labelled {
  /** The subject that front ends receive. */
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

export function labelsOf(
  identity: Identity,
  frontEnd: string,
  ringKey: RingKey,
): Readonly<Partial<Record<LabelName, string>>> {
  const { tenantId: tenant, objectId, username } = identity
  const optional = (name: keyof Labelled, value: string | undefined) =>
    value === undefined ? undefined : labelOf(name, value, ringKey)
  return {
    person: personOf(identity, ringKey),
    subject: labelOf('subject', subjectOf(identity), ringKey),
    frontEnd: labelOf('frontEnd', frontEnd, ringKey),
    ...defined({
      tenant: optional('tenant', tenant),
      objectId: optional('objectId', objectId),
      username: optional('username', username),
    }),
  }
}
