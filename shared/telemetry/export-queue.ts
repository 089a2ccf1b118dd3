/**
 * Brings reports to Application Insights through a worker thread, which is started after the first answer: loading the
 * exporter takes a quarter of a second, in which the main thread would answer nobody. Until then, and whenever the
 * worker is slow or gone, reports wait in a bounded queue; what doesn't fit is counted and dropped.
 */
import { withDeadline } from '../async/deadline.ts'
import type { Fields, MetricReport, OperationReport, Report } from './report.ts'

export interface Courier {
  operation(report: OperationReport): void
  sum(name: string, value: number, fields: Fields): void
  latest(name: string, value: number): void
  /** There is, or will be, something to send, and somebody has had an answer. */
  wake(): void
  /** Waits until all is sent, a few seconds at most; nothing is started again afterwards. */
  flush(): Promise<void>
}

/** The other end, in its own thread. */
export interface ReportWorker {
  /** @returns when the worker took it over; rejects when the worker is gone */
  take(report: Report): Promise<void>
  flush(): Promise<void>
  stop(): void
}

export interface CourierOptions {
  /** @param onGone called once, when the worker ended by itself */
  readonly start: (onGone: (reason: unknown) => void) => Promise<ReportWorker>
  readonly onFault: (error: unknown) => void
  readonly pace?: Partial<Pace>
}

/** Milliseconds. */
interface Pace {
  /** After the first answer: the sign-in that woke this instance goes first. */
  readonly startAfter: number
  readonly betweenReports: number
  /** After a worker that ended by itself. */
  readonly restartAfter: number
  readonly giveUpAfter: number
  readonly flushWithin: number
}

const usualPace: Pace = {
  startAfter: 2_000,
  betweenReports: 1_000,
  restartAfter: 60_000,
  giveUpAfter: 30_000,
  flushWithin: 4_000,
}
const mostOperations = 500
/** Of different fields; more than front ends × codes ever gives. */
const mostMetrics = 1_000

export function createCourier({ start, onFault, pace }: CourierOptions): Courier {
  const { startAfter, betweenReports, restartAfter, giveUpAfter, flushWithin } = { ...usualPace, ...pace }
  let operations: OperationReport[] = []
  let metrics = new Map<string, MetricReport>()
  let worker: ReportWorker | undefined
  let notBefore = -Infinity
  let underWay: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let isEnding = false
  let hasEnded = false

  const hasSome = () => operations.length > 0 || metrics.size > 0

  const keep = (report: MetricReport) => {
    const { name, kind, fields } = report
    const key = `${name} ${Object.values(fields).join(' ')}`
    const before = metrics.get(key)
    if (!before && metrics.size >= mostMetrics) return
    metrics.set(key, before && kind === 'sum' ? { ...before, value: before.value + report.value } : report)
  }

  const drop = (count: number) => keep({ name: 'broker.telemetry.dropped', kind: 'sum', value: count, fields: {} })

  const onGone = (reason: unknown) => {
    worker = undefined
    notBefore = performance.now() + restartAfter
    onFault(reason)
  }

  /** One report at a time: a worker that is slow makes the queue grow to its bound, and no further. */
  const send = async (): Promise<void> => {
    if (hasEnded || !hasSome() || performance.now() < notBefore) return
    try {
      worker ??= await start(onGone)
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
    const taking = worker
    await withDeadline(taking.take(report), giveUpAfter, () => new Error('The telemetry worker hangs.')).catch(
      (error: unknown) => {
        drop(report.operations.length)
        if (worker !== taking) return
        taking.stop()
        onGone(error)
      },
    )
  }

  const sendOnce = (): Promise<void> => {
    underWay ??= send()
      .catch(onFault)
      .finally(() => {
        underWay = undefined
        if (hasSome()) schedule(betweenReports)
      })
    return underWay
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
    await underWay
    await sendOnce()
    await worker?.flush()
  }

  return {
    operation: (report) => {
      if (operations.length < mostOperations) operations.push(report)
      else drop(1)
    },
    sum: (name, value, fields) => keep({ name, kind: 'sum', value, fields }),
    latest: (name, value) => keep({ name, kind: 'latest', value, fields: {} }),
    wake: () => {
      if (hasSome()) schedule(worker ? betweenReports : startAfter)
    },
    flush: async () => {
      isEnding = true
      clearTimeout(timer)
      // Whatever it waits for: an instance that ends is not held up by what watches it.
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
