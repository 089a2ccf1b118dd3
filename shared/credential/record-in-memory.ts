/**
 * The certificate's record in the memory of an instance. A change counts at once and is written to the row in the
 * background, one after the other, so that no request waits for the row.
 */
import type { Clock } from '../async/deadline.ts'
import { singleFlight } from '../async/single-flight.ts'
import { emptyRecord } from '../certificate/certificate-state.ts'
import type { CertificateRecord } from '../certificate/certificate-state.ts'
import type { CertificateRecords } from '../certificate/certificate-state.store.ts'

interface RecordInMemory {
  /** undefined before the first reading. */
  known(): CertificateRecord | undefined
  /** Keeps the content of the row as it is now; also starts the time until the next reading again. */
  keep(record: CertificateRecord): void
  /** True where the row was not read for `readMilliseconds`. */
  isDue(): boolean
  /** Reads the row, unless changes of this instance still have to be written. @throws as `CertificateRecords.load` */
  read(): Promise<void>
  change(change: (record: CertificateRecord) => CertificateRecord): void
}

interface RecordInMemoryOptions {
  readonly records: Pick<CertificateRecords, 'load' | 'update'>
  readonly readMilliseconds: number
  readonly clock: Clock
  readonly onFault: (error: unknown) => void
}

export function createRecordInMemory(options: RecordInMemoryOptions): RecordInMemory {
  const { records, clock, onFault } = options
  let kept: { readonly record: CertificateRecord; readonly at: number } | undefined
  let writing: Promise<void> = Promise.resolve()
  let unwritten = 0

  const keep = (record: CertificateRecord) => {
    kept = { record, at: clock() }
  }
  /** A row that is older than the last reading of the vault must not replace it. */
  const keepUnlessOlder = (record: CertificateRecord) =>
    keep(kept && record.readAt < kept.record.readAt ? kept.record : record)

  return {
    known: () => kept?.record,
    keep,
    isDue: () => kept === undefined || Math.abs(clock() - kept.at) >= options.readMilliseconds,

    read: singleFlight(async () => {
      const { record, etag } = await records.load()
      if (unwritten > 0) return
      if (etag !== undefined) keepUnlessOlder(record)
      // Without a row too, the next reading is a while away.
      else if (kept) keep(kept.record)
    }),

    change: (change) => {
      keep(change(kept?.record ?? emptyRecord))
      unwritten += 1
      writing = writing
        .then(() => records.update(change))
        .then(
          ({ record }) => {
            unwritten -= 1
            if (unwritten === 0) keepUnlessOlder(record)
          },
          (error: unknown) => {
            unwritten -= 1
            onFault(error)
          },
        )
    },
  }
}
