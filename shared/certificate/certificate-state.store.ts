/**
 * The row that keeps the certificate's record: sealed with a key of the ring, changed by conditional write.
 *
 * The record decides which keys the broker removes at the application, registers and publishes, so a writer of the
 * store must not choose it. A row that does not open is learned again from the vault and the provider, and written
 * over. An old row that is put back does not last: every few minutes a run of the roll merges the vault's list into it.
 */
import { hash } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { openSealedRow, sealedValues } from '../crypto/sealed-row.ts'
import type { RowSeal } from '../crypto/sealed-row.ts'
import type { Store, StoredRow } from '../store/store.ts'
import { emptyRecord, parsePreviousRecord, parseRecord } from './certificate-state.ts'
import type { CertificateRecord } from './certificate-state.ts'

export interface KeptRecord {
  readonly record: CertificateRecord
  /** Undefined: there is no row yet. */
  readonly etag: string | undefined
}

/** Every method throws what the store throws, and what the ring throws where it cannot read a key. */
export interface CertificateRecords {
  load(): Promise<KeptRecord>
  /** @returns the written record; undefined when another instance has changed the row since it was read */
  save(record: CertificateRecord, before: KeptRecord): Promise<KeptRecord | undefined>
  /** Reads, changes and writes until no other write came in between. `change` may return its argument: no write. */
  update(change: (record: CertificateRecord) => CertificateRecord): Promise<KeptRecord>
}

interface CertificateRecordsOptions {
  readonly store: Pick<Store, 'find' | 'insert' | 'replace'>
  readonly ring: Pick<KeyRing, 'current' | 'find'>
  readonly vaultUrl: string
  readonly certificateName: string
  /** The broker's registration at a provider beside the primary one: each provider has a record of its own. */
  readonly registration?: { readonly issuer: string; readonly clientId: string } | undefined
  readonly clock: Clock
  /** Until when an unsealed row of the previous release is accepted, once. Milliseconds since the epoch. */
  readonly acceptUnsealedUntil: number
}

const rowSeal: RowSeal = {
  format: '3',
  purpose: 'certificate',
  column: 'record',
  keyOf: (ringKey) => ringKey.keyFor('certificate'),
}
/** The sweep removes the row only where no instance has written it for this long. */
const keptFor = 400 * 24 * 60 * 60 * 1000
const mostTries = 12

export function createCertificateRecords(options: CertificateRecordsOptions): CertificateRecords {
  const { store, ring, clock, acceptUnsealedUntil, registration } = options
  const of = registration ? ` ${registration.issuer} ${registration.clientId}` : ''
  const name = hash('sha256', `${options.vaultUrl} ${options.certificateName}${of}`, 'base64url')
  const key = { partition: 'certificate', row: `${name}.sealed` }
  /** An instance of the previous release continues to use a row of its own. */
  const unsealed = { partition: 'certificate', row: name }
  const marker = { partition: 'taken-over', row: `certificate.${name}` }

  const openRow = async (row: StoredRow): Promise<CertificateRecord | undefined> => {
    const text = await openSealedRow(row, ring, rowSeal)
    return text === undefined ? undefined : parseRecord(text)
  }

  /** The row of the previous release, where no sealed row was ever written. */
  const takeOver = async (): Promise<CertificateRecord | undefined> => {
    // The previous release had one provider.
    if (registration || clock() >= acceptUnsealedUntil || (await store.find('service', marker)) !== undefined)
      return undefined
    const { format: written, record } = (await store.find('service', unsealed))?.values ?? {}
    return written === '2' && typeof record === 'string' ? parsePreviousRecord(record) : undefined
  }

  const markTakenOver = async (): Promise<void> => {
    if (clock() >= acceptUnsealedUntil) return
    await store.insert('service', { ...marker, sweepAfter: new Date(acceptUnsealedUntil), values: { format: '1' } })
  }

  const load = async (): Promise<KeptRecord> => {
    const found = await store.find('service', key)
    const record = await (found ? openRow(found) : takeOver())
    return { record: record ?? emptyRecord, etag: found?.etag }
  }

  const save = async (record: CertificateRecord, { etag }: KeptRecord): Promise<KeptRecord | undefined> => {
    const values = sealedValues(JSON.stringify(record), key, await ring.current(), rowSeal)
    const row = { ...key, sweepAfter: new Date(clock() + keptFor), values }
    const written = etag === undefined ? await store.insert('service', row) : await store.replace('service', row, etag)
    if (written === undefined) return undefined
    if (etag === undefined) await markTakenOver()
    return { record, etag: written }
  }

  return {
    load,
    save,
    update: async (change) => {
      for (let tries = 0; tries < mostTries; tries++) {
        const before = await load()
        const changed = change(before.record)
        // A record that was taken over is written even without a change, so that it is sealed.
        if (changed === before.record && (before.etag !== undefined || changed === emptyRecord)) return before
        const after = await save(changed, before)
        if (after) return after
      }
      throw new BrokerError('store_unavailable', { detail: 'the certificate’s row is changed again and again' })
    },
  }
}
