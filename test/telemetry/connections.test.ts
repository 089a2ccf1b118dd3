import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { readProxyVariables } from '../../shared/outbound/proxy.ts'
import { startReportWorker } from '../../shared/telemetry/report-worker.ts'

/**
 * A program for the worker's own thread, before the exporter: records every connection and every name that is resolved.
 * Timers run fifty times as fast, because some requests would come minutes later; the last record follows after two of
 * these minutes.
 */
const recorder = (file: string, worker: string) => `
import dns from 'node:dns'
import { appendFileSync } from 'node:fs'
import net from 'node:net'
const note = (...what) => appendFileSync(${JSON.stringify(file)}, JSON.stringify(what) + '\\n')
note('environment', ...Object.keys(process.env))
for (const name of ['setTimeout', 'setInterval']) {
  const original = globalThis[name]
  globalThis[name] = (work, milliseconds, ...more) => original(work, milliseconds / 50, ...more)
}
setTimeout(() => note('two minutes'), 120_000)
const { connect } = net.Socket.prototype
net.Socket.prototype.connect = function (...given) {
  const { host, port, path } = Array.isArray(given[0]) ? given[0][0] : given[0]
  note('connect', path ?? host + ':' + port)
  return connect.apply(this, given)
}
const { lookup } = dns
dns.lookup = (name, ...more) => (note('lookup', name), lookup(name, ...more))
const { fetch } = globalThis
globalThis.fetch = (what, ...more) => (note('fetch', String(what.url ?? what)), fetch(what, ...more))
await import(${JSON.stringify(worker)})
`

describe('the telemetry’s thread', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'telemetry-connections-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it('connects to the ingestion and to no other host, and sees only the environment variables that it needs', async () => {
    const [file, notes] = [path.join(folder, 'recorder.mjs'), path.join(folder, 'notes')]
    await writeFile(file, recorder(notes, pathToFileURL(`${inject('dist')}/telemetry-worker.mjs`).href))
    const gone: unknown[] = []
    const worker = startReportWorker(
      {
        settings: {
          // No server listens on that port: a report to the package's maker would be sent all the same.
          connectionString:
            'InstrumentationKey=3f1b6c2e-8a4d-4c57-9b0e-d2a7f5e81c90;IngestionEndpoint=https://127.0.0.1:9/',
          managedIdentity: undefined,
        },
        proxies: readProxyVariables({}),
        certificateAuthorities: [],
        environment: {},
        file: pathToFileURL(file),
      },
      (reason) => gone.push(reason),
    )
    const span = { name: 'GET /x', type: 'HTTP', target: 'login.example.com', succeeded: false, fields: {} } as const
    const traceParent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`
    await worker.enqueue({
      operations: [
        {
          parent: { kind: 'host', traceParent },
          spans: [{ ...span, startedAt: Date.now(), milliseconds: 1 }],
          events: [{ name: 'broker.session', at: Date.now(), fields: { step: 'session' }, measurements: {} }],
        },
      ],
      metrics: [{ name: 'broker.steps', kind: 'counter', value: 1, fields: {} }],
    })
    const noted = async () =>
      (await readFile(notes, 'utf8'))
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as [string, ...string[]])
    const connected = async () => (await noted()).filter(([what]) => what === 'connect').length
    await expect.poll(connected).toBeGreaterThan(3)
    await expect.poll(noted).toContainEqual(['two minutes'])
    worker.stop()

    const [environment, ...all] = await noted()
    const rest = all.filter(([what]) => what !== 'two minutes')
    expect(new Set(rest.map((one) => one.join(' ')))).toEqual(new Set(['connect 127.0.0.1:9']))
    expect(
      environment!.filter((name) => !/^(environment|WEBSITE_SITE_NAME|OTEL_\w+|APPLICATION_?INSIGHTS_\w+)$/.test(name)),
    ).toEqual([])
    expect(environment).not.toContain('APPLICATIONINSIGHTS_CONNECTION_STRING')
    expect(gone).toEqual([])
  })
})
