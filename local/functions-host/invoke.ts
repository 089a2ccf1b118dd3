/**
 * One invocation, in the worker's order: arguments, `preInvocation` hooks, the function,
 * `postInvocation` hooks, response.
 */
import { randomBytes, randomUUID } from 'node:crypto'

import { hookContext } from './hook-context.ts'
import type { IsSampled } from './sampler.ts'
import type { LoadedBundle, LoadedFunction } from './load-bundle.ts'
import type {
  CoreInvocationContext,
  FunctionCallback,
  RpcInvocationResponse,
  RpcTraceContext,
  RpcTypedData,
} from './rpc.ts'

export interface Invocation {
  readonly invocationId?: string
  readonly input: RpcTypedData
  readonly triggerMetadata?: Record<string, RpcTypedData>
  readonly traceContext?: RpcTraceContext
}

/** The members that hooks may replace; all other members are read-only. */
interface Before {
  functionCallback: FunctionCallback
  inputs: unknown[]
}
interface After {
  readonly inputs: unknown[]
  result: unknown
  error: unknown
}

/** @throws the errors of the function, of a hook or of the conversion of the answer */
export async function invoke(
  { app }: LoadedBundle,
  fn: LoadedFunction,
  { invocationId = randomUUID(), input, triggerMetadata = {}, traceContext = newTraceContext(() => true) }: Invocation,
): Promise<RpcInvocationResponse> {
  const hookData: Record<string, unknown> = {}
  const logged: { context: unknown } = { context: undefined }
  const core: CoreInvocationContext = {
    invocationId,
    request: {
      invocationId,
      functionId: fn.metadata.functionId ?? fn.name,
      inputData: [{ name: fn.triggerName, data: input }],
      triggerMetadata: { ...triggerMetadata, sys: new SystemMetadata(fn.name) },
      traceContext,
    },
    metadata: fn.metadata,
    log: (level, category, message) => app.log(level, category, message, { core, context: logged.context, hookData }),
  }
  if (!app.programmingModel) throw new Error('No programming model is set.')
  const model = await app.programmingModel.getInvocationModel(core)
  const { context, inputs } = await model.getArguments()
  logged.context = context

  const hooked = { hookData, appHookData: app.appHookData, invocationContext: context }
  let before: Before = { functionCallback: fn.callback, inputs }
  core.state = 'preInvocationHooks'
  if (app.hasHooks('preInvocation')) {
    before = Object.assign(hookContext(hooked), before)
    await app.runHooks('preInvocation', before)
  }

  let after: After = { inputs: before.inputs, result: null, error: null }
  core.state = 'invocation'
  try {
    after.result = await model.invokeFunction(context, before.inputs, before.functionCallback)
  } catch (error) {
    after.error = error ?? new Error('Unknown error')
  }
  core.state = 'postInvocationHooks'
  if (app.hasHooks('postInvocation')) {
    after = Object.assign(hookContext(hooked), after)
    await app.runHooks('postInvocation', after)
  }
  core.state = undefined

  if (after.error !== null && after.error !== undefined) throw after.error as Error
  return await model.getResponse(context, after.result)
}

const validTraceParent = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/

/**
 * The trace context of one invocation: trace id and flags of the caller where it sent a valid `traceparent`, new ones
 * otherwise, and a new span id. W3C Trace Context §3.2.
 */
export function newTraceContext(isSampled: IsSampled, traceParent?: string, traceState = ''): RpcTraceContext {
  const [, traceId, flags] = validTraceParent.exec(traceParent ?? '') ?? []
  return {
    traceParent: `00-${traceId ?? randomHex(16)}-${randomHex(8)}-${flags ?? (isSampled() ? '01' : '00')}`,
    traceState: traceId === undefined ? '' : traceState,
    attributes: {},
  }
}

/** Random bytes in advance, as in `randomUUID`: one call of the generator costs as much as 4 KB of its output. */
const pool = { bytes: Buffer.alloc(0), used: 0 }

function randomHex(bytes: number): string {
  if (pool.used + bytes > pool.bytes.length) {
    pool.bytes = randomBytes(4096)
    pool.used = 0
  }
  return pool.bytes.toString('hex', pool.used, (pool.used += bytes))
}

/**
 * Formatted only when it is read: the real host does it outside the worker,
 * and the library reads it for no HTTP function.
 */
class SystemMetadata implements RpcTypedData {
  readonly #name: string
  #json: string | undefined

  constructor(name: string) {
    this.#name = name
  }

  get json(): string {
    this.#json ??= JSON.stringify({
      MethodName: this.#name,
      UtcNow: new Date().toISOString(),
      RandGuid: randomUUID(),
    })
    return this.#json
  }
}
