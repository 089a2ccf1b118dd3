/** Handles an operator's report that a version was registered by hand: the roll probes it at once. */
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { CertificateRecords } from './certificate-state.store.ts'
import { describeStep } from './roll.ts'
import type { CertificateRoll } from './roll.ts'
import { markRegistered } from './roll-steps.ts'

interface RegisteredOptions {
  readonly roll: CertificateRoll
  readonly records: CertificateRecords
  readonly clock: Clock
}

/** The response to the operator. */
export interface NotedRegistration {
  readonly version: string
  readonly status: string
  readonly next: string
}

/** Long enough for the first response of the provider. */
const budgetMilliseconds = 5_000

export function createNoteRegistered({ roll, records, clock }: RegisteredOptions) {
  /** @throws {BrokerError} `certificate_version_unknown` */
  return async (version: string): Promise<NotedRegistration> => {
    const unknown = () => new BrokerError('certificate_version_unknown')
    if (!/^[0-9a-f]{32}$/i.test(version)) throw unknown()
    const find = (versions: readonly { version: string; status: string }[]) =>
      versions.find((one) => one.version === version.toLowerCase())
    const plan = await roll.plan()
    if (!find(plan.record.versions)) throw unknown()
    await records.update((record) => markRegistered(record, version.toLowerCase(), clock()))
    const { record, next } = await roll.run(budgetMilliseconds)
    return {
      version: version.toLowerCase(),
      status: find(record.versions)?.status ?? 'unknown',
      next: describeStep(next),
    }
  }
}
