/** The warnings for the operator, and when each is repeated. Pure. */
import { defined } from '../json/json.ts'
import type { RollTiming } from './roll-timing.ts'
import { byAge, chooseRecorded } from './certificate-state.ts'
import type { CertificateRecord } from './certificate-state.ts'

export type CertificateEvent =
  | 'certificate near expiry'
  | 'certificate renewal failed'
  | 'certificate roll stuck'
  | 'certificate without dates'
  | 'certificate unusable'
  | 'certificate version disabled'

interface Warning {
  readonly event: CertificateEvent
  readonly level: 'warn' | 'error'
  readonly version: string | undefined
  readonly daysLeft?: number
  readonly code?: string
  readonly detail?: string
}

const day = 24 * 60 * 60 * 1000
/** The policy renews when 60 days of 12 months are left, so a newest version with fewer was not renewed. */
const nearDays = 60
/** With fewer the renewal has failed: the vault's own near-expiry event comes then. */
const failedDays = 30
const repeatAfter = day

/** Whole days until the end; negative after it. */
export function daysLeft(expires: number, now: number): number {
  return Math.floor((expires - now) / day)
}

/** Of the newest version: the time until the certificate ends, unless the vault renews it. */
export function daysLeftOf(record: CertificateRecord, now: number): number | undefined {
  const newest = newestOf(record)
  return newest && daysLeft(newest.expires, now)
}

function newestOf({ versions }: CertificateRecord) {
  return versions.filter(({ enabled }) => enabled).sort(byAge)[0]
}

/** All warnings that hold now. */
export function warningsOf(record: CertificateRecord, now: number, timing: RollTiming): readonly Warning[] {
  const warnings: Warning[] = []
  const signing = chooseRecorded(record, now)
  const newest = newestOf(record)

  if (record.undated) {
    warnings.push({
      event: 'certificate without dates',
      level: 'error',
      version: record.undated,
      code: 'certificate_without_dates',
    })
  }
  if (record.versions.length > 0 && !signing) {
    warnings.push({ event: 'certificate unusable', level: 'error', version: newest?.version })
  }
  for (const { version, enabled, expires, status } of record.versions) {
    if (!enabled && now < expires && status === 'accepted') {
      warnings.push({ event: 'certificate version disabled', level: 'warn', version })
    }
  }
  const left = newest ? daysLeft(newest.expires, now) : 0
  const lifetime = newest ? daysLeft(newest.expires, newest.notBefore) : 0
  // A certificate that lives for a few weeks must not count as near its end during its whole life.
  if (newest && left < Math.min(nearDays, lifetime / 6) - 1) {
    const failed = left < Math.min(failedDays, lifetime / 12)
    warnings.push({
      event: failed ? 'certificate renewal failed' : 'certificate near expiry',
      level: failed ? 'error' : 'warn',
      version: newest.version,
      daysLeft: left,
    })
  }
  if (newest && newest.status !== 'accepted' && now - newest.seen > timing.stuckAfter && newest.notBefore <= now) {
    warnings.push({
      event: 'certificate roll stuck',
      level: 'error',
      version: newest.version,
      detail: newest.status,
      ...defined({ code: newest.cause }),
    })
  }
  return warnings
}

/**
 * The warnings that were not logged within a day, and the record that remembers them: one event, not one in each run.
 */
export function dueWarnings(
  record: CertificateRecord,
  warnings: readonly Warning[],
  now: number,
): { readonly warnings: readonly Warning[]; readonly record: CertificateRecord } {
  const name = ({ event, version }: Warning) => `${event} ${version ?? ''}`
  const due = warnings.filter((warning) => now - (record.lastWarned[name(warning)] ?? -Infinity) >= repeatAfter)
  if (due.length === 0) return { warnings: [], record }
  const recent = Object.entries(record.lastWarned).filter(([, at]) => now - at < repeatAfter)
  const lastWarned = Object.fromEntries([...recent, ...due.map((warning) => [name(warning), now] as const)])
  return { warnings: due, record: { ...record, lastWarned } }
}
