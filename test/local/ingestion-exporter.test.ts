/** The telemetry exporter of the broker against the local ingestion endpoint: its reports arrive and are parsed. */
import { ManagedIdentityCredential } from '@azure/identity'
import { context, metrics, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api'
import { logs, SeverityNumber } from '@opentelemetry/api-logs'
import { flushAzureMonitor, shutdownAzureMonitor, useAzureMonitor } from 'applicationinsights'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { startIngestion } from '../../local/ingestion/ingestion.ts'
import type { Ingestion } from '../../local/ingestion/ingestion.ts'
import { localIdentity, startManagedIdentity } from '../../local/managed-identity/managed-identity.ts'
import type { ManagedIdentity } from '../../local/managed-identity/managed-identity.ts'
import { trustedAuthority } from '../setup/secure-server.ts'
import { useIdentityEndpoint } from '../setup/identity-endpoint.ts'

let [ingestion, managedIdentity] = [] as unknown as [Ingestion, ManagedIdentity]
beforeAll(async () => {
  managedIdentity = await startManagedIdentity({ port: 0 })
  ingestion = await startIngestion({
    port: 0,
    tls: await (await trustedAuthority()).issue(['localhost']),
    verifyAccessToken: managedIdentity.issuer.verifyAccessToken,
    publishers: [localIdentity.clientId],
  })
  useIdentityEndpoint(managedIdentity)
  vi.stubEnv('WEBSITE_SITE_NAME', 'broker-site')
  // The exporter sends these to addresses of Microsoft, for any connection string.
  vi.stubEnv('APPLICATIONINSIGHTS_SDKSTATS_DISABLED', 'true')
  vi.stubEnv('APPLICATION_INSIGHTS_NO_STATSBEAT', 'true')
  vi.stubEnv('APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED', 'true')
  const off = { enabled: false }
  useAzureMonitor({
    azureMonitorExporterOptions: {
      connectionString: ingestion.connectionString,
      credential: new ManagedIdentityCredential({ clientId: localIdentity.clientId }),
      disableOfflineStorage: true,
    },
    ...{ tracesPerSecond: 0, samplingRatio: 1 },
    ...{ enableLiveMetrics: false, enableStandardMetrics: false, enablePerformanceCounters: false },
    instrumentationOptions: { http: off, azureSdk: off, mongoDb: off, mySql: off, postgreSql: off, redis: off },
  })
})
afterAll(async () => {
  await shutdownAzureMonitor()
  vi.unstubAllEnvs()
  await ingestion.close()
  await managedIdentity.close()
})

it('accepts a span, its event, a log line and a metric, with a token of the managed identity', async () => {
  const host = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
  const request = trace.setSpanContext(context.active(), { ...host, traceFlags: TraceFlags.SAMPLED, isRemote: true })
  const span = trace
    .getTracer('t')
    .startSpan('redeem code', { kind: SpanKind.CLIENT, startTime: new Date(1000) }, request)
  const within = trace.setSpan(request, span)
  const attributes = { 'microsoft.custom_event.name': 'redeemed', frontEnd: 'shop' }
  logs.getLogger('t').emit({ context: within, attributes })
  logs.getLogger('t').emit({ context: request, body: 'a line', severityNumber: SeverityNumber.WARN })
  span.setStatus({ code: SpanStatusCode.ERROR }).end(new Date(1041))
  metrics.getMeter('t').createCounter('sign_in').add(3, { frontEnd: 'shop' })

  await flushAzureMonitor()

  const { spanId } = span.spanContext()
  const received = ingestion.received().toSorted((one, other) => (one.type < other.type ? -1 : 1))
  expect(received).toMatchObject([
    { type: 'event', name: 'redeemed', operationId: host.traceId, parentId: spanId, properties: { frontEnd: 'shop' } },
    { type: 'metric', name: 'sign_in', value: 3, properties: { frontEnd: 'shop' } },
    {
      ...{ type: 'span', kind: 'dependency', name: 'redeem code', id: spanId, duration: 41, success: false },
      ...{ operationId: host.traceId, parentId: host.spanId, role: 'broker-site', time: '1970-01-01T00:00:01.000Z' },
    },
    { type: 'trace', name: 'a line', severity: 'Warning', operationId: host.traceId, parentId: host.spanId },
  ])
  expect(received).toHaveLength(4)
  expect(ingestion.requests.map(({ path, status }) => `${path} ${String(status)}`)).toEqual(
    Array(3).fill('/v2.1/track 200'),
  )
  expect(managedIdentity.requests.map(({ resource, status }) => [resource, status])).toEqual([
    ['https://monitor.azure.com', 200],
  ])
})
