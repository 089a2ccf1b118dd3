/** The main thread's side of the telemetry thread: sends reports to it, and waits for an acknowledgement of each. */
import { Worker } from 'node:worker_threads'
import type { ProxyVariables } from '../outbound/proxy.ts'
import type { TelemetrySettings } from '../settings/settings.ts'
import type { ReportWorker } from './export-queue.ts'
import type { Report } from './report.ts'

export type Message = { readonly id: number } & ({ readonly report: Report } | { readonly flush: true })

/** The thread's `workerData`. */
export interface ReportThreadData {
  readonly settings: TelemetrySettings
  readonly proxies: ProxyVariables
  /** PEM, as `trustAuthorities` takes them. */
  readonly certificateAuthorities: readonly string[]
}

interface ReportWorkerOptions extends ReportThreadData {
  /** The whole environment of the thread. */
  readonly environment: Readonly<Record<string, string>>
  /** The built entry point, `report-thread.ts`. */
  readonly file: URL
  /** Heap of the thread; 192 where left out. */
  readonly mostMegabytes?: number
}

/**
 * Switches off what the exporter does by itself: reports about itself to its vendor, requests to the metadata service
 * of the machine, and settings from other places.
 */
const fixed = {
  APPLICATION_INSIGHTS_NO_STATSBEAT: 'true',
  APPLICATIONINSIGHTS_STATSBEAT_DISABLED: 'true',
  APPLICATIONINSIGHTS_SDKSTATS_DISABLED: 'true',
  APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED: 'true',
  APPLICATIONINSIGHTS_CONFIGURATION_CONTENT: '{}',
  OTEL_NODE_RESOURCE_DETECTORS: 'none',
  // A report has waited in the queue already. A second wait would wake the thread, and send, twice as often.
  OTEL_BSP_SCHEDULE_DELAY: '0',
  OTEL_BLRP_SCHEDULE_DELAY: '0',
  // The first report contains everything that waited for the thread.
  OTEL_BSP_MAX_QUEUE_SIZE: '8192',
  OTEL_BLRP_MAX_QUEUE_SIZE: '8192',
}

/** Far above the exporter's need; a leak ends the thread and not the broker. */
const mostMegabytes = 192

/**
 * The name on the application map, which is the host's too. Needed outside Azure as well: without a site name the
 * exporter requests the metadata service of the machine.
 */
function roleOf({ environment }: ReportWorkerOptions): string {
  return environment.WEBSITE_SITE_NAME ?? 'certificate-token-broker'
}

export function startReportWorker(options: ReportWorkerOptions, onGone: (reason: unknown) => void): ReportWorker {
  const { settings, proxies, certificateAuthorities } = options
  const worker = new Worker(options.file, {
    workerData: { settings, proxies, certificateAuthorities } satisfies ReportThreadData,
    env: {
      ...options.environment,
      ...fixed,
      OTEL_SERVICE_NAME: roleOf(options),
      WEBSITE_SITE_NAME: roleOf(options),
    },
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: options.mostMegabytes ?? mostMegabytes },
    // The exporter's own messages are not the broker's log; the host would record them as errors of the app.
    stdout: true,
    stderr: true,
  })
  worker.unref()
  worker.stdout.resume()
  worker.stderr.resume()

  const waiting = new Map<number, { resolve: () => void; reject: (reason: unknown) => void }>()
  let lastId = 0
  let isStopped = false

  const rejectAll = (reason: unknown) => {
    isStopped = true
    for (const { reject } of waiting.values()) reject(reason)
    waiting.clear()
  }
  const end = (reason: unknown) => {
    if (isStopped) return
    rejectAll(reason)
    onGone(reason)
  }
  worker.on('message', (id: number) => {
    waiting.get(id)?.resolve()
    waiting.delete(id)
  })
  worker.on('error', end)
  worker.on('exit', () => end(new Error('The telemetry worker ended.')))

  const post = (content: { readonly report: Report } | { readonly flush: true }): Promise<void> =>
    new Promise((resolve, reject) => {
      const message: Message = { ...content, id: ++lastId }
      waiting.set(message.id, { resolve, reject })
      worker.postMessage(message)
    })

  return {
    enqueue: (report) => post({ report }),
    flush: () => post({ flush: true }),
    stop: () => {
      rejectAll(new Error('The telemetry worker was stopped.'))
      void worker.terminate()
    },
  }
}
