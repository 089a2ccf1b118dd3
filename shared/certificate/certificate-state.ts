/**
 * The record of the certificate's versions: one small row in the store, which the roll writes and every instance reads.
 * Pure: parses a record, and merges the vault's list into it.
 */
import * as z from 'zod/mini'
import { guidPattern } from '../settings/identifiers.ts'
import { isVersionId } from '../vault/vault.ts'
import type { CertificateVersion } from '../vault/vault.ts'
import type { CertificateFacts } from './certificate-facts.ts'

/**
 * - `new`: the provider has not been tried with it yet
 * - `unregistered`: the provider did not accept it
 * - `registering`: addKey was begun, and its answer is not known
 * - `registered`: at the application, and not seen to be accepted yet
 * - `accepted`: the provider was seen to accept it
 * - `removing`: removeKey was begun
 * - `removed`: no longer at the application
 */
type VersionStatus = z.infer<typeof status>
const status = z.enum(['new', 'unregistered', 'registering', 'registered', 'accepted', 'removing', 'removed'])

const time = z.number()
const versionId = z.string().check(z.refine(isVersionId))

const recordedVersion = z.object({
  version: versionId,
  /** As in CertificateFacts. */
  thumbprint: z.string().check(z.regex(/^[\w-]{43}$/)),
  /** As in CertificateFacts. Undefined where the previous release wrote the row, until the vault is read again. */
  publicKey: z.optional(z.string().check(z.regex(/^[\w-]{300,1000}$/))),
  notBefore: time,
  expires: time,
  created: time,
  /** As of the last reading of the vault. */
  enabled: z.boolean(),
  status,
  /** Since when it has this status. */
  since: time,
  /** Since when the record holds it, and it is published. */
  seen: time,
  /** Id of the key at the application, from addKey's own answer: only a version with one is ever removed. */
  keyId: z.optional(z.string().check(z.regex(guidPattern))),
  /** Failures since the last success: they decide the pause before the next attempt. */
  attempts: z.int(),
  /** Acceptances by the provider in a row. */
  accepts: z.int(),
  nextAt: time,
  /** Code of the last failure. */
  cause: z.optional(z.string()),
})
export type RecordedVersion = z.infer<typeof recordedVersion>

const underWay = z.object({
  step: z.enum(['probe', 'register', 'remove']),
  version: versionId,
  /** The run that does it, by a random name. */
  by: z.string(),
  /** Until then no other run does it; after that it counts as interrupted. */
  until: time,
})
export type UnderWay = z.infer<typeof underWay>

const record = z.object({
  /** Time of the last reading of the vault. */
  readAt: time,
  versions: z.array(recordedVersion),
  underWay: z.optional(underWay),
  /** An enabled version without dates, which can't sign. */
  undated: z.optional(versionId),
  /** Time of the last log line of each event for the operator. */
  lastWarned: z.record(z.string(), time),
})
export type CertificateRecord = z.infer<typeof record>

export const emptyRecord: CertificateRecord = { readAt: 0, versions: [], lastWarned: {} }

/** More than a certificate has in years. It bounds the row, however many versions the vault lists. */
const mostVersions = 24

/** @returns undefined for a text that is no record: the record is learned again */
export function parseRecord(text: string): CertificateRecord | undefined {
  try {
    return z.parse(record, JSON.parse(text))
  } catch {
    return undefined
  }
}

/** The record of the previous release, which called one member `told`. */
export function parsePreviousRecord(text: string): CertificateRecord | undefined {
  try {
    const { told: reported, ...rest } = JSON.parse(text) as Record<string, unknown>
    return z.parse(record, { ...rest, lastWarned: reported })
  } catch {
    return undefined
  }
}

/**
 * Newest first. The vault's dates are whole seconds:
 * of two versions of one second the one that was seen later is newer.
 */
export function byAge(a: Aged, b: Aged): number {
  return b.created - a.created || b.notBefore - a.notBefore || b.seen - a.seen
}
type Aged = Pick<RecordedVersion, 'created' | 'notBefore' | 'seen'>

/** The time that a reading of the vault may take. A record that is further ahead was written by a wrong clock. */
const longestReading = 60_000

/**
 * Merges the vault's list into a record.
 *
 * @param facts of the versions whose certificate was read; a version that is new and has none is left for later
 * @param at when the list was requested. Where another instance has requested a later one meanwhile, this one adds
 *   versions only: a version that it lacks is new, not deleted
 * @returns a new record: a version that is no longer listed counts as disabled,
 *   and leaves when it can't matter any more
 */
