import { describe, expect, it } from 'vitest'
import { rollTimingOf } from '../../../shared/certificate/roll-timing.ts'
import { chooseRecorded, demote, emptyRecord, observe } from '../../../shared/certificate/certificate-state.ts'
import type { CertificateRecord } from '../../../shared/certificate/certificate-state.ts'
import { beginStep, finishStep, nextStep } from '../../../shared/certificate/roll-steps.ts'
import type { Outcome, Step } from '../../../shared/certificate/roll-steps.ts'
import { dueWarnings, warningsOf } from '../../../shared/certificate/warnings.ts'

const timing = rollTimingOf({ readSeconds: 300, overlapSeconds: 86_400 })
const day = 86_400_000
const start = Date.parse('2026-06-01T00:00:00Z')
const [oldId, newId] = ['a'.repeat(32), 'b'.repeat(32)]
const thumbprints = new Map([
  [oldId, 'o'.repeat(43)],
  [newId, 'n'.repeat(43)],
])
const facts = new Map([...thumbprints].map(([id, thumbprint]) => [id, { thumbprint, publicKey: 'k'.repeat(400) }]))
const keyId = '11111111-2222-4333-8444-555555555555'
const listed = (version: string, made: number, changes = {}) => ({
  version,
  enabled: true,
  notBefore: made,
  expires: made + 365 * day,
  created: made,
  ...changes,
})

/** One run after another, with a clock that jumps to the end of each wait. */
function machine(record: CertificateRecord, now = start, canRegister = true) {
  const context = (by = 'one') => ({ now, timing, canRegister, by })
  const self = {
    record,
    next: (by?: string): Step => nextStep(self.record, context(by)),
    begin: (by?: string) => {
      const step = self.next(by)
      if (step.kind === 'wait' || step.kind === 'done') throw new Error(`nothing to begin: ${step.kind}`)
      self.record = beginStep(self.record, step, context(by))
      return step
    },
    does: (outcome: Outcome) => {
      const step = self.begin()
      self.record = finishStep(self.record, step, outcome, context())
      return step.kind
    },
    later: (milliseconds: number) => void (now += milliseconds),
    see: (...versions: ReturnType<typeof listed>[]) => void (self.record = observe(self.record, versions, facts, now)),
    signs: () => chooseRecorded(self.record, now)?.version,
    statusOf: (version: string) => self.record.versions.find((one) => one.version === version)?.status,
  }
  return self
}

/** The old version is accepted, the new one has just been made. */
function rolling(canRegister = true) {
  const roll = machine(emptyRecord, start, canRegister)
  roll.see(listed(oldId, start - 300 * day))
  roll.does({ kind: 'accepted' })
  roll.see(listed(oldId, start - 300 * day), listed(newId, start))
  return roll
}
const refused: Outcome = { kind: 'refused', code: 'certificate_refused' }
const failed = (retryAfterSeconds?: number): Outcome => ({
  kind: 'failed',
  code: 'provider_throttled',
  retryAfterSeconds,
})

describe('a list of the vault that was requested before the one that the record has', () => {
  const old = listed(oldId, start - 300 * day)
  const versionsOf = ({ versions }: CertificateRecord) => versions.map(({ version, enabled }) => [version, enabled])

  it('takes no version away and disables none, since a version that it lacks is newer than the list', () => {
    const roll = rolling()
    const { record } = roll

    const after = observe(record, [{ ...old, enabled: false }], facts, record.readAt - 1)

    expect(after).toEqual(record)
    expect(observe(record, [{ ...old, enabled: false }], facts, record.readAt)).not.toEqual(record)
    expect(versionsOf(observe(record, [old], facts, record.readAt + 1))).toEqual([[oldId, true]])
  })

  it('adds a version that the record lacks', () => {
    const known = observe(emptyRecord, [old], facts, start)

    const after = observe(known, [old, listed(newId, start)], facts, start - 1)

    expect(versionsOf(after)).toEqual([
      [newId, true],
      [oldId, true],
    ])
    expect(after.readAt).toBe(start)
  })

  it('counts as the newest where a wrong clock wrote the record', () => {
    const known = observe(emptyRecord, [old, listed(newId, start)], facts, start + day)

    expect(observe(known, [old], facts, start)).toMatchObject({ readAt: start, versions: [{ version: oldId }] })
  })
})

