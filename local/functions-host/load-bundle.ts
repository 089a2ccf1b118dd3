/** Loads a built bundle as the Node worker does, and removes the functions that the host refuses. */
import { existsSync } from 'node:fs'
import { glob, readFile, realpath } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import * as z from 'zod/mini'

import { LocalError } from '../http-server.ts'
import { App, supplyCoreModule } from './core-module.ts'
import type { RegisteredFunction } from './core-module.ts'
import { hookContext } from './hook-context.ts'
import type { WriteLog } from './log.ts'
import { parseRouteTemplate } from './route-template.ts'
import type { RouteTemplate } from './route-template.ts'
import type { RpcBinding } from './rpc.ts'

export interface LoadedFunction extends RegisteredFunction {
  readonly name: string
  readonly trigger: RpcBinding & { readonly type: string }
  /** The name of the trigger's binding: the only input of a function. */
  readonly triggerName: string
  readonly http: HttpTrigger | undefined
  /** `AzureWebJobs.NAME.Disabled` in the settings. */
  readonly disabled: boolean
}

interface HttpTrigger {
  readonly template: RouteTemplate
  /** Upper case. */
  readonly methods: readonly string[]
  readonly authLevel: 'anonymous' | 'function' | 'admin'
}

export interface LoadedBundle {
  readonly app: App
  /** In the order in which the host matches them: by name, case ignored. Empty where loading failed. */
  readonly functions: readonly LoadedFunction[]
  /** Removes the bundle's app, so that its `require` no longer finds one. */
  readonly unload: () => void
}

const packageJson = z.object({ main: z.string() })

/**
 * Imports the entry files that package.json's `main` names (a glob) and runs the `appStart` hooks.
 * One file that throws, or a name used twice, leaves no function at all, as in Azure: logged as an error, not thrown.
 *
 * @throws {LocalError} when there is no bundle, or this process has loaded it before
 */
export async function loadBundle(
  dist: string,
  settings: Readonly<Record<string, string | undefined>>,
  write: WriteLog,
): Promise<LoadedBundle> {
  if (!existsSync(path.join(dist, 'package.json'))) {
    throw new LocalError(`There is no built broker in ${dist}. Build first: npm run build`)
  }
  const folder = await realpath(dist)
  if (loadedFolders.has(folder)) {
    throw new LocalError(`This process has loaded ${dist} before: modules load once. Start another process.`)
  }
  loadedFolders.add(folder)

  const app = new App(write)
  const forget = supplyCoreModule(folder, app)
  const failure = await startApp(folder, app).then(
    () => undefined,
    (error: unknown) => error,
  )
  app.locked = true
  if (failure !== undefined) {
    const text = failure instanceof Error ? (failure.stack ?? failure.message) : inspect(failure)
    write({
      level: 'error',
      message: `Loading ${dist} failed, so the app has no functions: every route answers 404.\n${text}`,
    })
    return { app, functions: [], unload: forget }
  }
  await makeRoundTrips(app.functions.size)
  return { app, functions: indexFunctions(app, settings, write), unload: forget }
}

/**
 * The real worker answers three kinds of messages before it is ready: initialise, metadata, and one load for each
 * function. Work that the bundle puts between them, such as the compilation of an SDK, delays every function.
 */
async function makeRoundTrips(functions: number): Promise<void> {
  for (let trip = 0; trip < 2 + functions; trip += 1) await new Promise((done) => setImmediate(done))
}

const loadedFolders = new Set<string>()

/** A plain name, as the broker has, needs no matching, which costs 2 ms of CPU time. */
async function entryFiles(main: string, folder: string): Promise<readonly string[]> {
  if (/^[\w./-]+$/.test(main)) return existsSync(path.join(folder, main)) ? [main] : []
  const files: string[] = []
  for await (const file of glob(main, { cwd: folder })) files.push(file)
  return files
}

