/** The worker thread, as the main thread sees it: batches go there, and each is acknowledged. */
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
}

export interface ReportWorkerOptions extends ReportThreadData {
  /** What the worker may see of the environment. */
  readonly environment: Readonly<Record<string, string>>
  /** The built file; beside the one that runs. */
  readonly file: URL
}

/**
 * What the exporter would do by itself and must not: report about itself to somebody else, name the host it runs on,
 * take settings from places that nobody of ours looks at.
 */
const fixedByUs = {
  APPLICATION_INSIGHTS_NO_STATSBEAT: 'true',
  APPLICATIONINSIGHTS_STATSBEAT_DISABLED: 'true',
  APPLICATIONINSIGHTS_SDKSTATS_DISABLED: 'true',
  APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED: 'true',
  APPLICATIONINSIGHTS_CONFIGURATION_CONTENT: '{}',
  OTEL_NODE_RESOURCE_DETECTORS: 'none',
  // What waited for the thread comes all at once.
  OTEL_BSP_MAX_QUEUE_SIZE: '8192',
  OTEL_BLRP_MAX_QUEUE_SIZE: '8192',
}

/** Far above what the exporter needs; a leak in it ends its thread, and not the broker. */
const mostMegabytes = 192

/**
 * The name on the application map: the same as the host's own, so that both are one. Also where there is no such site:
 * without the name of one the exporter asks the machine's metadata service what it runs on.
 */
function roleOf({ environment }: ReportWorkerOptions): string {
  return environment.WEBSITE_SITE_NAME ?? 'certificate-token-broker'
}

export function startReportWorker(options: ReportWorkerOptions, onGone: (reason: unknown) => void): ReportWorker {
  const { settings, proxies } = options
  const worker = new Worker(options.file, {
    workerData: { settings, proxies } satisfies ReportThreadData,
    env: {
      ...options.environment,
      ...fixedByUs,
      OTEL_SERVICE_NAME: roleOf(options),
      WEBSITE_SITE_NAME: roleOf(options),
    },
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: mostMegabytes },
    // What the exporter says about itself is no line of ours; the host would take it for an error of the app.
    stdout: true,
    stderr: true,
  })
  worker.unref()
  worker.stdout.resume()
  worker.stderr.resume()

  const waiting = new Map<number, { resolve: () => void; reject: (reason: unknown) => void }>()
  let lastId = 0
  let isStopped = false

  const end = (reason: unknown) => {
    if (isStopped) return
    isStopped = true
    for (const { reject } of waiting.values()) reject(reason)
    waiting.clear()
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
    take: (report) => post({ report }),
    flush: () => post({ flush: true }),
    stop: () => {
      isStopped = true
      void worker.terminate()
    },
  }
}