describe('a roll', () => {
  it('probes, adds, probes until it was accepted twice, and signs only then', () => {
    const roll = rolling()

    expect(roll.does(refused)).toBe('probe')
    expect(roll.does({ kind: 'registered', keyId })).toBe('register')
    expect(roll.does(refused)).toBe('probe')
    expect(roll.next()).toMatchObject({ kind: 'wait' })
    roll.later(timing.firstPause)
    expect(roll.does({ kind: 'accepted' })).toBe('probe')
    expect(roll.signs()).toBe(oldId)
    roll.later(timing.settle)
    expect(roll.does({ kind: 'accepted' })).toBe('probe')

    expect(roll.signs()).toBe(newId)
    // The broker did not add the old key, so it removes none.
    expect(roll.next()).toEqual({ kind: 'done' })
  })

  it('restarts the count when the provider accepts and then refuses', () => {
    const roll = rolling()
    roll.does(refused)
    roll.does({ kind: 'registered', keyId })
    for (const outcome of [{ kind: 'accepted' } as const, refused, { kind: 'accepted' } as const]) {
      roll.does(outcome)
      roll.later(timing.longestPause)
    }

    expect(roll.signs()).toBe(oldId)
    roll.does({ kind: 'accepted' })
    expect(roll.signs()).toBe(newId)
  })

  it('is done by one instance at a time; an interrupted registration is probed before it is repeated', () => {
    const roll = rolling()
    roll.does(refused)
    expect(roll.begin('killed').kind).toBe('register')

    expect(roll.next('another')).toMatchObject({ kind: 'wait' })
    roll.later(timing.lease)
    expect(roll.next('another').kind).toBe('probe')
    expect(roll.statusOf(newId)).toBe('registering')
  })

  it('waits for the Retry-After of Graph, and probes before it adds again', () => {
    const roll = rolling()
    roll.does(refused)
    roll.does(failed(600))

    roll.later(599_000)
    expect(roll.next()).toMatchObject({ kind: 'wait' })
    roll.later(1_000)
    expect(roll.next().kind).toBe('probe')
  })

  it('removes only keys whose id addKey returned, after the overlap, and not while a newer version waits', () => {
    const roll = rolling()
    roll.record = {
      ...roll.record,
      versions: roll.record.versions.map((one) => (one.version === oldId ? { ...one, keyId } : one)),
    }
    expect(roll.next().kind).toBe('probe')
    roll.does({ kind: 'accepted' })
    roll.later(timing.settle)
    roll.does({ kind: 'accepted' })

    roll.later(timing.overlap - 1)
    expect(roll.next()).toMatchObject({ kind: 'wait' })
    roll.later(1)
    expect(roll.does({ kind: 'removed' })).toBe('remove')
    expect(roll.statusOf(oldId)).toBe('removed')
    expect(roll.next()).toEqual({ kind: 'done' })
  })

  it('only probes where it may not change the keys, and signs when it was published for long enough', () => {
    const roll = rolling(false)
    roll.does({ kind: 'accepted' })
    roll.later(timing.settle)
    expect(roll.next()).toMatchObject({ kind: 'wait' })
    roll.later(timing.publishedAhead)
    roll.does({ kind: 'accepted' })

    expect(roll.signs()).toBe(newId)
  })

  it('is begun for a version that the vault made in the same second as the one before it', () => {
    const roll = machine(emptyRecord)
    roll.see(listed(oldId, start))
    roll.does({ kind: 'accepted' })
    roll.later(400)
    roll.see(listed(oldId, start), listed(newId, start))

    expect(roll.next()).toMatchObject({ kind: 'probe', version: { version: newId } })
  })

  it('probes every version in turn while the provider accepts none', () => {
    const roll = machine(emptyRecord)
    roll.see(listed(oldId, start - 300 * day), listed(newId, start))
    roll.does(refused)
    roll.does(refused)

    expect(roll.next()).toMatchObject({ kind: 'probe', version: { version: oldId } })
    roll.does({ kind: 'accepted' })
    expect(roll.signs()).toBe(oldId)
    roll.later(timing.longestPause)
    expect(roll.next()).toMatchObject({ kind: 'register', version: { version: newId }, by: { version: oldId } })
  })
})

