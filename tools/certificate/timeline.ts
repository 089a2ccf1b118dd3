/** The versions on a time line, for a terminal. Pure. */
import type { RollTiming } from '../../shared/certificate/roll-timing.ts'
import { byAge, chooseRecorded } from '../../shared/certificate/certificate-state.ts'
import type { CertificateRecord, RecordedVersion } from '../../shared/certificate/certificate-state.ts'
import { daysLeft, warningsOf } from '../../shared/certificate/warnings.ts'

const width = 48
const day = 24 * 60 * 60 * 1000

const statusWords: Readonly<Record<RecordedVersion['status'], string>> = {
  new: 'not tried at the provider yet',
  unregistered: 'the provider does not know it',
  registering: 'being registered',
  registered: 'registered, not accepted yet',
  accepted: 'accepted',
  removing: 'being removed',
  removed: 'removed',
}

interface TimelineOptions {
  readonly now: number
  readonly timing: RollTiming
  /** The next step, in words. */
  readonly next: string
  /** True if the registration at the provider is known. */
  readonly isProviderKnown: boolean
}

/** One line a version, newest first, on one scale; `|` is now. */
export function drawTimeline(record: CertificateRecord, options: TimelineOptions): readonly string[] {
  const { now, timing, isProviderKnown } = options
  const versions = [...record.versions].sort(byAge)
  if (versions.length === 0) return ['No version of the certificate is known.']
  const from = Math.min(now, ...versions.map(({ notBefore }) => notBefore))
  const to = Math.max(now, ...versions.map(({ expires }) => expires))
  const column = (time: number) => Math.round(((time - from) / Math.max(to - from, day)) * (width - 1))
  const signing = chooseRecorded(record, now)

  const lines = versions.map((version) => {
    const { version: id, notBefore, expires, enabled, status, cause } = version
    const bar = Array.from({ length: width }, (_, at) =>
      at === column(now) ? '|' : at >= column(notBefore) && at <= column(expires) ? (enabled ? '=' : '-') : '.',
    )
    const left = daysLeft(expires, now)
    const notes = [
      left >= 0 ? `${left} days left` : `ended ${-left} days ago`,
      ...(enabled ? [] : ['disabled']),
      ...(isProviderKnown ? [statusWords[status]] : []),
      ...(cause === undefined || status === 'accepted' ? [] : [cause]),
    ]
    return `${version === signing ? '>' : ' '} ${id}  ${bar.join('')}  ${notes.join(', ')}`
  })
  const warnings = warningsOf(record, now, timing).map(({ event }) => event)
  return [
    `  ${''.padEnd(32)}  ${date(from)}${date(to).padStart(width - 10)}`,
    ...lines,
    '',
    '> signs.  = valid  - disabled  | now',
    `Next: ${options.next}.`,
    ...(warnings.length > 0 ? [`Warnings: ${warnings.join(', ')}.`] : []),
  ]
}

function date(time: number): string {
  return new Date(time).toISOString().slice(0, 10)
}
