/**
 * Runs the steps of the roll, one after the other, within a budget of time. Each step is written to the row before it
 * is begun, and the conditional write decides which instance does it. The next run continues with the rest.
 */
import { randomUUID } from 'node:crypto'
import { defined } from '../json/json.ts'
import type { CertificateVault } from '../vault/vault.ts'
import { asBrokerError, BrokerError } from '../errors/errors.ts'
import type { Log } from '../telemetry/log.ts'
import { withDeadline } from '../async/deadline.ts'
import type { Clock } from '../async/deadline.ts'
import { readFacts } from './certificate-facts.ts'
import type { CertificateFacts } from './certificate-facts.ts'
import type { ApplicationKeys, ProvingVersion } from './application-keys.ts'
import type { RollTiming } from './roll-timing.ts'
import { changeVersion, chooseRecorded, observe, unknownVersions } from './certificate-state.ts'
import type { CertificateRecord } from './certificate-state.ts'
import type { CertificateRecords, KeptRecord } from './certificate-state.store.ts'
import { beginStep, finishStep, nextStep } from './roll-steps.ts'
import type { Outcome, Step, StepContext, Work } from './roll-steps.ts'
import { daysLeft, dueWarnings, warningsOf } from './warnings.ts'

export interface CertificateRoll {
  /**
   * Reads the vault and continues the roll.
   *
   * @param budgetMilliseconds how long it may wait for a provider that learns late; a step under way is finished
   * @throws {BrokerError} when vault or store can't be read: no step was begun
   */
  run(budgetMilliseconds: number): Promise<RollReport>
  /** The step that a run would do now. Writes nothing, and calls only vault and store. */
  plan(): Promise<RollReport>
}

interface RollReport {
  readonly record: CertificateRecord
  readonly next: Step
}

interface RollOptions {
  readonly vault: CertificateVault
  readonly records: CertificateRecords
  /** Undefined where the application's keys can't be changed here. */
  readonly applicationKeys: ApplicationKeys | undefined
  /** Sends an assertion by a version to the token endpoint. @throws {BrokerError} `certificate_refused` */
  readonly probe: (by: ProvingVersion) => Promise<unknown>
  readonly timing: RollTiming
  readonly clock: Clock
  readonly wait: (milliseconds: number) => Promise<void>
  /** So that the instance in this process need not wait until it reads the row again. */
  readonly onRecord: (record: CertificateRecord) => void
  readonly log: Log
}

/** Far more than a roll has: a run must end. */
const mostSteps = 60
/** In milliseconds: longer together than a store is throttled. */
const pausesAfterFault = [1_000, 2_000, 4_000, 8_000]

export function createCertificateRoll(options: RollOptions): CertificateRoll {
  const { records, timing, clock } = options
  const canRegister = options.applicationKeys !== undefined

  return {
    run: async (budgetMilliseconds) => {
      const by = randomUUID()
      const until = clock() + budgetMilliseconds
      const context = (): StepContext => ({ now: clock(), timing, canRegister, by })
      let kept = await records.update(await readVault(options))
      options.onRecord(kept.record)

      for (let steps = 0; steps < mostSteps; steps++) {
        const step = nextStep(kept.record, context())
        if (step.kind === 'done') break
        if (step.kind === 'wait') {
          if (step.until > until) break
          await options.wait(Math.max(step.until - clock(), 0) + 20)
          kept = await records.load()
          continue
        }
        const begun = await records.save(beginStep(kept.record, step, context()), kept)
        if (!begun) {
          // Another run came first; the next step follows from its record.
          kept = await records.load()
          continue
        }
        const outcome = await perform(step, options)
        const after = await finish(step, outcome, context(), options)
        logOutcome(step, outcome, { before: kept.record, after: after.record }, options)
        kept = after
        options.onRecord(kept.record)
      }
      const record = await warn(options)
      options.onRecord(record)
      return { record, next: nextStep(record, context()) }
    },

    plan: async () => {
      const observed = (await readVault(options))((await records.load()).record)
      const next = nextStep(observed, { now: clock(), timing, canRegister, by: '' })
      return { record: observed, next }
    },
  }
}

