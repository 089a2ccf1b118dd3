/**
 * Makes every request readable for `@azure/functions`, before that library sees it.
 *
 * The worker passes header values on as text that was UTF-8. The library gives them to the constructor of `Request`,
 * which throws for a character above U+00FF, for an invalid name and for a URL without a host: the host then answers
 * 500, on every route. A cookie of the parent domain is enough (`city=Łódź`), and any page of that domain can set it.
 * No issue of azure-functions-nodejs-library names this; keep it until the library sanitises headers itself.
 */
import { createRequire } from 'node:module'

/** What the worker supplies as `@azure/functions-core`, as far as it is used here. Its types are not published. */
interface CoreModule {
  getProgrammingModel?(): ProgrammingModel | undefined
  setProgrammingModel?(model: ProgrammingModel): void
}

interface ProgrammingModel {
  readonly name: string
  readonly version: string
  getInvocationModel(context: InvocationRequestContext): unknown
  getCapabilities?(capabilities: Record<string, string>): unknown
}

interface InvocationRequestContext {
  readonly request?: { readonly inputData?: readonly { readonly data?: { readonly http?: RpcHttp | null } | null }[] }
}

/** A request as the worker describes it; only members that are changed. */
export interface RpcHttp {
  url?: string
  headers?: Record<string, string>
  nullableHeaders?: Record<string, { readonly value?: string }>
}

/** Call it after a function is registered: the library sets its programming model then, and this wraps it. */
export function makeRequestsReadable(): void {
  const core = findCoreModule()
  const model = core?.getProgrammingModel?.()
  if (!core || !model) return
  core.setProgrammingModel?.({
    name: model.name,
    version: model.version,
    getInvocationModel: (context) => {
      for (const { data } of context.request?.inputData ?? []) if (data?.http) makeReadable(data.http)
      return model.getInvocationModel(context)
    },
    getCapabilities: (capabilities) => model.getCapabilities?.(capabilities) ?? capabilities,
  })
}

/** @returns undefined outside a worker, where the library only warns */
function findCoreModule(): CoreModule | undefined {
  try {
    return createRequire(import.meta.url)('@azure/functions-core') as CoreModule
  } catch {
    return undefined
  }
}

/** RFC 9110 §5.6.2 */
const token = /^[!#$%&'*+.^_`|~\dA-Za-z-]+$/

/**
 * Changes the request in place. A header whose name is no token is removed. In a value, each character outside visible
 * ASCII, space and tab becomes `?`. It is not removed: without its first character, a cookie named U+00A0 and
 * `__Host-session-…`, which a sibling host can set, would carry the name of ours.
 *
 * @param request untrusted
 */
export function makeReadable(request: RpcHttp): void {
  const { headers, nullableHeaders } = request
  if (headers) request.headers = mapHeaders(headers, visible)
  if (nullableHeaders)
    request.nullableHeaders = mapHeaders(nullableHeaders, ({ value = '' }) => ({ value: visible(value) }))
  // Only the query is read from this URL, so any host serves in place of the one that the caller's Host made of it.
  if (request.url !== undefined && !isReadable(request.url)) {
    request.url = request.url.replace(/^(https?:\/\/)[^/?#]*/i, '$1localhost')
  }
}

/** The constructor of `Request` also refuses a URL with a user name. */
function isReadable(url: string): boolean {
  const parsed = URL.parse(url)
  return parsed !== null && parsed.username === '' && parsed.password === '' && !/^https?:\/\/(?=[/?#]|$)/i.test(url)
}

function mapHeaders<V>(headers: Readonly<Record<string, V>>, change: (value: V) => V): Record<string, V> {
  const valid = Object.entries(headers).filter(([name]) => token.test(name))
  return Object.fromEntries(valid.map(([name, value]) => [name, change(value)]))
}

function visible(value: string): string {
  return value.replace(/[^\t\x20-\x7e]/gu, '?')
}
