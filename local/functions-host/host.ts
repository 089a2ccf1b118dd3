/**
 * A functions host for the laptop: serves a built bundle as the Functions host and its Node worker do. docs/build.md
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type http from 'node:http'
import { inspect } from 'node:util'

import { listen } from '../http-server.ts'
import { deliverEvents, fireByAdmin, invocationOf, readJson } from './admin-routes.ts'
import { readHostJson } from './host-json.ts'
import type { HostJson } from './host-json.ts'
import { receiveRequest, RefusedRequest, toRpcHttp } from './http-request.ts'
import type { ReceivedRequest } from './http-request.ts'
import { bare, toAnswer, writeAnswer } from './http-response.ts'
import type { Answer } from './http-response.ts'
import { invoke, newTraceContext } from './invoke.ts'
import type { Invocation } from './invoke.ts'
import { hookContext } from './hook-context.ts'
import { loadBundle } from './load-bundle.ts'
import type { LoadedBundle, LoadedFunction } from './load-bundle.ts'
import { createLog } from './log.ts'
import type { WriteLog } from './log.ts'
import { splitPath } from './route-template.ts'
import { createSampler } from './sampler.ts'
import type { IsSampled } from './sampler.ts'
import type { RpcInvocationResponse } from './rpc.ts'

interface FunctionsHostOptions {
  /** Folder of a built bundle (`build()`). A process can load each folder once. */
  readonly bundle: string
  /** 0 selects a free one. */
  readonly port: number
  /** Any of them opens `authLevel: 'function'`. The default is a random key. */
  readonly functionKeys?: Readonly<Record<string, string>>
  /** Opens every route, the admin route included. The default is a random key. */
  readonly masterKey?: string
  /** Settings of the host itself (`AzureWebJobs…`); the bundle reads `process.env`. */
  readonly settings?: Readonly<Record<string, string | undefined>>
  /** Receives the log lines; the default is standard error. */
  readonly write?: (text: string) => void
  /** Called when the real worker would end: a function ran past `functionTimeout`. The default ends the process. */
  readonly endProcess?: (reason: string) => void
  /** Time limit of the `appTerminate` hooks, in milliseconds; the default is that of the real host. */
  readonly terminateWithin?: number
}

interface FunctionsHost {
  readonly url: string
  readonly port: number
  readonly masterKey: string
  readonly functionKey: string
  readonly functions: readonly ServedFunction[]
  /**
   * Lets requests in flight finish, then runs the `appTerminate` hooks, each within a time limit, and frees the port.
   */
  close(): Promise<void>
}

interface ServedFunction {
  readonly name: string
  /** `httpTrigger`, `timerTrigger`, … */
  readonly trigger: string
  readonly route?: string
  readonly methods?: readonly string[]
}

/**
 * Loads a bundle and serves it on loopback.
 *
 * @throws {LocalError} when there is no bundle, its host.json is invalid, or the port is in use
 */
export async function startFunctionsHost(options: FunctionsHostOptions): Promise<FunctionsHost> {
  const settings = options.settings ?? process.env
  const hostJson = await readHostJson(options.bundle, settings)
  const write = createLog(hostJson.logLevels, options.write)
  const keys = {
    master: options.masterKey ?? newKey(),
    functions: Object.values(options.functionKeys ?? { default: newKey() }),
  }
  const work = new InFlight()
  const host: Host = {
    hostJson,
    write,
    keys,
    homePage: !/^true$/i.test(settings.AzureWebJobsDisableHomepage ?? ''),
    endProcess: options.endProcess ?? endThisProcess,
    bundle: undefined,
    isSampled: createSampler(settings),
  }
  // Listening comes first: a port that is in use is reported before the broker's own start-up lines.
  const server = await listen({
    name: 'broker',
    port: options.port,
    handler: (request, response) => void work.add(serve(host, work.draining, request, response)),
  })
  const bundle = await loadBundle(options.bundle, settings, write).catch(async (error: unknown) => {
    await server.close()
    throw error
  })
  host.bundle = bundle
  fireAtStart(host, bundle, work)

  return {
    url: `http://localhost:${server.port}`,
    port: server.port,
    masterKey: keys.master,
    functionKey: keys.functions[0] ?? keys.master,
    functions: bundle.functions.map(describe),
    close: async () => {
      await work.drain(10_000)
      await terminate(bundle, write, options.terminateWithin ?? terminationGrace)
      bundle.unload()
      await server.close()
    },
  }
}

