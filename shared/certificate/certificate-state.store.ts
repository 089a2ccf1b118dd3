/** Where the record is kept: one row in the store, changed by conditional write. */
import { createHash } from 'node:crypto'
import { BrokerError } from '../errors/errors.ts'
import type { Store } from '../store/store.ts'
import { emptyRecord, parseRecord } from './certificate-state.ts'
import type { CertificateRecord } from './certificate-state.ts'

export interface KeptRecord {
  readonly record: CertificateRecord
  /** Undefined: there is no row yet. */
  readonly etag: string | undefined
}

export interface CertificateRecords {
  load(): Promise<KeptRecord>
  /** @returns what was written; undefined when somebody else has changed the row since it was read */
  save(record: CertificateRecord, before: KeptRecord): Promise<KeptRecord | undefined>
  /** Reads, changes and writes until nobody came between; `change` may return what it was given, to leave it. */
  update(change: (record: CertificateRecord) => CertificateRecord): Promise<KeptRecord>
}

export interface CertificateRecordsOptions {
  readonly store: Pick<Store, 'find' | 'insert' | 'replace'>
  readonly vaultUrl: string
  readonly certificateName: string
}

const format = '2'
/** The sweep leaves the row alone for as long as somebody writes it now and then. */
const keptFor = 400 * 24 * 60 * 60 * 1000
const mostTries = 12

export function createCertificateRecords(options: CertificateRecordsOptions): CertificateRecords {
  const { store } = options
  const key = {
    partition: 'certificate',
    row: createHash('sha256').update(`${options.vaultUrl} ${options.certificateName}`).digest('base64url'),
  }

  const load = async (): Promise<KeptRecord> => {
    const found = await store.find('service', key)
    if (!found) return { record: emptyRecord, etag: undefined }
    const { format: written, record } = found.values
    // What can't be read is learned anew, and written over: it says nothing that the vault and the provider don't know.
    const parsed = written === format && typeof record === 'string' ? parseRecord(record) : undefined
    return { record: parsed ?? emptyRecord, etag: found.etag }
  }

  const save = async (record: CertificateRecord, { etag }: KeptRecord): Promise<KeptRecord | undefined> => {
    const sweepAfter = new Date(Date.now() + keptFor)
    const row = { ...key, sweepAfter, values: { format, record: JSON.stringify(record) } }
    const written = etag === undefined ? await store.insert('service', row) : await store.replace('service', row, etag)
    return written === undefined ? undefined : { record, etag: written }
  }

  return {
    load,
    save,
    update: async (change) => {
      for (let tries = 0; tries < mostTries; tries++) {
        const before = await load()
        const changed = change(before.record)
        if (changed === before.record) return before
        const after = await save(changed, before)
        if (after) return after
      }
      throw new BrokerError('store_unavailable', { detail: 'the certificate’s row is changed again and again' })
    },
  }
}
