/** Compares rows of sessions and codes with an operator's selector, by their labels. */
import type { KeyRing } from '../crypto/key-ring.ts'
import type { StoredRow } from '../store/store.ts'
import { labelOf, personOf } from './session-labels.ts'
import type { Labelled } from './session-labels.ts'
import type { Selector } from './session-selector.ts'

export interface MatcherOptions {
  readonly ring: Pick<KeyRing, 'find'>
  /** Ids of the registered front ends. */
  readonly frontEnds: readonly string[]
  /** Of the configured providers: a subject without an issuer is looked for at each. */
  readonly issuers: readonly string[]
}

type Match = { readonly is: 'no' | 'maybe' } | { readonly is: 'yes'; readonly frontEnd: string | undefined }

/** Values of labels by one key of the ring. */
interface Expected {
  /** All must be equal; without the subject. */
  readonly labels: readonly (readonly [keyof Labelled, string])[]
  /** Of people whose subject the broker makes; undefined where the selector names none, or its issuer. */
  readonly subject: string | undefined
  /** The accepted values of `person`, for all other people. */
  readonly people: ReadonlySet<string>
  readonly frontEnds: ReadonlyMap<string, string>
}

const labelledNames = ['frontEnd', 'tenant', 'objectId', 'username'] as const satisfies readonly (keyof Labelled)[]

/**
 * Compares rows by the key of the month that sealed them. A key that another instance has just made is read.
 *
 * @returns a function that compares one row: `maybe` where the row lacks a label that its release did not write
 */
export function createMatcher(selector: Selector, options: MatcherOptions): (row: StoredRow) => Promise<Match> {
  const known = new Map<string, Promise<Expected | undefined>>()
  const expectedBy = (ringKeyId: string): Promise<Expected | undefined> => {
    const found = known.get(ringKeyId) ?? expectedOf(selector, ringKeyId, options)
    known.set(ringKeyId, found)
    return found
  }
  return async ({ values }) => {
    const expected = typeof values.ringKey === 'string' ? await expectedBy(values.ringKey) : undefined
    // Without the key, the row opens for no cookie either.
    return expected ? matchOf(values, selector, expected) : { is: 'no' }
  }
}

/** @returns undefined where the ring has no such key */
async function expectedOf(
  selector: Selector,
  ringKeyId: string,
  { ring, issuers, frontEnds }: MatcherOptions,
): Promise<Expected | undefined> {
  const key = await ring.find(ringKeyId)
  if (!key) return undefined
  const { subject, issuer } = selector
  const issuersOfSubject = issuer === undefined ? issuers : [issuer]
  return {
    labels: labelledNames.flatMap((name) => {
      const value = selector[name]
      return value === undefined ? [] : [[name, labelOf(name, value, key)] as const]
    }),
    subject: subject === undefined || issuer !== undefined ? undefined : labelOf('subject', subject, key),
    people: new Set(
      subject === undefined ? [] : issuersOfSubject.map((one) => personOf({ issuer: one, subject }, key)),
    ),
    frontEnds: new Map(frontEnds.map((id) => [labelOf('frontEnd', id, key), id])),
  }
}

function matchOf(
  values: StoredRow['values'],
  selector: Selector,
  { labels, subject, people, frontEnds }: Expected,
): Match {
  const isPerson =
    values.subject === undefined || subject === undefined
      ? people.has(String(values.person))
      : values.subject === subject
  if (selector.subject !== undefined && !isPerson) return { is: 'no' }
  if (labels.length > 0 && values.frontEnd === undefined) return { is: 'maybe' }
  return labels.every(([name, value]) => values[name] === value)
    ? { is: 'yes', frontEnd: frontEnds.get(String(values.frontEnd)) }
    : { is: 'no' }
}
