/**
 * What is known of the certificate's versions: one small row in the store, which the roll writes and every instance
 * reads. Pure: parsing, writing, and taking in what the vault lists.
 */
import * as z from 'zod/mini'
import type { CertificateVersion } from '../vault/vault.ts'
import type { CertificateFacts } from './certificate-facts.ts'

/**
 * - `new`: nobody has asked the provider yet
 * - `unregistered`: the provider did not accept it when it was asked
 * - `registering`: addKey was begun, and its answer is not known
 * - `registered`: at the application, and not seen to be accepted yet
 * - `accepted`: the provider was seen to accept it
 * - `removing`: removeKey was begun
 * - `removed`: no longer at the application
 */
export type VersionStatus = z.infer<typeof status>
const status = z.enum(['new', 'unregistered', 'registering', 'registered', 'accepted', 'removing', 'removed'])

const time = z.number()
const versionId = z.string().check(z.regex(/^[0-9a-f]{32}$/i))

const recordedVersion = z.object({
  version: versionId,
  /** As in CertificateFacts. */
  thumbprint: z.string().check(z.regex(/^[\w-]{43}$/)),
  /** As in CertificateFacts. Undefined where the previous release wrote the row, until the vault is read again. */
  publicKey: z.optional(z.string().check(z.regex(/^[\w-]{300,1000}$/))),
  notBefore: time,
  expires: time,
  created: time,
  /** As the vault said when it was last read. */
  enabled: z.boolean(),
  status,
  /** Since when it has this status. */
  since: time,
  /** Since when it is known here, and so published. */
  seen: time,
  /** At the application, from addKey's own answer: only what has one is ever removed. */
  keyId: z.optional(z.string().check(z.regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i))),
  /** Tries since the last success, for the pause before the next. */
  attempts: z.int(),
  /** How often in a row the provider has accepted it. */
  accepts: z.int(),
  nextAt: time,
  /** Code of the last failure. */
  cause: z.optional(z.string()),
})
export type RecordedVersion = z.infer<typeof recordedVersion>

const underWay = z.object({
  step: z.enum(['probe', 'register', 'remove']),
  version: versionId,
  /** Who does it: a random name for one run. */
  by: z.string(),
  /** Until then nobody else does it; after that it counts as interrupted. */
  until: time,
})
export type UnderWay = z.infer<typeof underWay>

const record = z.object({
  /** When the vault was last read. */
  readAt: time,
  versions: z.array(recordedVersion),
  underWay: z.optional(underWay),
  /** An enabled version without dates, which can't sign. */
  undated: z.optional(versionId),
  /** When each event was last told to the operator. */
  told: z.record(z.string(), time),
})
export type CertificateRecord = z.infer<typeof record>

export const emptyRecord: CertificateRecord = { readAt: 0, versions: [], told: {} }

/** More than a certificate has in years; the row stays small whatever the vault lists. */
const mostVersions = 24

/** @returns undefined for anything that is not a record: it is learned anew */
export function parseRecord(text: string): CertificateRecord | undefined {
  try {
    return z.parse(record, JSON.parse(text))
  } catch {
    return undefined
  }
}

/** Newest first. The vault's dates are whole seconds: of two versions of one second the one that was seen later is newer. */
export function byAge(a: Aged, b: Aged): number {
  return b.created - a.created || b.notBefore - a.notBefore || b.seen - a.seen
}
type Aged = Pick<RecordedVersion, 'created' | 'notBefore' | 'seen'>

/**
 * Takes in what the vault lists.
 *
 * @param facts of the versions whose certificate was read; a version that is new and has none is left for later
 * @returns a new record: what is no longer listed counts as disabled, and goes when it can't matter any more
 */
export function observe(
  known: CertificateRecord,
  listed: readonly CertificateVersion[],
  facts: ReadonlyMap<string, CertificateFacts>,
  now: number,
): CertificateRecord {
  const there = new Map(listed.map((version) => [version.version, version]))
  const kept = known.versions.map((version) => {
    const found = there.get(version.version)
    const dated = found?.notBefore !== undefined && found.expires !== undefined
    return {
      ...version,
      ...facts.get(version.version),
      enabled: found?.enabled === true && dated,
      // Which version is the newest decides what is registered and removed, so it is the vault that says it.
      ...(found ? { created: found.created } : {}),
      ...(dated ? { notBefore: found.notBefore, expires: found.expires } : {}),
    }
  })
  const added = listed.flatMap((version): RecordedVersion[] => {
    const { notBefore, expires, created, enabled } = version
    const read = facts.get(version.version)
    if (known.versions.some((one) => one.version === version.version)) return []
    if (read === undefined || notBefore === undefined || expires === undefined) return []
    const state = { status: 'new', since: now, seen: now, attempts: 0, accepts: 0, nextAt: 0 } as const
    return [{ version: version.version, ...read, notBefore, expires, created, enabled, ...state }]
  })
  const versions = [...kept, ...added]
    .filter((version) => there.has(version.version) || (version.keyId !== undefined && version.status !== 'removed'))
    .sort(byAge)
    .slice(0, mostVersions)
  const undated = listed.find(
    ({ enabled, notBefore, expires }) => enabled && (notBefore === undefined || expires === undefined),
  )
  const { underWay, told } = known
  return {
    readAt: now,
    versions,
    ...(underWay ? { underWay } : {}),
    ...(undated ? { undated: undated.version } : {}),
    told,
  }
}

/** The versions of which the record lacks something, and that could sign: their certificates have to be read. */
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

const isGone = ({ status: is }: RecordedVersion) => is === 'removing' || is === 'removed'

/**
 * Which version signs: of those enabled and valid now the newest that the provider is known to accept; when none is,
 * the newest that it is not known to refuse.
 *
 * @param refused what the provider has refused a moment ago
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
