/** Adapter to the Azure Functions host: converts its request, context and response. */
import { defined } from '../shared/json/json.ts'
import type { HttpHandler, HttpResponseInit, InvocationContext } from '@azure/functions'
import type { Answer } from '../shared/http/answer.ts'
import type { Cookie } from '../shared/http/cookies.ts'
import { createLog } from '../shared/telemetry/log.ts'
import type { Broker, Composed } from './compose/index.ts'
import type { Invocation, Responder } from './respond.ts'

export function toHttpHandler(respond: Responder): HttpHandler {
  return async (request, context) => toResponse(await respond(request, invocationOf(context)))
}

/** Wraps the work of a timer or an event. Refused settings skip it: every route reports them. */
export function asJob<T>(
  composed: Composed,
  work: (broker: Broker, trigger: T, invocation: Invocation) => Promise<void>,
): (trigger: T, context: InvocationContext) => Promise<void> {
  return async (trigger, context) => {
    if (!('broker' in composed)) return
    const { broker } = composed
    const invocation = invocationOf(context)
    await broker.telemetry.invocation(invocation.traceParent, () => work(broker, trigger, invocation), 'job')
  }
}

function invocationOf(context: InvocationContext): Invocation {
  const traceParent = context.traceContext?.traceParent
  const traceId = traceParent?.split('-')[1]
  return {
    reference: traceId && /^[0-9a-f]{32}$/.test(traceId) ? traceId : context.invocationId,
    traceParent,
    log: createLog((level, line) => context[level === 'info' ? 'log' : level](line)),
  }
}

function toResponse({ status, headers, cookies = [], body }: Answer): HttpResponseInit {
  return {
    status,
    ...(headers ? { headers } : {}),
    ...(cookies.length > 0 ? { cookies: cookies.map(toHostCookie) } : {}),
    ...defined({ body }),
  }
}

/**
 * Cookies go through the host's own list: of two Set-Cookie headers only the last would survive. The list has Domain,
 * Path, Expires, Max-Age, Secure, HttpOnly and SameSite, and no other attribute. `toRpcResponse` in http-invocation.ts
 * passes on those that are written here.
 */
function toHostCookie({ name, value, sameSite, maxAge }: Cookie) {
  return { name, value, sameSite, secure: true, httpOnly: true, path: '/', ...defined({ maxAge }) }
}
