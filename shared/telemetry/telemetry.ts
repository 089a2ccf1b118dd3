/**
 * Records spans and events under the host's request, counters and gauges. Recording costs a few microseconds and never
 * fails; export-queue.ts brings the records to Application Insights.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from '../async/deadline.ts'
import type { ExportQueue } from './export-queue.ts'
import type { EventReport, Fields, OperationParent, SpanReport } from './report.ts'

export interface Telemetry {
  /**
   * Runs one invocation: records made within belong to the host's request.
   *
   * @param traceParent from the host (W3C Trace Context); untrusted, since a caller may have sent it
   * @param kind a job (a timer, an event) is rare, and always exported whole
   */
  invocation<T>(traceParent: string | undefined, work: () => Promise<T>, kind?: 'request' | 'job'): Promise<T>
  /** Runs work outside any request as an operation of its own, which is always exported whole. */
  backgroundOperation<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Times a call to another service. `describe` adds fields that depend on the result. */
  span<T>(call: Call, work: () => Promise<T>, describe?: (result: T) => Outcome): Promise<T>
  event(name: string, fields: Fields, measurements: Readonly<Record<string, number>>): void
  /**
   * Marks the operation as failed: it is exported whole even if the host does not sample it.
   *
   * @param how `refused` for a failure that any caller can cause at will
   */
  fail(how?: Failure): void
  count(name: string, fields?: Fields): void
  /** Records a value that changes; the newest one is sent. */
  gauge(name: string, value: number): void
  /** Sends all records; waits for it a few seconds at most, and never throws. */
  flush(): Promise<void>
}

type Failure = 'refused' | 'failed'

type Call = Pick<SpanReport, 'name' | 'type' | 'target'> & { readonly fields?: Fields }

export interface Outcome {
  readonly succeeded?: boolean
  readonly fields?: Fields
}

interface TelemetryOptions {
  readonly exportQueue: ExportQueue
  readonly clock: Clock
}

/** The records of one operation. */
interface Records {
  /** The host's exporter keeps this request. */
  readonly sampled: boolean
  spans: SpanReport[]
  events: EventReport[]
  failed: Failure | undefined
  /** Set when the operation has ended. Records of work that continues after the answer are exported the same way. */
  exportedUnder: OperationParent | 'nothing' | undefined
}

/** Per operation: a loop must not fill the memory. */
const mostRecords = 64
/**
 * The operations that an instance exports in full: a burst, and a number per second. Counters include all operations;
 * under higher load this sample shows how calls perform, at a constant cost. Each kind has its own allowance, so that a
 * flood of refused requests hides no fault of the broker.
 */
const allowances = {
  succeeded: { burst: 200, perSecond: 10 },
  refused: { burst: 200, perSecond: 10 },
  failed: { burst: 500, perSecond: 50 },
}

export function createTelemetry({ exportQueue, clock }: TelemetryOptions): Telemetry {
  const current = new AsyncLocalStorage<Records>()
  let lastId = 0
  const isWithinRate = {
    succeeded: createAllowance(allowances.succeeded),
    refused: createAllowance(allowances.refused),
    failed: createAllowance(allowances.failed),
  }

  const enqueue = (records: Records, parent: OperationParent) => {
    records.exportedUnder = parent
    exportQueue.operation({ parent, spans: records.spans, events: records.events })
  }

  /** Requests without a step, reads of sessions above all, appear in the counters only. */
  const isExported = (records: Records): boolean => {
    if (records.failed) return isWithinRate[records.failed]()
    return records.events.length > 0 && records.sampled && isWithinRate.succeeded()
  }

  const record = (add: (records: Records) => void) => {
    const records = current.getStore()
    if (!records || records.exportedUnder === 'nothing') return
    if (records.exportedUnder !== undefined) {
      const late: Records = { ...records, spans: [], events: [] }
      add(late)
      enqueue(late, records.exportedUnder)
      // The report of the operation may have been sent, and no other request may follow.
      exportQueue.wake()
    } else if (records.spans.length + records.events.length < mostRecords) add(records)
  }

  const run = async <T>(
    records: Records,
    work: () => Promise<T>,
    parentOf: () => OperationParent | undefined,
  ): Promise<T> => {
    try {
      return await current.run(records, work)
    } finally {
      const parent = parentOf()
      if (parent) enqueue(records, parent)
      else records.exportedUnder = 'nothing'
      // After the answer: the first invocation of an instance does not wait for telemetry.
      exportQueue.wake()
    }
  }

  return {
    invocation: (received, work, kind = 'request') => {
      const traceParent = received !== undefined && validTraceParent.test(received) ? received : undefined
      const records = newRecords(traceParent)
      return run(records, work, () =>
        traceParent !== undefined && (kind === 'job' || isExported(records))
          ? { kind: 'host', traceParent }
          : undefined,
      )
    },

    backgroundOperation: (name, work) => {
      const records = newRecords(undefined)
      const startedAt = clock()
      const started = performance.now()
      return run(records, work, () =>
        records.spans.length + records.events.length > 0
          ? { kind: 'background', id: ++lastId, name, startedAt, milliseconds: performance.now() - started }
          : undefined,
      )
    },

    span: async (call, work, describe) => {
      const records = current.getStore()
      if (!records || records.exportedUnder === 'nothing') return work()
      const startedAt = clock()
      const started = performance.now()
      const end = ({ succeeded = true, fields }: Outcome) => {
        const milliseconds = performance.now() - started
        const { name, type, target } = call
        const all = { ...call.fields, ...fields }
        record(({ spans }) => spans.push({ name, type, target, startedAt, milliseconds, succeeded, fields: all }))
      }
      try {
        const result = await work()
        end(describe?.(result) ?? {})
        return result
      } catch (error) {
        end({ succeeded: false, fields: failureOf(error) })
        throw error
      }
    },

    event: (name, fields, measurements) =>
      record(({ events }) => events.push({ name, at: clock(), fields, measurements })),

    fail: (how = 'failed') => {
      const records = current.getStore()
      if (records && records.failed !== 'failed') records.failed = how
    },

    count: (name, fields = {}) => exportQueue.counter(name, 1, fields),
    gauge: (name, value) => exportQueue.gauge(name, value),
    flush: () => exportQueue.flush(),
  }
}

/** A token bucket. @returns whether one more operation is allowed now */
function createAllowance({ burst, perSecond }: { burst: number; perSecond: number }): () => boolean {
  let left = burst
  let since = performance.now()
  return () => {
    const now = performance.now()
    left = Math.min(burst, left + ((now - since) / 1000) * perSecond)
    since = now
    if (left < 1) return false
    left -= 1
    return true
  }
}

const validTraceParent = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

function newRecords(traceParent: string | undefined): Records {
  // The lowest bit of the flags: the host samples this request.
  const sampled = traceParent === undefined || (Number.parseInt(traceParent.slice(-2), 16) & 1) === 1
  return { sampled, spans: [], events: [], failed: undefined, exportedUnder: undefined }
}

/** A stable code of the broker or of Node; never a message, which may quote a request. */
function failureOf(error: unknown): Fields {
  const code = (error as { code?: unknown } | undefined)?.code
  return { code: typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : 'unknown' }
}

/** Discards all reports. */
export const noTelemetry: Telemetry = {
  invocation: (_, work) => work(),
  backgroundOperation: (_, work) => work(),
  span: (_, work) => work(),
  event: () => undefined,
  fail: () => undefined,
  count: () => undefined,
  gauge: () => undefined,
  flush: () => Promise.resolve(),
}
