/**
 * `@azure/functions-core`: no package: the Node worker supplies it by patching `Module.prototype.require`.
 * It has the names of the real one and no others, so that a bundle that uses any other name fails here too.
 */
import { Module } from 'node:module'
import path from 'node:path'

import type {
  CoreInvocationContext,
  FunctionCallback,
  FunctionMetadata,
  LogCategory,
  LogLevel,
  ProgrammingModel,
} from './rpc.ts'
import type { WriteLog } from './log.ts'

/** Versions of the host and the worker that this one emulates. */
const hostVersion = '4.1037.0'
const workerVersion = '3.9.0'

type HookName = 'appStart' | 'appTerminate' | 'preInvocation' | 'postInvocation' | 'log'
type Hook = (context: unknown) => unknown

export interface RegisteredFunction {
  readonly metadata: FunctionMetadata
  readonly callback: FunctionCallback
}

/** One function app in this process: its registrations, and the module that it registers with. */
export class App {
  /** By id, which is the name unless the function sets another. */
  readonly functions = new Map<string, RegisteredFunction>()
  readonly appHookData: Record<string, unknown> = {}
  readonly appLevelHookData: Record<string, unknown> = {}
  programmingModel: ProgrammingModel | undefined
  /** Set after start-up: later registrations are refused. */
  locked = false
  readonly #hooks: Record<HookName, Hook[]> = {
    appStart: [],
    appTerminate: [],
    preInvocation: [],
    postInvocation: [],
    log: [],
  }
  readonly #write: WriteLog

  constructor(write: WriteLog) {
    this.#write = write
  }

  /** The module that `require('@azure/functions-core')` returns. */
  readonly coreModule = {
    version: workerVersion,
    hostVersion,
    registerHook: (name: string, callback: Hook) => this.#registerHook(name, callback),
    setProgrammingModel: (model: ProgrammingModel) => {
      this.programmingModel = model
    },
    getProgrammingModel: () => this.programmingModel,
    registerFunction: (metadata: FunctionMetadata, callback: FunctionCallback) =>
      this.#registerFunction(metadata, callback),
    log: (level: LogLevel, category: LogCategory, message: string) => this.log(level, category, message),
    Disposable,
  }

  /** Lets a caller skip a context that no hook would read. */
  hasHooks(name: HookName): boolean {
    return this.#hooks[name].length > 0
  }

  /** Runs the hooks in the order in which they were registered; one that throws stops the rest. */
  async runHooks(name: HookName, context: object): Promise<void> {
    for (const hook of this.#hooks[name]) await hook(context)
  }

  /** Hooks of kind `log` may change a line of the app's own, never one of the worker's. */
  log(level: LogLevel, category: LogCategory, message: string, invocation?: LoggedInvocation): void {
    const line = { level, message }
    try {
      const context = {
        ...line,
        category,
        invocationContext: invocation?.context,
        hookData: invocation?.hookData ?? this.appLevelHookData,
        appHookData: this.appHookData,
      }
      for (const hook of this.#hooks.log) hook(context)
      if (category === 'user') Object.assign(line, { level: context.level, message: context.message })
    } catch {
      // The real worker ignores it too: a hook must not suppress the worker's own lines.
    }
    this.#write({
      ...line,
      functionName: invocation?.core.metadata.name,
      invocationId: invocation?.core.invocationId,
    })
  }

  #registerHook(name: string, callback: Hook): Disposable {
    if (!Object.hasOwn(this.#hooks, name)) throw systemError(new RangeError(`Unrecognized hook "${name}"`))
    const hooks = this.#hooks[name as HookName]
    hooks.push(callback)
    return new Disposable(() => {
      const index = hooks.indexOf(callback)
      if (index >= 0) hooks.splice(index, 1)
    })
  }

  #registerFunction(metadata: FunctionMetadata, callback: FunctionCallback): Disposable {
    if (this.locked) throw systemError(new Error('A function can only be registered during app startup.'))
    const id = metadata.functionId ?? metadata.name
    if (this.functions.has(id)) {
      throw systemError(new Error(`A function with id "${id}" has already been registered.`))
    }
    this.functions.set(id, { metadata: { ...metadata, functionId: id }, callback })
    return new Disposable(() => {
      if (this.locked) throw systemError(new Error('A function can only be disposed during app startup.'))
      this.functions.delete(id)
    })
  }
}

interface LoggedInvocation {
  readonly core: CoreInvocationContext
  readonly context: unknown
  readonly hookData: Record<string, unknown>
}

class Disposable {
  readonly #callOnDispose: () => unknown

  static from(...disposables: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => {
      for (const disposable of disposables) disposable.dispose()
    })
  }

  constructor(callOnDispose: () => unknown) {
    this.#callOnDispose = callOnDispose
  }

  dispose(): unknown {
    return this.#callOnDispose()
  }
}

/** The worker marks its own errors so; `@azure/functions` reads the mark. */
function systemError(error: Error): Error {
  return Object.assign(error, { isAzureFunctionsSystemError: true })
}

const appsByFolder = new Map<string, App>()
let patched = false

/**
 * Answers `require('@azure/functions-core')` from files below `folder` with the app's module.
 * `require` and `createRequire` see it, a static `import` does not: as with the real worker.
 */
export function supplyCoreModule(folder: string, app: App): () => void {
  appsByFolder.set(folder, app)
  if (!patched) patchRequire()
  return () => void appsByFolder.delete(folder)
}

function patchRequire(): void {
  patched = true
  const prototype = Module.prototype as { require: (this: { filename?: string }, id: string) => unknown }
  prototype.require = new Proxy(prototype.require, {
    apply(target, caller: { filename?: string }, args: [string]) {
      const app = args[0] === '@azure/functions-core' ? appOf(caller.filename) : undefined
      return app ? app.coreModule : Reflect.apply(target, caller, args)
    },
  })
}

/** The app of the file's folder. A package in `node_modules` is in no such folder: it means the only app there is. */
function appOf(file: string | undefined): App | undefined {
  for (const [folder, app] of appsByFolder) if (file?.startsWith(folder + path.sep)) return app
  const [only, ...others] = appsByFolder.values()
  return others.length === 0 ? only : undefined
}
