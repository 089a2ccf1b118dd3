/** Handles an operator's report that a version was registered by hand: the roll probes it at once. */
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import { isVersionId } from '../vault/vault.ts'
import type { CertificateRecord } from './certificate-state.ts'
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
  return async (written: string): Promise<NotedRegistration> => {
    const version = written.toLowerCase()
    const find = ({ versions }: CertificateRecord) => versions.find((one) => one.version === version)
    if (!isVersionId(version) || !find((await roll.plan()).record)) throw new BrokerError('certificate_version_unknown')
    await records.update((record) => markRegistered(record, version, clock()))
    const { record, next } = await roll.run(budgetMilliseconds)
    return { version, status: find(record)?.status ?? 'unknown', next: describeStep(next) }
  }
}