interface Host {
  readonly hostJson: HostJson
  readonly write: WriteLog
  readonly keys: { readonly master: string; readonly functions: readonly string[] }
  readonly homePage: boolean
  readonly endProcess: (reason: string) => void
  readonly isSampled: IsSampled
  /** Absent while it loads: a request then waits in Azure, and gets 503 here. */
  bundle: LoadedBundle | undefined
}

async function serve(
  host: Host,
  draining: boolean,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const closed = new Promise<void>((done) => void response.once('close', done))
  const answer = await (draining || !host.bundle
    ? bare(503)
    : answerRequest(host, host.bundle, request).catch((error: unknown) => refusal(host, error)))
  if (draining) response.setHeader('connection', 'close')
  try {
    writeAnswer(request, response, answer, host.hostJson.customHeaders)
  } catch (error) {
    // Node itself refuses a header; all headers that were set before it are removed.
    host.write({ level: 'error', message: `The answer could not be written: ${inspect(error)}` })
    for (const name of response.getHeaderNames()) response.removeHeader(name)
    response.writeHead(500).end()
  }
  await closed
}

async function answerRequest(host: Host, bundle: LoadedBundle, request: http.IncomingMessage): Promise<Answer> {
  const received = receiveRequest(request)
  const first = received.path.split('/', 2)[1]?.toLowerCase()
  if (first === 'admin' || first === 'runtime') return await answerBuiltIn(host, bundle, received, request)
  if (received.path === '/' && host.homePage) return bare(200, homePage, 'text/html')

  const found = findFunction(bundle, host.hostJson.routePrefix, received)
  if (!found) return bare(received.path === '/' ? 204 : 404)
  const { fn, parameters } = found
  const level = authLevel(host, received)
  if (!allows(fn, level)) return bare(401)
  if (fn.disabled && level !== 'master') return bare(404)

  const http = await toRpcHttp(received, request, parameters)
  const traceContext = newTraceContext(
    host.isSampled,
    received.headers.get('traceparent'),
    received.headers.get('tracestate'),
  )
  return toAnswer((await run(host, bundle, fn, { input: { http }, traceContext })).returnValue)
}

function refusal(host: Host, error: unknown): Answer {
  if (error instanceof Failed) return bare(500)
  host.write({ level: 'error', message: error instanceof Error ? error.message : inspect(error) })
  return bare(error instanceof RefusedRequest ? error.status : 500)
}

/** A function failed, and its log line is written. */
class Failed extends Error {}

async function run(
  host: Host,
  bundle: LoadedBundle,
  fn: LoadedFunction,
  invocation: Invocation,
): Promise<RpcInvocationResponse> {
  const invocationId = randomUUID()
  const limit = host.hostJson.functionTimeoutMilliseconds
  const timeout =
    limit === undefined
      ? undefined
      : setTimeout(() => host.endProcess(`${fn.name} ran longer than functionTimeout allows`), limit).unref()
  try {
    return await invoke(bundle, fn, { ...invocation, invocationId })
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : inspect(error)
    const message = `Executed 'Functions.${fn.name}' (Failed)\n${text}`
    host.write({ level: 'error', functionName: fn.name, invocationId, message })
    throw new Failed(fn.name, { cause: error })
  } finally {
    clearTimeout(timeout)
  }
}

function findFunction(
  bundle: LoadedBundle,
  routePrefix: string,
  { path, method }: ReceivedRequest,
): { fn: LoadedFunction; parameters: Record<string, string> } | undefined {
  const prefix = routePrefix === '' ? '' : `/${routePrefix}`
  if (!path.toLowerCase().startsWith(`${prefix.toLowerCase()}/`)) return undefined
  const segments = splitPath(path.slice(prefix.length))
  for (const fn of bundle.functions) {
    if (!fn.http?.methods.includes(method)) continue
    const parameters = fn.http.template.match(segments)
    if (parameters) return { fn, parameters }
  }
  return undefined
}

type Level = 'anonymous' | 'function' | 'master'

function authLevel({ keys }: Host, { headers, query }: ReceivedRequest): Level {
  // As the real host: the first of several, and the header before the query.
  const key = (headers.get('x-functions-key') ?? query.get('code'))?.split(',')[0]
  if (key === undefined) return 'anonymous'
  if (key === keys.master) return 'master'
  return keys.functions.includes(key) ? 'function' : 'anonymous'
}

