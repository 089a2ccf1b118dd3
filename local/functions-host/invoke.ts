/** One invocation, in the worker's order: arguments, `preInvocation` hooks, the function, `postInvocation` hooks, response. */
import { randomBytes, randomUUID } from 'node:crypto'

import { hookContext } from './hook-context.ts'
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

/** What both kinds of invocation hook may look at and not replace. */
interface Hooked {
  readonly hookData: Record<string, unknown>
  readonly appHookData: Record<string, unknown>
  readonly invocationContext: unknown
}

/** @throws whatever the function, a hook or the conversion of its answer throws */
export async function invoke(
  { app }: LoadedBundle,
  fn: LoadedFunction,
  { invocationId = randomUUID(), input, triggerMetadata = {}, traceContext = newTraceContext() }: Invocation,
): Promise<RpcInvocationResponse> {
  const hookData: Record<string, unknown> = {}
  const logged: { context: unknown } = { context: undefined }
  const core: CoreInvocationContext = {
    invocationId,
    request: {
      invocationId,
      functionId: fn.metadata.functionId ?? fn.name,
      inputData: [{ name: fn.triggerName, data: input }],
      triggerMetadata: { ...triggerMetadata, sys: systemMetadata(fn.name) },
      traceContext,
    },
    metadata: fn.metadata,
    log: (level, category, message) => app.log(level, category, message, { core, context: logged.context, hookData }),
  }
  if (!app.programmingModel) throw new Error('No programming model is set.')
  const model = await app.programmingModel.getInvocationModel(core)
  const { context, inputs } = await model.getArguments()
  logged.context = context

  const before: Hooked & { functionCallback: FunctionCallback; inputs: unknown[] } = Object.assign(
    hookContext({ hookData, appHookData: app.appHookData, invocationContext: context }),
    {
      functionCallback: fn.callback,
      inputs,
    },
  )
  core.state = 'preInvocationHooks'
  await app.runHooks('preInvocation', before)

  const after: Hooked & { inputs: unknown[]; result: unknown; error: unknown } = Object.assign(
    hookContext({ hookData, appHookData: app.appHookData, invocationContext: context }),
    {
      inputs: before.inputs,
      result: null,
      error: null,
    },
  )
  core.state = 'invocation'
  try {
    after.result = await model.invokeFunction(context, before.inputs, before.functionCallback)
  } catch (error) {
    after.error = error ?? new Error('Unknown error')
  }
  core.state = 'postInvocationHooks'
  await app.runHooks('postInvocation', after)
  core.state = undefined

  if (after.error !== null && after.error !== undefined) throw after.error as Error
  return await model.getResponse(context, after.result)
}

const validTraceParent = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?$/

/**
 * What the worker is told of the trace: the caller's trace id where it sent a valid `traceparent`, a new one
 * otherwise, and a span id of the host's own. W3C Trace Context §3.2.
 */
export function newTraceContext(traceParent?: string, traceState = ''): RpcTraceContext {
  const [, traceId, flags] = validTraceParent.exec(traceParent ?? '') ?? []
  const span = randomBytes(8).toString('hex')
  return {
    traceParent: `00-${traceId ?? randomBytes(16).toString('hex')}-${span}-${flags ?? '01'}`,
    traceState: traceId === undefined ? '' : traceState,
    attributes: {},
  }
}

function systemMetadata(name: string): RpcTypedData {
  return {
    json: JSON.stringify({
      MethodName: name,
      UtcNow: new Date().toISOString(),
      RandGuid: randomUUID(),
    }),
  }
}
