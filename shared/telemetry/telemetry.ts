/**
 * What the broker notes about itself: spans and events under the host's own request, and sums. Noting costs a few
 * microseconds and never fails; how it gets to Application Insights is known to the courier (courier.ts).
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Clock } from '../async/deadline.ts'
import type { Courier } from './export-queue.ts'
import type { EventReport, Fields, OperationParent, SpanReport } from './report.ts'

export interface Telemetry {
  /**
   * Runs one invocation: what is noted within stands under the host's own request.
   *
   * @param traceParent as the host gave it (W3C Trace Context); untrusted, since a caller may have sent it
   * @param kind a job (a timer, an event) is rare, and always told whole
   */
  invocation<T>(traceParent: string | undefined, work: () => Promise<T>, kind?: 'request' | 'job'): Promise<T>
  /** Work that no request began; it becomes an operation of its own, and is always told whole. */
  own<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Times a call to something outside. `describe` adds what only its outcome tells. */
  span<T>(call: Call, work: () => Promise<T>, describe?: (result: T) => Outcome): Promise<T>
  event(name: string, fields: Fields, measurements: Readonly<Record<string, number>>): void
  /**
   * The operation is told whole, whatever the sampling says.
   *
   * @param how `refused` where anybody can bring it about, as often as they like
   */
  fail(how?: Failure): void
  count(name: string, fields?: Fields): void
  /** A value that is only true of now: the newest is sent. */
  latest(name: string, value: number): void
  /** Sends what is there; waits for it a few seconds at most, and never throws. */
  flush(): Promise<void>
}

export type Failure = 'refused' | 'failed'

export type Call = Pick<SpanReport, 'name' | 'type' | 'target'> & { readonly fields?: Fields }

export interface Outcome {
  readonly succeeded?: boolean
  readonly fields?: Fields
}

export interface TelemetryOptions {
  readonly courier: Courier
  readonly clock: Clock
}

/** One operation's notes, until it ends. */
interface Notes {
  readonly traceParent: string | undefined
  /** The host keeps this request by its own sampling. */
  readonly sampled: boolean
  spans: SpanReport[]
  events: EventReport[]
  failed: Failure | undefined
  /** How it was told, once it has ended: work that goes on after the answer is told the same way. */
  told: OperationParent | 'not' | undefined
}

/** No operation has more: a loop must not fill the memory. */
const mostNotes = 64
/**
 * How many operations an instance tells whole: a burst, and so many a second. The sums count all of them; under a load
 * that is higher, this many are enough to see how calls go, and the cost stays what it is. Each kind has its own, so
 * that a flood of what anybody can send hides no fault of ours.
 */
const whole = {
  succeeded: { burst: 200, perSecond: 10 },
  refused: { burst: 200, perSecond: 10 },
  failed: { burst: 500, perSecond: 50 },
}

export function createTelemetry({ courier, clock }: TelemetryOptions): Telemetry {
  const current = new AsyncLocalStorage<Notes>()
  let lastOwn = 0
  const isWithinRate = {
    succeeded: createAllowance(whole.succeeded),
    refused: createAllowance(whole.refused),
    failed: createAllowance(whole.failed),
  }

  const tell = (notes: Notes, parent: OperationParent) => {
    notes.told = parent
    courier.operation({ parent, spans: notes.spans, events: notes.events })
  }

  /** Requests in which no step happened, reads of sessions above all, are in the sums only. */
  const isTold = (notes: Notes): boolean => {
    if (notes.failed) return isWithinRate[notes.failed]()
    return notes.events.length > 0 && notes.sampled && isWithinRate.succeeded()
  }

  const note = (add: (notes: Notes) => void) => {
    const notes = current.getStore()
    if (!notes || notes.told === 'not') return
    if (notes.told !== undefined) {
      const late: Notes = { ...notes, spans: [], events: [] }
      add(late)
      tell(late, notes.told)
    } else if (notes.spans.length + notes.events.length < mostNotes) add(notes)
  }

  const run = async <T>(
    notes: Notes,
    work: () => Promise<T>,
    parentOf: () => OperationParent | undefined,
  ): Promise<T> => {
    try {
      return await current.run(notes, work)
    } finally {
      const parent = parentOf()
      if (parent) tell(notes, parent)
      else notes.told = 'not'
      // After the answer: the first invocation of an instance waits for nothing of this.
      courier.wake()
    }
  }

  return {
    invocation: (received, work, kind = 'request') => {
      const traceParent = received !== undefined && validTraceParent.test(received) ? received : undefined
      const notes = newNotes(traceParent)
      return run(notes, work, () =>
        traceParent !== undefined && (kind === 'job' || isTold(notes)) ? { kind: 'host', traceParent } : undefined,
      )
    },

    own: (name, work) => {
      const notes = newNotes(undefined)
      const startedAt = clock()
      const started = performance.now()
      return run(notes, work, () =>
        notes.spans.length + notes.events.length > 0
          ? { kind: 'own', id: ++lastOwn, name, startedAt, milliseconds: performance.now() - started }
          : undefined,
      )
    },

    span: async (call, work, describe) => {
      const notes = current.getStore()
      if (!notes || notes.told === 'not') return work()
      const startedAt = clock()
      const started = performance.now()
      const end = ({ succeeded = true, fields }: Outcome) => {
        const milliseconds = performance.now() - started
        const { name, type, target } = call
        const all = { ...call.fields, ...fields }
        note(({ spans }) => spans.push({ name, type, target, startedAt, milliseconds, succeeded, fields: all }))
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
      note(({ events }) => events.push({ name, at: clock(), fields, measurements })),

    fail: (how = 'failed') => {
      const notes = current.getStore()
      if (notes && notes.failed !== 'failed') notes.failed = how
    },

    count: (name, fields = {}) => courier.sum(name, 1, fields),
    latest: (name, value) => courier.latest(name, value),
    flush: () => courier.flush(),
  }
}

/** @returns whether there is one more to spend; it grows again with time */
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

function newNotes(traceParent: string | undefined): Notes {
  // The lowest bit of the flags: the host records this request.
  const sampled = traceParent === undefined || (Number.parseInt(traceParent.slice(-2), 16) & 1) === 1
  return { traceParent, sampled, spans: [], events: [], failed: undefined, told: undefined }
}

/** A stable code of ours or of Node; never a message, which may quote what somebody sent. */
function failureOf(error: unknown): Fields {
  const code = (error as { code?: unknown } | undefined)?.code
  return { code: typeof code === 'string' && /^\w{1,64}$/.test(code) ? code : 'unknown' }
}

/** Where nothing is to be reported. */
export const noTelemetry: Telemetry = {
  invocation: (_, work) => work(),
  own: (_, work) => work(),
  span: (_, work) => work(),
  event: () => undefined,
  fail: () => undefined,
  count: () => undefined,
  latest: () => undefined,
  flush: () => Promise.resolve(),
}
