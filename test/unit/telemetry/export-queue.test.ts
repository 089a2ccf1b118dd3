import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createExportQueue } from '../../../shared/telemetry/export-queue.ts'
import type { ExportQueueOptions } from '../../../shared/telemetry/export-queue.ts'
import type { OperationReport, Report } from '../../../shared/telemetry/report.ts'

const operation: OperationReport = { parent: { kind: 'host', traceParent: 'x' }, spans: [], events: [] }

function parts(
  enqueue: (report: Report) => Promise<void> = () => Promise.resolve(),
  timing?: ExportQueueOptions['timing'],
) {
  const reports: Report[] = []
  const faults: unknown[] = []
  const workers: { stopped: boolean; flushed: number; gone: (reason: unknown) => void }[] = []
  const startWorker: ExportQueueOptions['startWorker'] = (gone) => {
    const worker = { stopped: false, flushed: 0, gone }
    workers.push(worker)
    return Promise.resolve({
      enqueue: (report) => {
        reports.push(report)
        return enqueue(report)
      },
      flush: () => {
        worker.flushed += 1
        return Promise.resolve()
      },
      stop: () => {
        worker.stopped = true
      },
    })
  }
  return {
    reports,
    faults,
    workers,
    exportQueue: createExportQueue({
      startWorker,
      onFault: (error) => faults.push(error),
      ...(timing ? { timing } : {}),
    }),
  }
}

describe('the export queue', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('starts its worker some time after the first answer, and sends the earlier items too', async () => {
    const { exportQueue, reports, workers } = parts()
    exportQueue.operation(operation)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(workers).toHaveLength(0)

    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(1_000)
    expect(workers).toHaveLength(0)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(reports).toEqual([{ operations: [operation], metrics: [] }])
  })

  it('collects reports for five seconds, or for the time that is set', async () => {
    for (const [timing, milliseconds] of [
      [undefined, 5_000],
      [{ betweenReports: 300 }, 300],
    ] as const) {
      const { exportQueue, reports } = parts(undefined, timing)
      exportQueue.operation(operation)
      exportQueue.wake()
      await vi.advanceTimersByTimeAsync(2_000)
      exportQueue.operation(operation)
      exportQueue.wake()
      await vi.advanceTimersByTimeAsync(milliseconds - 1)
      expect(reports).toHaveLength(1)
      await vi.advanceTimersByTimeAsync(1)
      expect(reports).toHaveLength(2)
    }
  })

  it('starts no worker where there is nothing to report', async () => {
    const { exportQueue, workers } = parts()
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(60_000)
    await exportQueue.flush()
    expect(workers).toHaveLength(0)
  })

  it('adds up counters, and keeps the newest value of a gauge', async () => {
    const { exportQueue, reports } = parts()
    for (let i = 0; i < 1000; i++) exportQueue.counter('reads', 1, { front_end: i % 2 === 0 ? 'shop' : 'desk' })
    exportQueue.gauge('age', 1)
    exportQueue.gauge('age', 2)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(reports[0]!.metrics).toEqual([
      { name: 'reads', kind: 'counter', value: 500, fields: { front_end: 'shop' } },
      { name: 'reads', kind: 'counter', value: 500, fields: { front_end: 'desk' } },
      { name: 'age', kind: 'gauge', value: 2, fields: {} },
    ])
  })

  it('adds no counter to another one whose fields have the same values under other names', async () => {
    const { exportQueue, reports } = parts()
    const both = [
      { front_end: 'partner', outcome: 'failed' },
      { provider: 'partner', outcome: 'failed' },
    ]
    for (const fields of both) exportQueue.counter('broker.steps', 1, fields)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(reports[0]!.metrics).toEqual(
      both.map((fields) => ({ name: 'broker.steps', kind: 'counter', value: 1, fields })),
    )
  })

  it('sends one report at a time; later items wait up to a limit, and the rest is counted', async () => {
    const taken = Promise.withResolvers<undefined>()
    const { exportQueue, reports } = parts(() => taken.promise)
    exportQueue.operation(operation)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(2_000)
    for (let i = 0; i < 10_000; i++) exportQueue.operation(operation)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(reports).toHaveLength(1)

    taken.resolve(undefined)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(reports[1]!.operations).toHaveLength(500)
    expect(reports[1]!.metrics).toEqual([
      { name: 'broker.telemetry.dropped', kind: 'counter', value: 9_500, fields: {} },
    ])
  })

  it('keeps a limited number of sums', async () => {
    const { exportQueue, reports } = parts()
    for (let i = 0; i < 10_000; i++) exportQueue.counter('reads', 1, { front_end: String(i) })
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(2_000)
    expect(reports[0]!.metrics).toHaveLength(1_000)
  })

  it('restarts a worker that ended, a minute later', async () => {
    const { exportQueue, workers, faults } = parts()
    exportQueue.operation(operation)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(2_000)
    workers[0]!.gone(new Error('out of memory'))
    exportQueue.operation(operation)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(50_000)
    expect(workers).toHaveLength(1)
    expect(faults).toHaveLength(1)

    await vi.advanceTimersByTimeAsync(20_000)
    expect(workers).toHaveLength(2)
  })

  it('stops a worker that hangs, and counts the items that it had', async () => {
    let hangs = true
    const { exportQueue, workers, reports } = parts(() => (hangs ? new Promise(() => undefined) : Promise.resolve()))
    exportQueue.operation(operation)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(40_000)
    expect(workers).toMatchObject([{ stopped: true }])

    hangs = false
    await vi.advanceTimersByTimeAsync(70_000)
    expect(workers).toHaveLength(2)
    expect(reports[1]!.metrics).toMatchObject([{ name: 'broker.telemetry.dropped', value: 1 }])
  })

  it('sends the remaining items at the end, and stops the worker', async () => {
    const { exportQueue, reports, workers } = parts()
    exportQueue.operation(operation)
    await exportQueue.flush()
    expect(reports).toHaveLength(1)
    expect(workers).toMatchObject([{ flushed: 1, stopped: true }])

    exportQueue.operation(operation)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(workers).toHaveLength(1)
  })

  it('waits a few seconds at the end, and no longer', async () => {
    const { exportQueue, workers, faults } = parts(() => new Promise(() => undefined))
    exportQueue.operation(operation)
    const flushed = exportQueue.flush()
    await vi.advanceTimersByTimeAsync(4_000)
    await flushed
    expect(workers).toMatchObject([{ stopped: true }])
    expect(faults).toHaveLength(1)
  })

  it('starts no worker after the end, at any time after the last one received its items', async () => {
    let taken: () => void = () => undefined
    const { exportQueue, workers } = parts(() => new Promise<void>((resolve) => (taken = resolve)))
    exportQueue.operation(operation)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(2_000)
    exportQueue.operation(operation)
    const flushed = exportQueue.flush()
    await vi.advanceTimersByTimeAsync(4_000)
    await flushed

    taken()
    await vi.advanceTimersByTimeAsync(60_000)
    expect(workers).toMatchObject([{ stopped: true }])
  })

  it('throws no error at a caller where no worker can be started', async () => {
    const faults: unknown[] = []
    const startWorker = () => {
      throw new Error('no threads')
    }
    const exportQueue = createExportQueue({ startWorker, onFault: (error) => faults.push(error) })
    exportQueue.operation(operation)
    exportQueue.wake()
    await vi.advanceTimersByTimeAsync(50_000)
    expect(faults).toHaveLength(1)
    await exportQueue.flush()
  })
})
