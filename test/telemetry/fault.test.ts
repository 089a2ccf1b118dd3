import { readdir, readFile } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest'
import type { IngestionFault } from '../../local/ingestion/ingestion.ts'
import type { OperationReport, Report } from '../../shared/telemetry/report.ts'
import { readProxyVariables } from '../../shared/outbound/proxy.ts'
import { startReportWorker } from '../../shared/telemetry/report-worker.ts'
import { shopPage } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'

const query = { frontend: 'shop', return_url: 'http://localhost:3000/a' }
/** The exporter's own timing, so that no test waits for its seconds. */
const quick = { OTEL_METRIC_EXPORT_INTERVAL: '1000' }

/**
 * Folders in which the exporter would store reports: one for each key, in the temporary folder of a thread whose
 * environment has no TMPDIR.
 */
async function foldersOfExporter(connectionString: string): Promise<readonly string[]> {
  const [, key] = /InstrumentationKey=([^;]+)/.exec(connectionString)!
  const parents = (await readdir('/tmp')).filter((name) => name.startsWith('Microsoft-AzureMonitor-'))
  const folders = await Promise.all(parents.map((name) => readdir(`/tmp/${name}`)))
  return folders.flat().filter((name) => name.endsWith(key!))
}

describe('telemetry that cannot be delivered', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ telemetry: true, settings: quick })
    // The exporter is loaded, and has a token.
    await expectSignIn()
    await vi.waitUntil(() => stack.ingestion.received().length > 0, { timeout: 60_000 })
  })
  afterEach(async () => {
    stack.ingestion.faults.clear()
    await stack.ingestion.startListening()
  })
  afterAll(() => stack.close())

  /** A sign-in and the requests after it, which must all succeed. @returns the reference of its callback */
  const expectSignIn = async (): Promise<string> => {
    const person = stack.person()
    const done = await person.signIn(query)
    expect({ status: done.status, location: done.location }).toEqual({ status: 303, location: query.return_url })
    expect((await person.script(shopPage, '/session')).status).toBe(200)
    expect((await person.sessionToken(shopPage, { api: 'orders' })).status).toBe(200)
    expect((await person.script(shopPage, '/logout', { method: 'POST', body: '{}' })).status).toBe(200)
    return done.headers.get('broker-reference')!
  }

  const expectReported = async () => {
    const reference = await expectSignIn()
    const reported = () => stack.ingestion.received().filter(({ operationId }) => operationId === reference).length
    await expect.poll(reported, { timeout: 60_000, interval: 100 }).toBe(6)
  }

  const faults: readonly (readonly [string, IngestionFault])[] = [
    ['answers 429', { status: 429, retryAfterSeconds: 1 }],
    ['answers 503', { status: 503 }],
    ['answers 401', { status: 401 }],
    ['answers with a page of HTML', { garbage: true }],
    ['accepts one item of many', { refuseItems: 429 }],
    ['breaks the connection', { dropConnection: true }],
    ['never answers', { hang: true }],
  ]
  it.each(faults)('disturbs no caller where the ingestion %s, and continues afterwards', async (_, fault) => {
    const logBefore = stack.log().length
    const before = stack.ingestion.requests.length
    const undo = stack.ingestion.faults.add(fault)

    await expectSignIn()
    await expect.poll(() => stack.ingestion.requests.length, { timeout: 60_000 }).toBeGreaterThan(before)
    await expectSignIn()

    undo()
    await expectReported()
    expect(stack.log().slice(logBefore)).not.toMatch(/^(warn|error)/m)
  })

  it('disturbs no caller where no server listens, and continues afterwards', async () => {
    await stack.ingestion.stopListening()
    await expectSignIn()
    await expectSignIn()

    await stack.ingestion.startListening()
    await expectReported()
  })

  it('does not delay the end of an instance', async () => {
    stack.ingestion.faults.add({ hang: true })
    const other = await stack.startInstance()
    const done = await stack.person().signIn(query, undefined, { at: other.url })
    expect(done.status).toBe(303)

    await other.close()

    expect(() => process.kill(other.pid!, 0)).toThrow()
  })

  it('writes no file to the disk', async () => {
    expect(await foldersOfExporter(stack.ingestion.connectionString)).toEqual([])
  })
})

