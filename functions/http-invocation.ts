/**
 * Converts HTTP requests and answers between the worker's messages and the handlers, in place of `@azure/functions`.
 *
 * For each call the library makes a `Request`, a `Response`, their headers and two streams: 60 µs, a fifth of a session
 * read, and 40 ms at the first request of an instance, which loads undici. It also answers 500, on every route, where a
 * header has a character above U+00FF: the constructor of `Request` throws. A cookie of the parent domain is enough
 * (`city=Łódź`), and any page of that domain can set it.
 *
 * This file uses the worker's documented interface (`@azure/functions-core`, types-core/index.d.ts of the worker). The
 * programming model that the library has set stays in use for every other trigger.
 */
import { createRequire } from 'node:module'
import { format } from 'node:util'
import type { HttpResponseInit } from '@azure/functions'
import type { WebRequest } from './request.ts'

/**
 * The module that the worker supplies as `@azure/functions-core`, as far as it is used here.
 * Its types are not published.
 */
interface CoreModule {
  getProgrammingModel?(): ProgrammingModel | undefined
  setProgrammingModel?(model: ProgrammingModel): void
}

export interface ProgrammingModel {
  readonly name: string
  readonly version: string
  getInvocationModel(core: CoreInvocation): InvocationModel | Promise<InvocationModel>
  getCapabilities?(capabilities: Record<string, string>): unknown
}

interface InvocationModel {
  getArguments(): Promise<{ context: unknown; inputs: unknown[] }>
  invokeFunction(context: unknown, inputs: unknown[], handler: (...given: unknown[]) => unknown): Promise<unknown>
  getResponse(context: unknown, result: unknown): Promise<object>
}

interface CoreInvocation {
  readonly invocationId: string
  readonly metadata: { readonly name: string }
  readonly request: {
    readonly inputData?: readonly { readonly data?: { readonly http?: RpcRequest | null } | null }[] | null
    readonly traceContext?: TraceContext | null
  }
  log(level: string, category: 'user', message: string): void
}

interface TraceContext {
  readonly traceParent?: string | null
  readonly traceState?: string | null
  readonly attributes?: Readonly<Record<string, string>> | null
}

type Nullable = Readonly<Record<string, { readonly value?: string | null }>>

/** A request in the worker's form; untrusted. */
export interface RpcRequest {
  readonly method?: string | null
  readonly url?: string | null
  readonly headers?: Readonly<Record<string, string>> | null
  readonly nullableHeaders?: Nullable | null
  readonly params?: Readonly<Record<string, string>> | null
  readonly nullableParams?: Nullable | null
  readonly body?: { readonly bytes?: Uint8Array | null; readonly string?: string | null } | null
}

/** Call it after a function is registered: the library sets its programming model then, and this one wraps it. */
export function convertHttpDirectly(): void {
  const core = findCoreModule()
  const model = core?.getProgrammingModel?.()
  if (core && model) core.setProgrammingModel?.(withDirectHttp(model))
}

/** @returns undefined outside a worker, where the library only warns */
function findCoreModule(): CoreModule | undefined {
  try {
    return createRequire(import.meta.url)('@azure/functions-core') as CoreModule
  } catch {
    return undefined
  }
}

/** @param model of the library */
export function withDirectHttp(model: ProgrammingModel): ProgrammingModel {
  return {
    name: model.name,
    version: model.version,
    getCapabilities: (capabilities) => model.getCapabilities?.(capabilities) ?? capabilities,
    getInvocationModel: (core) => {
      const [input, ...others] = core.request.inputData ?? []
      const http = input?.data?.http
      return http && others.length === 0 ? directModel(http, core) : model.getInvocationModel(core)
    },
  }
}

function directModel(http: RpcRequest, core: CoreInvocation): InvocationModel {
  return {
    getArguments: () => Promise.resolve({ context: new HttpContext(core), inputs: [toWebRequest(http)] }),
    invokeFunction: async (context, inputs, handler) => await handler(...inputs, context),
    getResponse: (_, result) =>
      Promise.resolve({
        invocationId: core.invocationId,
        outputData: [],
        returnValue: { http: toRpcResponse(result as HttpResponseInit) },
      }),
  }
}

/** The members of the library's `InvocationContext` that an HTTP handler, or a monitoring agent's hook, reads. */
class HttpContext {
  readonly invocationId: string
  readonly functionName: string
  readonly traceContext: TraceContext | undefined
  readonly #core: CoreInvocation

