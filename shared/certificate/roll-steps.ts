/**
 * The roll as a state machine. Pure: computes the next step from the record, the record that is written before a step
 * is done, and the record after its outcome. Every step may be repeated.
 */
import type { ErrorCode } from '../errors/catalogue.ts'
import type { RollTiming } from './roll-timing.ts'
import { pauseAfter } from './roll-timing.ts'
import { byAge, changeVersion, chooseRecorded, withStatus } from './certificate-state.ts'
import type { CertificateRecord, RecordedVersion, UnderWay } from './certificate-state.ts'

export type Step =
  /** Sends an assertion by this version to the token endpoint, to learn whether it is accepted. */
  | { readonly kind: 'probe'; readonly version: RecordedVersion }
  /** Adds this version to the application, with a proof by an accepted one. */
  | { readonly kind: 'register'; readonly version: RecordedVersion; readonly by: RecordedVersion }
  /** Removes a replaced version from the application. */
  | { readonly kind: 'remove'; readonly version: RecordedVersion; readonly by: RecordedVersion }
  | { readonly kind: 'wait'; readonly until: number; readonly why: string }
  | { readonly kind: 'done' }

export type Work = Exclude<Step, { kind: 'wait' | 'done' }>

export type Outcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly code: ErrorCode }
  | { readonly kind: 'registered'; readonly keyId: string }
  | { readonly kind: 'removed' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly retryAfterSeconds: number | undefined }

export interface StepContext {
  readonly now: number
  readonly timing: RollTiming
  /**
   * True where the broker can change the application's keys:
   * the provider has an API for them, and the object id is set.
   */
  readonly canRegister: boolean
  /** The name of this run. */
  readonly by: string
}

export function nextStep(record: CertificateRecord, context: StepContext): Step {
  const { now, by } = context
  const { underWay } = record
  // A lease that ends later than any lease can was written by a wrong clock: it must not hold for ever.
  if (underWay && underWay.by !== by && now < underWay.until && underWay.until <= now + 2 * context.timing.lease) {
    return { kind: 'wait', until: underWay.until, why: `another instance does the step ${underWay.step}` }
  }
  const accepted = acceptedNow(record, now)
  const candidate = candidateOf(record, accepted, now)
  return candidate ? advance(candidate, accepted, context) : nextRemoval(record, accepted, context)
}

/** The newest version, where the provider is not known to accept it; while it accepts none, each in its turn. */
function candidateOf(
  { versions }: CertificateRecord,
  accepted: RecordedVersion | undefined,
  now: number,
): RecordedVersion | undefined {
  const usable = versions
    .filter(({ enabled, expires, status }) => enabled && now < expires && status !== 'removing' && status !== 'removed')
    .sort(byAge)
  if (accepted) return usable[0]?.status === 'accepted' ? undefined : usable[0]
  const due = ({ nextAt, notBefore }: RecordedVersion) => Math.max(nextAt, notBefore)
  return usable.find((version) => due(version) <= now) ?? usable.sort((a, b) => due(a) - due(b))[0]
}

function acceptedNow(record: CertificateRecord, now: number): RecordedVersion | undefined {
  const chosen = chooseRecorded(record, now)
  return chosen?.status === 'accepted' ? chosen : undefined
}

function advance(version: RecordedVersion, accepted: RecordedVersion | undefined, context: StepContext): Step {
  const { now, canRegister } = context
  const begins = Math.max(version.nextAt, version.notBefore)
  if (now < begins) return { kind: 'wait', until: begins, why: `version ${version.version} is ${version.status}` }
  // Probe before adding: an interrupted run, a deployment or a person may have added it already.
  if (version.status === 'unregistered' && canRegister && accepted) return { kind: 'register', version, by: accepted }
  return { kind: 'probe', version }
}

