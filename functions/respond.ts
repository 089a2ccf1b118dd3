/**
 * The one place where a handler's outcome becomes the host's response: headers that every answer has, the reference,
 * and a failure as a page for people or as problem details for programs.
 */
import type { HttpHandler, HttpMethod, HttpRequest, HttpResponseInit, InvocationContext } from '@azure/functions'
import { asBrokerError, BrokerError } from '../shared/errors/errors.ts'
import { baseHeaders, framedHeaders, seeOther, word } from '../shared/http/answer.ts'
import type { Answer } from '../shared/http/answer.ts'
import type { Cookie } from '../shared/http/cookies.ts'
import { errorPage } from '../shared/http/pages.ts'
import { problem } from '../shared/http/problem.ts'
import { checkSameSite, checkStateChange, corsHeaders, preflightHeaders } from '../shared/front-ends/same-site-guard.ts'
import { oauthProblem } from '../shared/http/oauth-problem.ts'
import { createLog, describeError } from '../shared/telemetry/log.ts'
import type { Log } from '../shared/telemetry/log.ts'
import type { Broker, Composed } from './compose/index.ts'
import { callerOf } from './request.ts'

/** What a function file exports: it names the parts of the broker that it needs. */
export type Handle = (request: HttpRequest, context: InvocationContext) => Promise<Answer>
export type Handlers = Partial<Record<HttpMethod, (broker: Broker) => Handle>>

/** Every method comes to us, since the host answers 404 where a method is not listed, and we owe a 405. */
export const allMethods: HttpMethod[] = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

type Format = (error: BrokerError, reference: string, request: HttpRequest) => Answer

/** For routes that a person's browser visits: a failure is a page. */
export function forPeople(composed: Composed, handlers: Handlers): HttpHandler {
  return respond(composed, handlers, (error, reference, request) =>
    wantsHtml(request) ? errorPage(error, reference) : problem(error, reference),
  )
}

/** For programs without a page: problem details. */
export function forPrograms(composed: Composed, handlers: Handlers): HttpHandler {
  return respond(composed, handlers, problem)
}

/** For monitors, whom anyone can pretend to be: one word, also for settings that can't be used. */
export function forProbes(composed: Composed, handlers: Handlers): HttpHandler {
  return respond(composed, handlers, (error, reference) =>
    error.code === 'settings_invalid' ? word(503, 'settings') : problem(error, reference),
  )
}

/** The one route that needs no broker: the process answers, and that is all it says. */
export function forLiveness(answer: Answer): HttpHandler {
  return (_, context) => Promise.resolve(toResponse(answer, referenceOf(context)))
}

/** For routes that a front end's script calls: CORS, and the guard before every handler, so that none can leave it out. */
export function forScripts(composed: Composed, handlers: Handlers): HttpHandler {
  const guarded = Object.fromEntries(
    Object.entries(handlers).map(([method, handler]) => [method, guard(method, handler)]),
  ) as Handlers
  return withCors(composed, guarded, problem)
}

function withCors(composed: Composed, handlers: Handlers, format: Format): HttpHandler {
  const methods = Object.keys(handlers)
  const preflight =
    (broker: Broker): Handle =>
    (request) =>
      Promise.resolve({ status: 204, headers: preflightHeaders(callerOf(request).origin, broker.frontEnds, methods) })
  const answerScript = respond(composed, { ...handlers, OPTIONS: preflight }, format)
  return async (request, context) => {
    const response = (await answerScript(request, context)) as HttpResponseInit
    if ('settingsError' in composed || request.method === 'OPTIONS') return response
    const cors = corsHeaders(callerOf(request).origin, composed.broker.frontEnds)
    return { ...response, headers: { ...(response.headers as Record<string, string>), ...cors } }
  }
}

/** For OAuth clients: CORS for their origins, without cookies; a failure in OAuth's own form. */
export function forClients(composed: Composed, handlers: Handlers): HttpHandler {
  return withCors(composed, handlers, oauthProblem)
}

function guard(method: string, handler: (broker: Broker) => Handle): (broker: Broker) => Handle {
  const check = method === 'GET' ? checkSameSite : checkStateChange
  return (broker) => async (request, context) => {
    check(callerOf(request), broker.frontEnds)
    return handler(broker)(request, context)
  }
}

function respond(composed: Composed, handlers: Handlers, format: Format): HttpHandler {
  const settingsProblem = () => {
    if (!('settingsError' in composed)) return undefined
    return new BrokerError('settings_invalid', { members: { settings: composed.settingsError.problems } })
  }

  const answer: HttpHandler = async (request, context) => {
    const reference = referenceOf(context)
    try {
      const faulty = settingsProblem()
      if (faulty) throw faulty
      const handler = handlers[request.method as HttpMethod]
      if (!handler) throw new BrokerError('method_not_allowed')
      const { broker } = composed as { broker: Broker }
      return toResponse(await handler(broker)(request, context), reference)
    } catch (thrown) {
      const error = asBrokerError(thrown)
      logOf(context)(error.status >= 500 ? 'error' : 'info', 'refused', { reference, ...describeError(error) })
      if (error.status >= 500 && 'broker' in composed) composed.broker.telemetry.fail()
      const { cookies, redirectTo } = error
      if (redirectTo !== undefined) return toResponse(seeOther(redirectTo, cookies), reference)
      const formatted = format(error, reference, request)
      const allow = error.code === 'method_not_allowed' ? { allow: Object.keys(handlers).join(', ') } : {}
      return toResponse({ ...formatted, headers: { ...formatted.headers, ...allow }, cookies }, reference)
    }
  }
  if (!('broker' in composed)) return answer
  const { telemetry } = composed.broker
  return (request, context) =>
    telemetry.invocation(context.traceContext?.traceParent, async () => answer(request, context))
}

/** What a timer or an event begins: nothing where the settings can't be used, which every route tells. */
export function asJob<T>(
  composed: Composed,
  work: (broker: Broker, trigger: T, context: InvocationContext) => Promise<void>,
): (trigger: T, context: InvocationContext) => Promise<void> {
  return async (trigger, context) => {
    if (!('broker' in composed)) return
    const { broker } = composed
    await broker.telemetry.invocation(context.traceContext?.traceParent, () => work(broker, trigger, context), 'job')
  }
}

/** The log of one invocation, in the host's own. */
export function logOf(context: InvocationContext): Log {
  return createLog((level, line) => context[level === 'info' ? 'log' : level](line))
}

/** The invocation's trace id: the same in the host's own telemetry, in the log and on the page. */
export function referenceOf(context: InvocationContext): string {
  const traceId = context.traceContext?.traceParent?.split('-')[1]
  return traceId && /^[0-9a-f]{32}$/.test(traceId) ? traceId : context.invocationId
}

function wantsHtml(request: HttpRequest): boolean {
  const accept = request.headers.get('accept') ?? ''
  return accept === '' || /text\/html|\*\/\*/.test(accept)
}

function toResponse({ status, headers, cookies, body, framedBy }: Answer, reference: string): HttpResponseInit {
  return {
    status,
    headers: { ...(framedBy ? framedHeaders(framedBy) : baseHeaders), 'broker-reference': reference, ...headers },
    ...(cookies && cookies.length > 0 ? { cookies: cookies.map(toHostCookie) } : {}),
    ...(body === undefined ? {} : { body }),
  }
}

/** Cookies go through the host's own list: of two Set-Cookie headers only the last would survive. */
function toHostCookie({ name, value, sameSite, maxAge }: Cookie) {
  return { name, value, sameSite, secure: true, httpOnly: true, path: '/', ...(maxAge === undefined ? {} : { maxAge }) }
}