export function observe(
  known: CertificateRecord,
  listed: readonly CertificateVersion[],
  facts: ReadonlyMap<string, CertificateFacts>,
  at: number,
): CertificateRecord {
  const added = listed.flatMap((version): RecordedVersion[] => {
    const { notBefore, expires, created, enabled } = version
    const read = facts.get(version.version)
    if (known.versions.some((one) => one.version === version.version)) return []
    if (read === undefined || notBefore === undefined || expires === undefined) return []
    const state = { status: 'new', since: at, seen: at, attempts: 0, accepts: 0, nextAt: 0 } as const
    return [{ version: version.version, ...read, notBefore, expires, created, enabled, ...state }]
  })
  const isLate = at < known.readAt && known.readAt < at + longestReading
  if (isLate) return { ...known, versions: newest([...known.versions, ...added]) }

  const there = new Map(listed.map((version) => [version.version, version]))
  const kept = known.versions.map((version) => {
    const found = there.get(version.version)
    const dated = found?.notBefore !== undefined && found.expires !== undefined
    return {
      ...version,
      ...facts.get(version.version),
      enabled: found?.enabled === true && dated,
      // From the vault: the order of age decides which keys are registered and removed.
      ...(found ? { created: found.created } : {}),
      ...(dated ? { notBefore: found.notBefore, expires: found.expires } : {}),
    }
  })
  const stays = ({ version, keyId, status }: RecordedVersion) =>
    there.has(version) || (keyId !== undefined && status !== 'removed')
  const undated = listed.find(
    ({ enabled, notBefore, expires }) => enabled && (notBefore === undefined || expires === undefined),
  )
  const { underWay, lastWarned } = known
  return {
    readAt: at,
    versions: newest([...kept, ...added].filter(stays)),
    ...(underWay ? { underWay } : {}),
    ...(undated ? { undated: undated.version } : {}),
    lastWarned,
  }
}

function newest(versions: readonly RecordedVersion[]): RecordedVersion[] {
  return [...versions].sort(byAge).slice(0, mostVersions)
}

/** The versions that could sign and are not complete in the record: their certificates have to be read. */
export function unknownVersions(
  known: CertificateRecord,
  listed: readonly CertificateVersion[],
  now: number,
): readonly string[] {
  return listed
    .filter(({ version }) => !known.versions.some((one) => one.version === version && one.publicKey !== undefined))
    .filter(({ enabled, notBefore, expires }) => enabled && notBefore !== undefined && (expires ?? 0) > now)
    .map(({ version }) => version)
}

export function changeVersion(
  known: CertificateRecord,
  version: string,
  change: (version: RecordedVersion) => RecordedVersion,
): CertificateRecord {
  return { ...known, versions: known.versions.map((one) => (one.version === version ? change(one) : one)) }
}

/** The same with another status, begun now. */
export function withStatus(version: RecordedVersion, next: VersionStatus, now: number): RecordedVersion {
  return version.status === next ? version : { ...version, status: next, since: now }
}

/** The provider refused a version at a sign-in. It has to accept it again before it signs. */
export function demote(record: CertificateRecord, thumbprint: string, now: number): CertificateRecord {
  const found = record.versions.find((version) => version.thumbprint === thumbprint)
  if (found?.status !== 'accepted' && found?.status !== 'new') return record
  const next = found.status === 'accepted' ? 'registered' : 'unregistered'
  return changeVersion(record, found.version, (version) => ({
    ...withStatus(version, next, now),
    accepts: 0,
    attempts: 0,
    nextAt: now,
    cause: 'client_refused',
  }))
}

const isGone = ({ status: is }: RecordedVersion) => is === 'removing' || is === 'removed'

/**
 * Chooses the version that signs: of those enabled and valid now the newest that the provider is known to accept;
 * without one, the newest that it is not known to refuse.
 *
 * @param refused true for a version that the provider has refused a moment ago
 */
export function chooseRecorded(
  known: CertificateRecord,
  now: number,
  refused: (version: RecordedVersion) => boolean = () => false,
): RecordedVersion | undefined {
  const good = known.versions
    .filter((version) => version.enabled && version.notBefore <= now && now < version.expires)
    .filter((version) => !isGone(version) && !refused(version))
    .sort(byAge)
  return (
    good.find((version) => version.status === 'accepted') ??
    good.find((version) => version.status !== 'unregistered') ??
    good[0]
  )
}