/** Only a key whose id addKey returned, only after the overlap, and never while a newer version is not accepted. */
function nextRemoval(
  { versions }: CertificateRecord,
  accepted: RecordedVersion | undefined,
  { now, timing, canRegister }: StepContext,
): Step {
  if (!canRegister || !accepted) return { kind: 'done' }
  const old = versions
    .filter((version) => version !== accepted && version.keyId !== undefined && version.status !== 'removed')
    .filter((version) => byAge(accepted, version) < 0)
    .sort(byAge)
    .at(-1)
  if (!old) return { kind: 'done' }
  const from = Math.max(accepted.since + timing.overlap, old.nextAt)
  if (now < from) return { kind: 'wait', until: from, why: `version ${old.version} stays until the overlap ends` }
  return { kind: 'remove', version: old, by: accepted }
}

/** The record that is written before the step is done. */
export function beginStep(record: CertificateRecord, step: Work, { now, by, timing }: StepContext): CertificateRecord {
  const { version } = step.version
  const underWay: UnderWay = { step: step.kind, version, by, until: now + timing.lease }
  const begun = step.kind === 'register' ? 'registering' : step.kind === 'remove' ? 'removing' : undefined
  const noted = begun ? changeVersion(record, version, (one) => withStatus(one, begun, now)) : record
  return { ...noted, underWay }
}

/** The record after the step. The step's version may have changed during the step, its lease may not. */
export function finishStep(
  record: CertificateRecord,
  step: Work,
  outcome: Outcome,
  context: StepContext,
): CertificateRecord {
  const over: CertificateRecord = { ...record, underWay: undefined }
  return changeVersion(over, step.version.version, (version) => apply(version, record, outcome, context))
}

function apply(
  version: RecordedVersion,
  record: CertificateRecord,
  outcome: Outcome,
  context: StepContext,
): RecordedVersion {
  const { now, timing } = context
  const clean: RecordedVersion = { ...version, cause: undefined }
  const failed = (code: ErrorCode, retryAfterSeconds = 0): RecordedVersion => {
    const attempts = version.attempts + 1
    const pause = Math.max(retryAfterSeconds * 1000, pauseAfter(timing, attempts))
    return { ...version, attempts, accepts: 0, nextAt: now + pause, cause: code }
  }

  switch (outcome.kind) {
    case 'registered': {
      const registered = withStatus({ ...clean, keyId: outcome.keyId }, 'registered', now)
      return { ...registered, attempts: 0, accepts: 0, nextAt: now }
    }
    case 'removed':
      return { ...withStatus(clean, 'removed', now), attempts: 0, nextAt: 0 }
    case 'accepted':
      return accept(clean, record, context)
    case 'refused': {
      const refused = failed(outcome.code)
      // After addKey every instance of the provider learns the key with a delay. Otherwise it has to be added.
      const isNew = version.status === 'registered' && now - version.since < timing.forgetAfter
      if (isNew || version.status === 'accepted') return refused
      // No step has failed yet, so the next one need not wait.
      const isNews = version.status === 'new' || version.status === 'registering'
      return withStatus(isNews && context.canRegister ? { ...refused, nextAt: now } : refused, 'unregistered', now)
    }
    case 'failed': {
      const late = failed(outcome.code, outcome.retryAfterSeconds)
      // It may have been added although the answer was lost, or by a person: probe before adding it again.
      return version.status === 'registering' ? withStatus(late, 'new', now) : late
    }
  }
}

function accept(version: RecordedVersion, record: CertificateRecord, context: StepContext): RecordedVersion {
  const { now, timing, canRegister } = context
  const others = record.versions.some((one) => one.version !== version.version && one.status === 'accepted')
  const accepts = version.accepts + 1
  const from = canRegister ? 0 : version.seen + timing.publishedAhead
  // Without another accepted version this one signs already, so a second acceptance would add no safety.
  if (others && (accepts < 2 || now < from)) {
    return { ...version, accepts, attempts: 0, nextAt: Math.max(now + timing.settle, from) }
  }
  return { ...withStatus(version, 'accepted', now), accepts, attempts: 0, nextAt: 0 }
}

/** An operator reports that the provider has it. The provider still has to accept it before it signs. */
export function markRegistered(record: CertificateRecord, version: string, now: number): CertificateRecord {
  return changeVersion(record, version, (one) =>
    one.status === 'accepted' ? one : { ...withStatus(one, 'registered', now), attempts: 0, accepts: 0, nextAt: now },
  )
}
