/**
 * Sends reports to Application Insights. Everything that the package collects by itself is off: its HTTP
 * instrumentation writes codes and states into telemetry, and the rest measures a thread that only exports.
 */
import { setImmediate } from 'node:timers/promises'
import type { PipelinePolicy } from '@azure/core-rest-pipeline'
import { metrics, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api'
import type { Attributes, Context, Counter, Gauge } from '@opentelemetry/api'
import { logs } from '@opentelemetry/api-logs'
import { useAzureMonitor } from 'applicationinsights'
import type { TelemetrySettings } from '../settings/settings.ts'
import { BoundedMap } from '../async/bounded-map.ts'
import { createProxyPolicy } from '../outbound/proxy.ts'
import type { ProxyVariables } from '../outbound/proxy.ts'
import { sdkNetworkOptions } from '../outbound/sdk-network.azure-core.ts'
import { createManagedIdentity } from '../outbound/managed-identity.azure-identity.ts'
import type { EventReport, MetricReport, OperationParent, Report, SpanReport } from './report.ts'

interface Exporter {
  /** Accepts a report; the package sends it within its export delay. */
  export(report: Report): void
  flush(): Promise<void>
}

const off = { enabled: false }
const scope = 'broker'
const deadlineMilliseconds = 5_000

/**
 * @param settings checked; the connection string's endpoint is https
 * @param proxies of the process
 */
export function createExporter(settings: TelemetrySettings, proxies: ProxyVariables): Exporter {
  const { connectionString, managedIdentity } = settings
  const posts = trackPosts()
  useAzureMonitor({
    azureMonitorExporterOptions: {
      connectionString,
      ...(managedIdentity ? { credential: createManagedIdentity(managedIdentity.clientId) } : {}),
      // No report is written to a file.
      disableOfflineStorage: true,
      // The package sets no timeout, and an ingestion endpoint that never responds would collect requests.
      ...sdkNetworkOptions(createProxyPolicy(proxies), deadlineMilliseconds),
      additionalPolicies: [{ policy: posts.policy, position: 'perCall' }],
    },
    // The main thread has sampled already; the package's own limit would drop the first sign-in of an instance.
    tracesPerSecond: 0,
    samplingRatio: 1,
    enableTraceBasedSamplingForLogs: false,
    enableLiveMetrics: false,
    enablePerformanceCounters: false,
    enableStandardMetrics: false,
    enableAutoCollectExceptions: false,
    enableAutoCollectPerformance: false,
    instrumentationOptions: {
      http: off,
      azureSdk: off,
      mongoDb: off,
      mySql: off,
      postgreSql: off,
      redis: off,
      redis4: off,
      bunyan: off,
      winston: off,
      console: off,
    },
  })
  const tracer = trace.getTracer(scope)
  const logger = logs.getLogger(scope)
  const meter = metrics.getMeter(scope)
  const background = new BoundedMap<number, Context>(100)
  const counters = new Map<string, Counter>()
  const gauges = new Map<string, Gauge>()

  /** The host's request, or the span of a background operation, which is made here. */
  const contextOf = (parent: OperationParent): Context => {
    if (parent.kind === 'host') return remoteContext(parent.traceParent)
    const known = background.get(parent.id)
    if (known) return known
    const { name, startedAt, milliseconds } = parent
    const span = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime: timeOf(startedAt) }, ROOT_CONTEXT)
    span.end(timeOf(startedAt + milliseconds))
    const context = trace.setSpan(ROOT_CONTEXT, span)
    background.set(parent.id, context)
    return context
  }

  const exportSpan = (report: SpanReport, context: Context) => {
    const { name, startedAt, milliseconds, succeeded } = report
    const attributes = { ...attributesOf(report), ...report.fields }
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, startTime: timeOf(startedAt), attributes }, context)
    if (!succeeded) span.setStatus({ code: SpanStatusCode.ERROR })
    span.end(timeOf(startedAt + milliseconds))
  }

  const exportEvent = ({ name, at, fields, measurements }: EventReport, context: Context) =>
    logger.emit({
      timestamp: timeOf(at),
      context,
      attributes: {
        ...fields,
        'microsoft.custom_event.name': name,
        'microsoft.custom_measurements': JSON.stringify(measurements),
      },
    })

  const exportMetric = ({ name, kind, value, fields }: MetricReport) => {
    if (kind === 'counter') madeOnce(counters, name, () => meter.createCounter(name)).add(value, fields)
    else madeOnce(gauges, name, () => meter.createGauge(name)).record(value, fields)
  }

  return {
    export: ({ operations, metrics: reported }) => {
      for (const { parent, spans, events } of operations) {
        const context = contextOf(parent)
        for (const span of spans) exportSpan(span, context)
        for (const event of events) exportEvent(event, context)
      }
      for (const metric of reported) exportMetric(metric)
    },
    flush: async () => {
      await Promise.allSettled(providers().map((provider) => provider.forceFlush()))
      await posts.allEnded()
    },
  }
}

/**
 * Those of metrics, spans and events, which are flushed side by side: `flushAzureMonitor` flushes one after the other,
 * and ends at the first that fails. Their types in the API have no flush.
 */
function providers(): readonly { forceFlush(): Promise<void> }[] {
  const all: readonly unknown[] = [
    metrics.getMeterProvider(),
    (trace.getTracerProvider() as unknown as { getDelegate(): unknown }).getDelegate(),
    logs.getLoggerProvider(),
  ]
  return all as readonly { forceFlush(): Promise<void> }[]
}

/**
 * The posts that are under way, with the requests for their tokens and their repetitions. A flush of the package sends
 * the spans in its queue and does not wait for those that it sends already; an instance that ends then loses them.
 */
function trackPosts() {
  const underWay = new Set<Promise<unknown>>()
  const policy: PipelinePolicy = {
    name: 'trackPosts',
    sendRequest: async (request, next) => {
      const post = next(request)
      underWay.add(post)
      return post.finally(() => underWay.delete(post))
    },
  }
  const allEnded = async () => {
    while (underWay.size > 0) {
      await Promise.allSettled(underWay)
      // A redirect begins the next post.
      await setImmediate()
    }
  }
  return { policy, allEnded }
}

/** As seconds and nanoseconds: OpenTelemetry reads a small number as relative to the start of this thread. */
function timeOf(milliseconds: number): [number, number] {
  const seconds = Math.floor(milliseconds / 1000)
  return [seconds, Math.round((milliseconds - seconds * 1000) * 1e6)]
}

function remoteContext(traceParent: string): Context {
  const [, traceId = '', spanId = ''] = traceParent.split('-')
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true })
}

/** Attributes from which the package derives type, target and result of a dependency. */
function attributesOf({ name, type, target }: SpanReport): Attributes {
  if (type !== 'HTTP') return { 'db.system.name': type, 'db.operation.name': name, 'server.address': target }
  const [method = '', path = ''] = name.split(' ')
  return { 'http.request.method': method, 'url.full': `https://${target}${path}`, 'server.address': target }
}

function madeOnce<T>(made: Map<string, T>, name: string, make: () => T): T {
  const known = made.get(name)
  if (known !== undefined) return known
  const created = make()
  made.set(name, created)
  return created
}