/** @returns a function that merges the vault's list into a record */
async function readVault({
  vault,
  records,
  clock,
}: RollOptions): Promise<(record: CertificateRecord) => CertificateRecord> {
  const at = clock()
  const [listed, { record }] = await Promise.all([vault.listVersions(), records.load()])
  const facts = new Map<string, CertificateFacts>()
  for (const version of unknownVersions(record, listed, clock())) {
    facts.set(version, readFacts(await vault.readCertificate(version)))
  }
  return (before) => observe(before, listed, facts, at)
}

async function perform(step: Work, options: RollOptions): Promise<Outcome> {
  try {
    return await withDeadline(work(step, options), options.timing.step, () => new BrokerError('provider_unavailable'))
  } catch (thrown) {
    const { code, retryAfterSeconds } = asBrokerError(thrown)
    if (step.kind === 'probe' && code === 'certificate_refused') return { kind: 'refused', code }
    return { kind: 'failed', code, retryAfterSeconds }
  }
}

async function work(step: Work, { vault, applicationKeys, probe }: RollOptions): Promise<Outcome> {
  const { version } = step
  if (step.kind === 'probe') {
    await probe(version)
    return { kind: 'accepted' }
  }
  if (!applicationKeys) throw new BrokerError('registration_refused')
  if (step.kind === 'register') {
    const certificate = await vault.readCertificate(version.version)
    return { kind: 'registered', keyId: await applicationKeys.add(certificate, step.by) }
  }
  if (version.keyId !== undefined) await applicationKeys.remove(version.keyId, step.by)
  return { kind: 'removed' }
}

/**
 * Writes the outcome. Only this run knows the id of an added key, by which the key can be removed: it is written again
 * after a fault of the store. Every other outcome is learned again by the next run.
 */
async function finish(
  step: Work,
  outcome: Outcome,
  context: StepContext,
  { records, clock, wait }: RollOptions,
): Promise<KeptRecord> {
  const write = () =>
    records.update((record) => {
      if (record.underWay?.by === context.by) return finishStep(record, step, outcome, { ...context, now: clock() })
      // Too late: another run has continued.
      if (outcome.kind !== 'registered') return record
      return changeVersion(record, step.version.version, (one) => ({ keyId: outcome.keyId, ...one }))
    })
  if (outcome.kind !== 'registered') return write()
  for (const pause of pausesAfterFault) {
    try {
      return await write()
    } catch {
      await wait(pause)
    }
  }
  return write()
}

function logOutcome(
  step: Work,
  outcome: Outcome,
  { before, after }: { readonly before: CertificateRecord; readonly after: CertificateRecord },
  { log, clock }: RollOptions,
): void {
  const failure = outcome.kind === 'failed' || outcome.kind === 'refused' ? { code: outcome.code } : {}
  const certificateVersion = step.version.version
  log('info', 'certificate step', { step: `${step.kind}: ${outcome.kind}`, certificateVersion, ...failure })
  const [old, now] = [chooseRecorded(before, clock()), chooseRecorded(after, clock())]
  if (old && now && now.version !== old.version && now.status === 'accepted' && old.status === 'accepted') {
    const left = daysLeft(now.expires, clock())
    log('info', 'certificate rolled', { certificateVersion: now.version, daysLeft: left, detail: old.version })
  }
}

/** Every run logs how long the certificate lasts; a warning for the operator is logged once a day. */
async function warn({ records, timing, clock, log }: RollOptions): Promise<CertificateRecord> {
  let due: ReturnType<typeof dueWarnings>['warnings'] = []
  const { record } = await records.update((before) => {
    const found = dueWarnings(before, warningsOf(before, clock(), timing), clock())
    due = found.warnings
    return found.record
  })
  for (const { event, level, version, code, detail, ...more } of due) {
    log(level, event, { ...more, ...defined({ certificateVersion: version, code, detail }) })
  }
  const signing = chooseRecorded(record, clock())
  if (signing) {
    const left = daysLeft(signing.expires, clock())
    log('info', 'certificate days left', { certificateVersion: signing.version, daysLeft: left })
  }
  return record
}

/** The next step, in words for an operator. */
export function describeStep(step: Step): string {
  switch (step.kind) {
    case 'done':
      return 'nothing to do'
    case 'wait':
      return `waits until ${new Date(step.until).toISOString()}: ${step.why}`
    case 'probe':
      return `probes version ${step.version.version} at the token endpoint`
    case 'register':
      return `adds version ${step.version.version} to the application, proved by version ${step.by.version}`
    case 'remove':
      return `removes version ${step.version.version} from the application`
  }
}