  constructor(core: CoreInvocation) {
    this.#core = core
    this.invocationId = core.invocationId
    this.functionName = core.metadata.name
    this.traceContext = core.request.traceContext ?? undefined
  }

  log(...line: unknown[]): void {
    this.#core.log('information', 'user', format(...line))
  }

  warn(...line: unknown[]): void {
    this.#core.log('warning', 'user', format(...line))
  }

  error(...line: unknown[]): void {
    this.#core.log('error', 'user', format(...line))
  }
}

const decoder = new TextDecoder()

/** @param http untrusted */
export function toWebRequest({ method, url, body, ...http }: RpcRequest): WebRequest {
  const name = (method ?? 'GET').toUpperCase()
  return {
    method: name,
    // Only the query is read from it, so it is not parsed: the caller's Host header decides the host part.
    url: (url ?? '').replace(/[^\x21-\x7e]+/g, (text) => encodeURIComponent(text.toWellFormed())),
    headers: new RequestHeaders(http.nullableHeaders, http.headers),
    params: Object.fromEntries(valuesOf(http.nullableParams, http.params)),
    // A body of GET has no meaning (RFC 9110 §9.3.1), and the library drops it.
    text: () =>
      Promise.resolve(
        name === 'GET' || name === 'HEAD' ? '' : decoder.decode(body?.bytes ?? Buffer.from(body?.string ?? '')),
      ),
  }
}

/** The worker fills one of two members, by the host's version: only the newer one can contain an empty value. */
function valuesOf(
  nullable: Nullable | null | undefined,
  plain: Readonly<Record<string, string>> | null | undefined,
): readonly (readonly [name: string, value: string])[] {
  const newer = Object.entries(nullable ?? {})
  return newer.length > 0 ? newer.map(([name, { value }]) => [name, value ?? ''] as const) : Object.entries(plain ?? {})
}

/** The headers of a request, as the interface `Headers` reads them. */
class RequestHeaders {
  readonly #values = new Map<string, string>()

  constructor(...of: Parameters<typeof valuesOf>) {
    for (const [given, value] of valuesOf(...of)) {
      const name = given.toLowerCase()
      const before = this.#values.get(name)
      this.#values.set(name, before === undefined ? value : `${before}, ${value}`)
    }
  }

  get(name: string): string | null {
    const value = this.#values.get(name.toLowerCase())
    return value === undefined ? null : visible(value)
  }

  has(name: string): boolean {
    return this.#values.has(name.toLowerCase())
  }
}

/**
 * The worker passes header values on as text that was UTF-8. Each character outside visible ASCII, space and tab
 * becomes `?`. It is not removed: without its first character, a cookie named U+00A0 and `__Host-session-…`, which a
 * sibling host can set, would carry the name of ours.
 */
function visible(value: string): string {
  // Blanks around a value do not belong to it (RFC 9110 §5.5); only tabs and spaces are left here to remove.
  return value.replace(/[^\t\x20-\x7e]/gu, '?').trim()
}

/**
 * @param init as `toHttpHandler` makes it: header names in lower case, a text as the body
 * @throws {TypeError} for a header that would end the header or the response (CR, LF) or that the host refuses
 */
export function toRpcResponse({ status = 200, headers = {}, cookies = [], body }: HttpResponseInit): object {
  for (const [name, value] of Object.entries(headers as Record<string, string>)) {
    if (!/^[!#$%&'*+.^_`|~\da-z-]+$/.test(name) || !/^[\t\x20-\x7e]*$/.test(value)) {
      throw new TypeError(`The header ${JSON.stringify(name)} cannot be sent.`)
    }
  }
  return {
    statusCode: String(status),
    headers,
    cookies: cookies.map(({ name, value, path, secure, httpOnly, sameSite, maxAge }) => ({
      name,
      value,
      path: { value: path },
      secure: { value: secure },
      httpOnly: { value: httpOnly },
      sameSite: sameSite === 'Lax' ? 'lax' : 'explicitNone',
      ...(maxAge === undefined ? {} : { maxAge: { value: maxAge } }),
    })),
    enableContentNegotiation: false,
    body: { bytes: Buffer.from((body as string | undefined) ?? '') },
  }
}
