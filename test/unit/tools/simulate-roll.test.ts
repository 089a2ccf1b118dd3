import { describe, expect, it } from 'vitest'
import { foresee, withAnother } from '../../../tools/certificate/simulate-roll.ts'
import { rollTimingOf } from '../../../shared/certificate/roll-timing.ts'
import { emptyRecord, observe } from '../../../shared/certificate/certificate-state.ts'
import type { CertificateRecord, RecordedVersion } from '../../../shared/certificate/certificate-state.ts'

const timing = rollTimingOf({ readSeconds: 300, overlapSeconds: 86_400 })
const now = Date.parse('2026-06-01T00:00:00Z')
const day = 86_400_000
const [oldId, newId] = ['a'.repeat(32), 'b'.repeat(32)]
const keyId = '11111111-2222-4333-8444-555555555555'

function known(changes: Partial<RecordedVersion> = {}): CertificateRecord {
  const dates = { notBefore: now - 300 * day, expires: now + 65 * day, created: now - 300 * day }
  const seen = observe(
    emptyRecord,
    [{ version: oldId, enabled: true, ...dates }],
    new Map([[oldId, { thumbprint: 'o'.repeat(43), publicKey: 'k'.repeat(400) }]]),
    now,
  )
  return { ...seen, versions: seen.versions.map((one) => ({ ...one, status: 'accepted' as const, ...changes })) }
}
const kinds = (record: CertificateRecord, canRegister = true) =>
  foresee(record, { now, timing, canRegister }).map(({ step }) => step.kind)

describe('the plan of a roll', () => {
  it('is empty while the newest version is accepted', () => {
    expect(kinds(known())).toEqual([])
  })

  it('is to probe, to add and to probe twice, where the vault has made a version', () => {
    expect(kinds(withAnother(known(), newId, now))).toEqual(['probe', 'register', 'probe', 'wait', 'probe'])
  })

  it('ends with the removal of the old key after the overlap, where the broker had added it', () => {
    const steps = foresee(withAnother(known({ keyId }), newId, now), { now, timing, canRegister: true })

    expect(steps.map(({ step }) => step.kind).slice(-2)).toEqual(['wait', 'remove'])
    expect(steps.at(-1)).toMatchObject({
      at: now + timing.settle + timing.overlap,
      step: { version: { version: oldId } },
    })
  })

  it('waits for an operator where the broker may not change the keys, and adds no key', () => {
    const steps = foresee(withAnother(known({ keyId }), newId, now), { now, timing, canRegister: false })

    expect(new Set(steps.map(({ step }) => step.kind))).toEqual(new Set(['probe', 'wait']))
    expect(steps[0]?.expected).toContain('once an operator has registered it')
  })

  it('probes again the key that an interrupted run may have added, and comes to an end from every status', () => {
    const all = ['new', 'unregistered', 'registering', 'registered', 'accepted', 'removing', 'removed'] as const
    for (const status of all) {
      const record = withAnother(known({ status, keyId }), newId, now)
      for (const canRegister of [true, false]) expect(kinds(record, canRegister).length).toBeLessThan(12)
    }
    const [other, ...rest] = withAnother(known(), newId, now).versions
    expect(kinds({ ...known(), versions: [{ ...other!, status: 'registering' }, ...rest] })[0]).toBe('probe')
  })
})
