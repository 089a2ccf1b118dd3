/**
 * Queue between the broker and the telemetry thread. The thread is started after the first answer: loading the exporter
 * needs a quarter of a second, during which the main thread could not answer. Until then, and while the thread is slow
 * or gone, reports wait in a bounded queue; reports beyond the bound are counted and dropped.
 */
import { withDeadline } from '../async/deadline.ts'
import type { Fields, MetricReport, OperationReport, Report } from './report.ts'

export interface ExportQueue {
  operation(report: OperationReport): void
  /** Adds to a counter. */
  counter(name: string, value: number, fields: Fields): void
  /** Sets a gauge; the newest value is sent. */
  gauge(name: string, value: number): void
  /** Schedules the next send. Called after an answer. */
  wake(): void
  /** Sends all reports, and waits a few seconds at most. Later reports are dropped. */
  flush(): Promise<void>
}

/** The telemetry thread, seen from the main thread. */
export interface ReportWorker {
  /** @returns when the thread has received the report; rejects when the thread has ended */
  enqueue(report: Report): Promise<void>
  flush(): Promise<void>
  stop(): void
}

export interface ExportQueueOptions {
  /** @param onGone called once, when the thread ends by itself */
  readonly startWorker: (onGone: (reason: unknown) => void) => Promise<ReportWorker>
  readonly onFault: (error: unknown) => void
  readonly timing?: Partial<Timing>
}

/** Milliseconds. */
interface Timing {
  /** Between the first answer and the start of the thread: the sign-in that started this instance comes first. */
  readonly startAfter: number
  readonly betweenReports: number
  /** After a thread that ended by itself. */
  readonly restartAfter: number
  readonly giveUpAfter: number
  readonly flushWithin: number
}

/**
 * An instance that is ended by SIGTERM sends no more reports, so a report waits for some seconds only. They are five,
 * OpenTelemetry's default: each send wakes the thread, with cold caches, and makes a request. At five sign-ins a
 * second, two seconds cost 0.1 of a sign-in more.
 */
const usualTiming: Timing = {
  startAfter: 2_000,
  betweenReports: 5_000,
  restartAfter: 60_000,
  giveUpAfter: 30_000,
  flushWithin: 4_000,
}
const mostOperations = 500
/** Metrics with different fields; front ends × error codes stay below it. */
const mostMetrics = 1_000

export function createExportQueue({ startWorker, onFault, timing }: ExportQueueOptions): ExportQueue {
  const { startAfter, betweenReports, restartAfter, giveUpAfter, flushWithin } = { ...usualTiming, ...timing }
  let operations: OperationReport[] = []
  let metrics = new Map<string, MetricReport>()
  let worker: ReportWorker | undefined
  let notBefore = -Infinity
  let sending: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let isEnding = false
  let hasEnded = false

  const isEmpty = () => operations.length === 0 && metrics.size === 0

  const addMetric = (report: MetricReport) => {
    const { name, kind, fields } = report
    const key = `${name} ${Object.entries(fields).join(' ')}`
    const before = metrics.get(key)
    if (!before && metrics.size >= mostMetrics) return
    metrics.set(key, before && kind === 'counter' ? { ...before, value: before.value + report.value } : report)
  }

  const drop = (count: number) =>
    addMetric({ name: 'broker.telemetry.dropped', kind: 'counter', value: count, fields: {} })

  const onGone = (reason: unknown) => {
    worker = undefined
    notBefore = performance.now() + restartAfter
    onFault(reason)
  }

  /** One report at a time: with a slow thread the queue grows to its bound and no further. */
  const send = async (): Promise<void> => {
    if (hasEnded || isEmpty() || performance.now() < notBefore) return
    try {
      worker ??= await startWorker(onGone)
    } catch (error) {
      onGone(error)
      return
    }
    if (hasEnded as boolean) {
      worker.stop()
      return
    }
    const report: Report = { operations, metrics: [...metrics.values()] }
    operations = []
    metrics = new Map()
    const receiver = worker
    await withDeadline(receiver.enqueue(report), giveUpAfter, () => new Error('The telemetry thread hangs.')).catch(
      (error: unknown) => {
        drop(report.operations.length)
        if (worker !== receiver) return
        receiver.stop()
        onGone(error)
      },
    )
  }

  const sendOnce = (): Promise<void> => {
    sending ??= send()
      .catch(onFault)
      .finally(() => {
        sending = undefined
        if (!isEmpty()) schedule(betweenReports)
      })
    return sending
  }

  const schedule = (milliseconds: number) => {
    if (timer || isEnding) return
    timer = setTimeout(() => {
      timer = undefined
      void sendOnce()
    }, milliseconds)
    // Telemetry keeps no process alive.
    timer.unref()
  }

  const sendAll = async (): Promise<void> => {
    await sending
    await sendOnce()
    await worker?.flush()
  }

  return {
    operation: (report) => {
      if (operations.length < mostOperations) operations.push(report)
      else drop(1)
    },
    counter: (name, value, fields) => addMetric({ name, kind: 'counter', value, fields }),
    gauge: (name, value) => addMetric({ name, kind: 'gauge', value, fields: {} }),
    wake: () => {
      if (!isEmpty()) schedule(worker ? betweenReports : startAfter)
    },
    flush: async () => {
      isEnding = true
      clearTimeout(timer)
      // Bounded: telemetry must not delay the end of an instance.
      await withDeadline(
        sendAll(),
        flushWithin,
        () => new Error('The last telemetry could not be sent in time.'),
      ).catch(onFault)
      hasEnded = true
      worker?.stop()
      worker = undefined
    },
  }
}