describe('the version that signs', () => {
  it('is the older one where the newest is disabled, deleted, not yet valid or refused', () => {
    const now = start + day
    const roll = rolling()
    roll.does({ kind: 'accepted' })
    roll.later(timing.settle)
    roll.does({ kind: 'accepted' })
    roll.later(now - start)
    expect(roll.signs()).toBe(newId)

    roll.see(listed(oldId, start - 300 * day), listed(newId, start, { enabled: false }))
    expect(roll.signs()).toBe(oldId)
    roll.see(listed(oldId, start - 300 * day), listed(newId, start))
    expect(roll.signs()).toBe(newId)
    roll.record = demote(roll.record, thumbprints.get(newId)!, now)
    expect(roll.signs()).toBe(oldId)
    roll.see(listed(oldId, start - 300 * day))
    expect(roll.signs()).toBe(oldId)
  })

  it('continues where a version without dates appears, which is reported by name', () => {
    const roll = rolling()
    roll.see(listed(oldId, start - 300 * day), listed(newId, start, { expires: undefined }))

    expect(roll.signs()).toBe(oldId)
    expect(warningsOf(roll.record, start, timing).map(({ event }) => event)).toContain('certificate without dates')
  })
})

describe('a warning', () => {
  it.each([
    [61, []],
    [50, ['certificate near expiry']],
    [20, ['certificate renewal failed']],
    [-1, ['certificate unusable', 'certificate renewal failed']],
  ])('with %i days left is %j', (left, events) => {
    const roll = machine(emptyRecord, start + (365 - left) * day)
    roll.see(listed(oldId, start))
    roll.record = {
      ...roll.record,
      versions: roll.record.versions.map((one) => ({ ...one, status: 'accepted' as const })),
    }

    expect(warningsOf(roll.record, start + (365 - left) * day, timing).map(({ event }) => event)).toEqual(events)
  })

  const eventsAt = (roll: ReturnType<typeof machine>, now: number) =>
    warningsOf(roll.record, now, timing).map(({ event }) => event)

  it('is logged for a new version that is not accepted after an hour', () => {
    const roll = rolling()

    expect(eventsAt(roll, start + timing.stuckAfter)).toEqual([])
    const [warning] = warningsOf(roll.record, start + timing.stuckAfter + 1, timing)
    expect(warning).toMatchObject({ event: 'certificate roll stuck', level: 'error', version: newId, detail: 'new' })
  })

  it('is logged for no version that waits for its first day of validity', () => {
    const roll = rolling()
    roll.see(listed(oldId, start - 300 * day), listed(newId, start, { notBefore: start + 2 * day }))

    expect(eventsAt(roll, start + day)).toEqual([])
    expect(eventsAt(roll, start + 2 * day)).toEqual(['certificate roll stuck'])
  })

  it('is logged for a version that was disabled while the provider accepts it, until its end', () => {
    const roll = rolling()
    roll.see(listed(oldId, start - 300 * day, { enabled: false }), listed(newId, start))

    expect(eventsAt(roll, start)).toContain('certificate version disabled')
    expect(eventsAt(roll, start + 66 * day)).not.toContain('certificate version disabled')
  })

  it('is logged once a day, not once a run', () => {
    const now = start + 345 * day
    const roll = machine(emptyRecord, now)
    roll.see(listed(oldId, start))
    const first = dueWarnings(roll.record, warningsOf(roll.record, now, timing), now)
    const second = dueWarnings(first.record, warningsOf(first.record, now + 300_000, timing), now + 300_000)
    const third = dueWarnings(second.record, warningsOf(second.record, now + day, timing), now + day)

    expect(first.warnings.length).toBeGreaterThan(0)
    expect(second.warnings.filter(({ event }) => event === 'certificate renewal failed')).toEqual([])
    expect(third.warnings.map(({ event }) => event)).toContain('certificate renewal failed')
  })
})
