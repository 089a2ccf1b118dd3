/** Composes telemetry: settings `telemetry` and the environment names that the telemetry thread may read. */
import { asBrokerError } from '../../shared/errors/errors.ts'
import type { Clock } from '../../shared/async/deadline.ts'
import type { FrontEnds } from '../../shared/front-ends/front-ends.ts'
import { defined } from '../../shared/json/json.ts'
import { readProxyVariables } from '../../shared/outbound/proxy.ts'
import type { Settings } from '../../shared/settings/settings.ts'
import { createExportQueue } from '../../shared/telemetry/export-queue.ts'
import { createFlowEvents, noFlowEvents } from '../../shared/telemetry/flow-events.ts'
import type { FlowEvents } from '../../shared/telemetry/flow-events.ts'
import { describeError } from '../../shared/telemetry/log.ts'
import type { Log } from '../../shared/telemetry/log.ts'
import { createTelemetry, noTelemetry } from '../../shared/telemetry/telemetry.ts'
import type { Telemetry } from '../../shared/telemetry/telemetry.ts'

/** Everything that each part of the composition root receives. */
export interface Base {
  readonly settings: Settings
  readonly log: Log
  readonly clock: Clock
  /** Logs a fault that no request has to report. */
  readonly onFault: (error: unknown) => void
}

export type Environment = Readonly<Record<string, string | undefined>>

/** The identity endpoint, the instance's name in telemetry, and the interval of the metrics. */
const telemetryNames = [
  'IDENTITY_ENDPOINT',
  'IDENTITY_HEADER',
  'WEBSITE_SITE_NAME',
  'WEBSITE_INSTANCE_ID',
  'OTEL_METRIC_EXPORT_INTERVAL',
]

/** @returns `noTelemetry` where no Application Insights resource is set */
export function composeTelemetry({ settings, clock, log }: Base, environment: Environment): Telemetry {
  const { telemetry } = settings
  if (!telemetry) return noTelemetry
  const threadEnvironment = Object.fromEntries(
    telemetryNames.flatMap((name) => {
      const value = environment[name]
      return value === undefined ? [] : [[name, value] as const]
    }),
  )
  // The build writes the worker's file beside the bundle that contains this module.
  const file = new URL('./telemetry-worker.mjs', import.meta.url)
  const exportQueue = createExportQueue({
    startWorker: async (onGone) => {
      const { startReportWorker } = await import('../../shared/telemetry/report-worker.ts')
      const proxies = readProxyVariables(environment)
      const { certificateAuthorities } = settings
      const thread = { settings: telemetry, proxies, certificateAuthorities }
      return startReportWorker({ ...thread, environment: threadEnvironment, file }, onGone)
    },
    onFault: (error) => log('warn', 'telemetry fault', describeError(asBrokerError(error))),
    timing: defined({ betweenReports: scheduleDelayOf(environment) }),
  })
  return createTelemetry({ exportQueue, clock })
}

/**
 * The milliseconds during which spans and events are collected before they are sent, by OpenTelemetry's variable. As
 * its specification requires, an invalid value counts as not set.
 */
export function scheduleDelayOf({ OTEL_BSP_SCHEDULE_DELAY: written = '' }: Environment): number | undefined {
  return /^\d{1,5}$/.test(written) ? Number(written) : undefined
}

export function composeFlowEvents({ clock }: Base, telemetry: Telemetry, frontEnds: FrontEnds): FlowEvents {
  if (telemetry === noTelemetry) return noFlowEvents
  return createFlowEvents({ telemetry, clock, isFrontEnd: (id) => frontEnds.find(id) !== undefined })
}
