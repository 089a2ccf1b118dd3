/** Simulates the next steps of a roll, where every service answers as usual. Pure. */
import { defined } from '../../shared/json/json.ts'
import type { RollTiming } from '../../shared/certificate/roll-timing.ts'
import { byAge } from '../../shared/certificate/certificate-state.ts'
import type { CertificateRecord, RecordedVersion } from '../../shared/certificate/certificate-state.ts'
import { beginStep, finishStep, nextStep } from '../../shared/certificate/roll-steps.ts'
import type { Outcome, Step, Work } from '../../shared/certificate/roll-steps.ts'

export interface ForeseenStep {
  /** Milliseconds since the epoch; without the duration of the steps before it. */
  readonly at: number
  readonly step: Step
  /** The answer that the step depends on; undefined where it needs none. */
  readonly expected?: string
}

interface ForeseeContext {
  readonly now: number
  readonly timing: RollTiming
  readonly canRegister: boolean
}

/** More steps than a roll has, so that the simulation ends for any record. */
const mostSteps = 40
const noKeyId = '00000000-0000-0000-0000-000000000000'

/** Until no step is left; empty when that is so now. */
export function foresee(record: CertificateRecord, { now, timing, canRegister }: ForeseeContext): ForeseenStep[] {
  const foreseen: ForeseenStep[] = []
  let [known, at] = [record, now]
  while (foreseen.length < mostSteps) {
    const context = { now: at, timing, canRegister, by: 'foreseen' }
    const step = nextStep(known, context)
    if (step.kind === 'done') break
    if (step.kind === 'wait') {
      foreseen.push({ at, step })
      at = step.until
      continue
    }
    const { outcome, expected } = expect(step, known, canRegister)
    foreseen.push({ at, step, ...defined({ expected }) })
    known = finishStep(beginStep(known, step, context), step, outcome, context)
  }
  return foreseen
}

function expect(
  step: Work,
  { versions }: CertificateRecord,
  canRegister: boolean,
): { readonly outcome: Outcome; readonly expected?: string } {
  if (step.kind === 'register') return { outcome: { kind: 'registered', keyId: noKeyId } }
  if (step.kind === 'remove') return { outcome: { kind: 'removed' } }
  const { version, status } = step.version
  const hasOther = versions.some((one) => one.version !== version && one.status === 'accepted')
  if (status === 'new' && hasOther && canRegister) {
    return {
      outcome: { kind: 'refused', code: 'certificate_refused' },
      expected: 'refused, since the provider does not know it yet',
    }
  }
  const isByHand = status === 'unregistered' || (hasOther && !canRegister && status === 'new')
  const expected = isByHand ? 'accepted, once an operator has registered it there' : 'accepted'
  return { outcome: { kind: 'accepted' }, expected }
}

/** The record after the vault creates another version like the newest. */
export function withAnother(record: CertificateRecord, name: string, now: number): CertificateRecord {
  const newest = [...record.versions].sort(byAge)[0]
  const lifetime = newest ? newest.expires - newest.notBefore : 365 * 24 * 60 * 60 * 1000
  const another: RecordedVersion = {
    version: name,
    thumbprint: '',
    notBefore: now,
    expires: now + lifetime,
    created: Math.max(now, (newest?.created ?? 0) + 1),
    enabled: true,
    status: 'new',
    since: now,
    seen: now,
    attempts: 0,
    accepts: 0,
    nextAt: 0,
  }
  return { ...record, versions: [another, ...record.versions] }
}