describe('a worker', () => {
  let stack: Stack
  beforeEach(async () => {
    stack = await startStack({ telemetry: true, instances: 0 })
  })
  afterEach(() => stack.close())

  const startWorker = async (mostMegabytes?: number) => {
    const { settings } = stack.cloud
    const gone: unknown[] = []
    const worker = startReportWorker(
      {
        settings: {
          connectionString: stack.ingestion.connectionString,
          managedIdentity: { clientId: settings.AZURE_CLIENT_ID! },
        },
        proxies: readProxyVariables({}),
        certificateAuthorities: [await readFile(settings.NODE_EXTRA_CA_CERTS!, 'utf8')],
        environment: { IDENTITY_ENDPOINT: settings.IDENTITY_ENDPOINT!, IDENTITY_HEADER: settings.IDENTITY_HEADER! },
        file: pathToFileURL(`${inject('dist')}/telemetry-worker.mjs`),
        ...(mostMegabytes === undefined ? {} : { mostMegabytes }),
      },
      (reason) => gone.push(reason),
    )
    return { worker, gone }
  }
  const span = { name: 'find sessions', type: 'Azure table', target: 't', succeeded: true, fields: {} } as const
  const event = { name: 'broker.session', fields: { step: 'session' }, measurements: {} } as const
  const operation = (i: number): OperationReport => ({
    parent: { kind: 'host', traceParent: `00-${String(i).padStart(32, '1')}-${'2'.repeat(16)}-01` },
    spans: Array.from({ length: 4 }, () => ({ ...span, startedAt: Date.now(), milliseconds: 1 })),
    events: [{ ...event, at: Date.now() }],
  })
  const report = (size: number): Report => ({
    operations: Array.from({ length: size }, (_, i) => operation(i)),
    metrics: [],
  })

  it('accepts every report and drops what it cannot keep, where the ingestion never answers', async () => {
    stack.ingestion.faults.add({ hang: true })
    const { worker, gone } = await startWorker(56)

    // 60,000 spans and events, more than this smaller heap would hold without the bound of the queues.
    for (let i = 0; i < 24; i++) await worker.enqueue(report(500))

    // A report that the thread has not taken is rejected when the thread is stopped, and no caller waits for it.
    const last = worker.enqueue(report(500))
    worker.stop()
    await expect(last).rejects.toThrow('The telemetry worker was stopped.')
    expect(gone).toEqual([])
  })

  it('waits at its end for the calls that are on their way, also those of a large report', async () => {
    const { worker, gone } = await startWorker()
    const calls = ({ operations }: Report): Report => ({
      operations: operations.map((one) => ({ ...one, events: [] })),
      metrics: [],
    })
    // The first post is the slowest, so that waiting for a later one does not cover it.
    stack.ingestion.faults.add({ delayMs: 1_000, times: 1 })
    await worker.enqueue(calls(report(1)))
    await vi.waitUntil(() => stack.ingestion.requests.length > 0, { timeout: 60_000 })
    // The package sends 512 at once.
    await worker.enqueue(calls(report(200)))

    await worker.flush()

    expect(stack.ingestion.received()).toHaveLength(804)
    worker.stop()
    expect(gone).toEqual([])
  })

  it('sends all events at its end although the calls are refused', async () => {
    const { worker, gone } = await startWorker()
    // The package sends 512 at once: the others of both kinds wait until these posts have ended.
    stack.ingestion.faults.add({ type: 'span', delayMs: 500, status: 400 })
    stack.ingestion.faults.add({ type: 'event', delayMs: 500, times: 1 })
    await worker.enqueue(report(600))

    await worker.flush()

    expect(stack.ingestion.received().filter(({ type }) => type === 'event')).toHaveLength(600)
    worker.stop()
    expect(gone).toEqual([])
  })
})