async function startApp(folder: string, app: App): Promise<void> {
  const { main } = z.parse(packageJson, JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8')))
  const files = await entryFiles(main, folder)
  if (files.length === 0) throw new Error(`package.json's main (${main}) finds no file.`)
  for (const file of files) await import(/* @vite-ignore */ pathToFileURL(path.join(folder, file)).href)

  const context = hookContext({ hookData: app.appLevelHookData, appHookData: app.appHookData })
  await app.runHooks('appStart', Object.assign(context, { functionAppDirectory: folder }))
  const capabilities = await app.programmingModel?.getCapabilities?.({})
  if (capabilities?.['HttpUri'] !== undefined) {
    throw new Error(
      'enableHttpStream is on. Leave it off: with it a handler that throws leaves its request hanging, and this host has no streaming.',
    )
  }
}

function indexFunctions(
  app: App,
  settings: Readonly<Record<string, string | undefined>>,
  write: WriteLog,
): LoadedFunction[] {
  const indexed: LoadedFunction[] = []
  const registered = [...app.functions.values()].sort((one, other) =>
    compare(one.metadata.name.toLowerCase(), other.metadata.name.toLowerCase()),
  )
  for (const one of registered) {
    try {
      indexed.push(indexFunction(one, indexed, settings))
    } catch (error) {
      const reason = error instanceof Error ? error.message : inspect(error)
      write({ level: 'error', message: `The '${one.metadata.name}' function is in error: ${reason}` })
    }
  }
  return indexed
}

function indexFunction(
  registered: RegisteredFunction,
  before: readonly LoadedFunction[],
  settings: Readonly<Record<string, string | undefined>>,
): LoadedFunction {
  const { name, bindings } = registered.metadata
  if (!/^[a-z][a-z0-9_-]{0,127}$/i.test(name)) throw new Error(`'${name}' is not a valid function name.`)
  if (before.some((other) => other.name.toLowerCase() === name.toLowerCase())) {
    throw new Error(`The function name '${name}' must be unique within the function app.`)
  }
  const [triggerName, trigger] =
    Object.entries(bindings).find(([, binding]) => /trigger$/i.test(binding.type ?? '')) ?? []
  if (triggerName === undefined || trigger?.type === undefined) throw new Error('It has no trigger.')
  const http = trigger.type.toLowerCase() === 'httptrigger' ? indexHttp(name, trigger, before) : undefined
  const disabled = [`AzureWebJobs.${name}.Disabled`, `AzureWebJobs_${name}_Disabled`].some((setting) =>
    /^(true|1)$/i.test(settings[setting] ?? ''),
  )
  return { ...registered, name, triggerName, trigger: { ...trigger, type: trigger.type }, http, disabled }
}

const httpTrigger = z.object({
  route: z.optional(z.string()),
  methods: z.optional(z.array(z.string())),
  authLevel: z.optional(z.string()),
})

function indexHttp(name: string, trigger: RpcBinding, before: readonly LoadedFunction[]): HttpTrigger {
  const { route, methods = ['GET', 'POST'], authLevel = 'anonymous' } = z.parse(httpTrigger, trigger)
  // An empty route means the function's name, so `/` needs a template that matches only the empty path.
  const text = route === undefined || route.trim() === '' ? name : route
  const bare = text.replace(/^\/+|\/+$/g, '').toLowerCase()
  if (bare.startsWith('admin') || bare.startsWith('runtime')) {
    throw new Error('The specified route conflicts with one or more built in routes.')
  }
  const upper = methods.map((method) => method.toUpperCase())
  const rival = before.find(
    ({ http }) =>
      http?.template.text.replace(/^\/+|\/+$/g, '').toLowerCase() === bare &&
      http.methods.some((method) => upper.includes(method)),
  )
  if (rival) throw new Error(`The route specified conflicts with the route defined by function '${rival.name}'.`)
  const level = authLevel.toLowerCase()
  if (level !== 'anonymous' && level !== 'function' && level !== 'admin') {
    throw new Error(`'${authLevel}' is not an authLevel.`)
  }
  return { template: parseRouteTemplate(text), methods: upper, authLevel: level }
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}
