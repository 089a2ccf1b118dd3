/**
 * Loads the built bundle bare, as the Functions worker does: `@azure/functions-core` is supplied, the entry file is
 * imported, and invocations are handed over without a socket. Counts the files read, the code
 * compiled and the requests sent. The parent's channel sends the next command; each answer has the counts up to then.
 */
import diagnostics from 'node:diagnostics_channel'
import fs from 'node:fs'
import type http from 'node:http'
import inspector from 'node:inspector'
import { registerHooks, syncBuiltinESMExports } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ColdAnswer, ColdStep, Counts } from './cold-counts.ts'
import { App, supplyCoreModule } from '../../local/functions-host/core-module.ts'
import { invoke } from '../../local/functions-host/invoke.ts'

const dist = fs.realpathSync(process.argv[2] ?? '')
const distUrl = pathToFileURL(dist + path.sep).href

// Modules of the bundle: read and compiled whole, functions within on their first call.
const modules: { readonly name: string; readonly bytes: number }[] = []
registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context)
    if (url.startsWith(distUrl)) {
      modules.push({ name: url.slice(distUrl.length), bytes: Buffer.byteLength(loaded.source as string | Buffer) })
    }
    return loaded
  },
})

// Other files that are read while it runs.
const otherFiles: string[] = []
for (const name of ['readFileSync', 'readFile', 'openSync', 'open'] as const) {
  const read = fs[name] as (...given: unknown[]) => unknown
  Object.assign(fs, {
    [name]: (...given: unknown[]) => {
      const file = String(given[0])
      if (!file.startsWith(distUrl) && !otherFiles.includes(file)) otherFiles.push(file)
      return read.apply(fs, given)
    },
  })
}
syncBuiltinESMExports()

const requests: string[] = []
diagnostics.subscribe('http.client.request.start', (message) => {
  const { request } = message as { readonly request: http.ClientRequest }
  requests.push(`${request.method} ${request.protocol}//${String(request.getHeader('host'))}${request.path}`)
})
diagnostics.subscribe('undici:request:create', (message) => {
  const { request } = message as { readonly request: { method: string; origin: string; path: string } }
  requests.push(`${request.method} ${request.origin}${request.path}`)
})

const session = new inspector.Session()
session.connect()
session.post('Profiler.enable')
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
const builtinsBefore = new Set(builtins())

/** Bytes of functions that were called, by script and place: a function is compiled at its first call. */
const called = new Set<string>()
let calledBytes = 0
function countCalled(): void {
  session.post('Profiler.takePreciseCoverage', (error, taken) => {
    if (error) throw error
    for (const { url, functions } of taken.result) {
      if (!url.startsWith(distUrl)) continue
      for (const { ranges } of functions) {
        const [range] = ranges
        const place = `${url} ${range?.startOffset ?? 0} ${range?.endOffset ?? 0}`
        if (!range || range.count === 0 || called.has(place)) continue
        called.add(place)
        calledBytes += ownBytes(
          range,
          functions.map((one) => one.ranges[0]).filter((one) => one !== undefined),
        )
      }
    }
  })
}

type Range = inspector.Profiler.CoverageRange

/** Without the functions that are written inside of it: these are compiled when they themselves are called. */
function ownBytes(range: Range, all: readonly Range[]): number {
  let bytes = range.endOffset - range.startOffset
  let reached = range.startOffset
  for (const inner of all) {
    const isInside = inner !== range && inner.startOffset >= reached && inner.endOffset <= range.endOffset
    if (!isInside || (inner.startOffset === range.startOffset && inner.endOffset === range.endOffset)) continue
    bytes -= inner.endOffset - inner.startOffset
    reached = inner.endOffset
  }
  return bytes
}

function builtins(): readonly string[] {
  const { moduleLoadList } = process as unknown as { readonly moduleLoadList: readonly string[] }
  return moduleLoadList.filter((name) => name.startsWith('NativeModule '))
}

function counts(): Counts {
  countCalled()
  return {
    modules: [...modules],
    calledBytes,
    builtins: builtins().filter((name) => !builtinsBefore.has(name)),
    otherFiles: [...otherFiles],
    requests: [...requests],
  }
}

const app = new App(({ message }) => void process.stderr.write(`${message}\n`))
supplyCoreModule(dist, app)

async function load(): Promise<void> {
  await import(pathToFileURL(path.join(dist, 'index.mjs')).href)
  app.locked = true
}

async function answer({ name, http: request }: NonNullable<ColdStep['invoke']>): Promise<ColdAnswer['answer']> {
  const found = app.functions.get(name)
  if (!found) throw new Error(`No function is called ${name}.`)
  const [triggerName = ''] = Object.keys(found.metadata.bindings)
  const fn = { ...found, name, triggerName, trigger: { type: 'httpTrigger' }, http: undefined, disabled: false }
  const bundle = { app, functions: [fn], unload: () => undefined }
  const { returnValue } = await invoke(bundle, fn, { input: { http: request } })
  const { statusCode, headers = {}, cookies = [], body } = returnValue?.http ?? {}
  return {
    status: Number(statusCode),
    location: headers['location'],
    cookie: cookies
      .filter(({ maxAge }) => maxAge?.value !== 0)
      .map(({ name: cookie, value }) => `${cookie ?? ''}=${encodeURIComponent(value ?? '')}`)
      .join('; '),
    body: Buffer.from(body?.bytes ?? body?.string ?? '').toString(),
  }
}

process.on('message', (step: ColdStep) => {
  const work = step.invoke ? answer(step.invoke) : step.load ? load().then(() => undefined) : Promise.resolve(undefined)
  void work.then(
    (answered) => process.send?.({ answer: answered, counts: counts() } satisfies ColdAnswer),
    (error: unknown) =>
      process.send?.({ failure: (error as Error).stack ?? '', counts: counts() } satisfies ColdAnswer),
  )
})
process.on('disconnect', () => process.exit())
process.stdout.write('{}\n')
