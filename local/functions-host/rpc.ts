/**
 * The shapes that host and worker exchange, as far as HTTP, timer, warm-up and Event Grid functions use them.
 * The names are those of the worker's `@azure/functions-core`, which has no published types.
 */

export interface RpcTypedData {
  string?: string
  json?: string
  bytes?: Uint8Array
  int?: number
  double?: number
  http?: RpcHttpData
}

export interface RpcHttpData {
  method?: string
  url?: string
  body?: RpcTypedData
  statusCode?: string
  headers?: Record<string, string>
  query?: Record<string, string>
  params?: Record<string, string>
  nullableHeaders?: Record<string, { value: string }>
  nullableQuery?: Record<string, { value: string }>
  nullableParams?: Record<string, { value: string }>
  cookies?: RpcHttpCookie[]
  enableContentNegotiation?: boolean
}

export interface RpcHttpCookie {
  name?: string
  value?: string
  domain?: { value?: string }
  path?: { value?: string }
  expires?: { value?: { seconds?: number } }
  secure?: { value?: boolean }
  httpOnly?: { value?: boolean }
  /** `none`: the function set no level. `explicitNone`: it set None. */
  sameSite?: 'none' | 'lax' | 'strict' | 'explicitNone'
  maxAge?: { value?: number }
}

export interface RpcTraceContext {
  traceParent: string
  traceState: string
  attributes: Record<string, string>
}

interface RpcInvocationRequest {
  invocationId: string
  functionId: string
  inputData: { name: string; data: RpcTypedData }[]
  triggerMetadata: Record<string, RpcTypedData>
  traceContext: RpcTraceContext
}

export interface RpcInvocationResponse {
  invocationId?: string
  returnValue?: RpcTypedData | null
}

/**
 * A binding as the function registered it: `type`, `direction` and what belongs to its kind (`route`, `methods`, …).
 */
export interface RpcBinding {
  type?: string
  direction?: string
  [property: string]: unknown
}

export interface FunctionMetadata {
  name: string
  functionId?: string
  bindings: Record<string, RpcBinding>
}

export type FunctionCallback = (...args: unknown[]) => unknown

export type LogLevel = 'trace' | 'debug' | 'information' | 'warning' | 'error' | 'critical' | 'none'
export type LogCategory = 'user' | 'system' | 'customMetric'

/** The worker's arguments to the programming model for one invocation. */
export interface CoreInvocationContext {
  invocationId: string
  request: RpcInvocationRequest
  metadata: FunctionMetadata
  state?: 'preInvocationHooks' | 'invocation' | 'postInvocationHooks' | undefined
  log(level: LogLevel, category: LogCategory, message: string): void
}

interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>
  invokeFunction(context: unknown, inputs: unknown[], callback: FunctionCallback): Promise<unknown>
  getResponse(context: unknown, result: unknown): Promise<RpcInvocationResponse>
}

/** The object that `@azure/functions` registers. */
export interface ProgrammingModel {
  name: string
  version: string
  getInvocationModel(context: CoreInvocationContext): InvocationModel | Promise<InvocationModel>
  getCapabilities?(capabilities: Record<string, string>): Record<string, string> | Promise<Record<string, string>>
}