function allows(fn: LoadedFunction, level: Level): boolean {
  return (
    fn.http?.authLevel === 'anonymous' ||
    level === 'master' ||
    (fn.http?.authLevel === 'function' && level === 'function')
  )
}

async function answerBuiltIn(
  host: Host,
  bundle: LoadedBundle,
  received: ReceivedRequest,
  request: http.IncomingMessage,
): Promise<Answer> {
  if (authLevel(host, received) !== 'master') return bare(401)
  const named = (name: string | undefined) =>
    bundle.functions.find((fn) => fn.name.toLowerCase() === name?.toLowerCase())
  const fire = (fn: LoadedFunction, invocation: Invocation) => run(host, bundle, fn, invocation)

  const admin = /^\/admin\/functions\/([^/]+)\/?$/i.exec(received.path)
  if (admin && received.method === 'POST') {
    const fn = named(admin[1])
    return fn ? await fireByAdmin(fn, await readJson(request), fire) : bare(404)
  }
  if (/^\/runtime\/webhooks\/eventgrid\/?$/i.test(received.path) && received.method === 'POST') {
    const fn = named([...received.query].find(([name]) => /^functionName$/i.test(name))?.[1])
    if (!fn || fn.trigger.type.toLowerCase() !== 'eventgridtrigger') return bare(404)
    return await deliverEvents(fn, received.headers.get('aeg-event-type'), await readJson(request), fire)
  }
  return bare(404)
}

function fireAtStart(host: Host, bundle: LoadedBundle, work: InFlight): void {
  const unfired = bundle.functions.filter((fn) => !fn.http).map(({ name }) => name)
  if (unfired.length > 0) {
    const message = `The host does not fire ${unfired.join(', ')} by itself. To fire a function: POST /admin/functions/NAME with the master key.`
    host.write({ level: 'information', message })
  }
  for (const fn of bundle.functions) {
    if (fn.trigger.type.toLowerCase() !== 'timertrigger' || fn.trigger.runOnStartup !== true || fn.disabled) continue
    void work.add(run(host, bundle, fn, invocationOf(fn)))
  }
}

/** The real host ends a worker that has not ended by itself five seconds after the request to do so. */
const terminationGrace = 5_000

async function terminate({ app }: LoadedBundle, write: WriteLog, milliseconds: number): Promise<void> {
  const context = hookContext({ hookData: app.appLevelHookData, appHookData: app.appHookData })
  const hooks = app.runHooks('appTerminate', context).catch((error: unknown) => {
    write({ level: 'error', message: `An appTerminate hook failed: ${inspect(error)}` })
  })
  await within(milliseconds, hooks, () => {
    write({ level: 'error', message: `The appTerminate hooks took longer than ${milliseconds} ms: the worker ends.` })
  })
}

/** Tracks running work, so that a shutdown can wait for it. */
class InFlight {
  draining = false
  readonly #running = new Set<Promise<unknown>>()

  async add(promise: Promise<unknown>): Promise<void> {
    this.#running.add(promise)
    await promise.catch(() => undefined)
    this.#running.delete(promise)
  }

  async drain(milliseconds: number): Promise<void> {
    this.draining = true
    await within(milliseconds, Promise.allSettled([...this.#running]))
  }
}

async function within(milliseconds: number, work: Promise<unknown>, onLate?: () => void): Promise<void> {
  let deadline: NodeJS.Timeout | undefined
  const late = new Promise<void>((done) => (deadline = setTimeout(done, milliseconds))).then(onLate)
  await Promise.race([work, late])
  clearTimeout(deadline)
}

function describe({ name, trigger, http }: LoadedFunction): ServedFunction {
  return { name, trigger: trigger.type, ...(http ? { route: http.template.text, methods: http.methods } : {}) }
}

function endThisProcess(reason: string): void {
  process.stderr.write(`The worker ends: ${reason}.\n`)
  process.exit(1)
}

function newKey(): string {
  return randomBytes(32).toString('base64url')
}

const homePage = `<!doctype html><html lang="en"><title>Functions host</title>
<p>The functions host is up and running. AzureWebJobsDisableHomepage=true gives this page to a function.</p></html>`
