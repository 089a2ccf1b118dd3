/**
 * Turns a handler's outcome into a complete answer: headers that every answer has, the reference, CORS, the guard for
 * scripts, and an error as a page, as problem details or in OAuth's form. Independent of the host.
 */
import { asBrokerError, BrokerError } from '../shared/errors/errors.ts'
import {
  checkSameSite,
  checkStateChange,
  corsHeaders,
  preflightHeaders,
  requestedHeaders,
} from '../shared/front-ends/same-site-guard.ts'
import { baseHeaders, framedHeaders, text } from '../shared/http/answer.ts'
import type { Answer } from '../shared/http/answer.ts'
import { oauthProblem } from '../shared/http/oauth-problem.ts'
import { errorPage, goTo } from '../shared/http/pages.ts'
import { problem } from '../shared/http/problem.ts'
import type { PageRoute } from '../shared/sign-in/page-links.ts'
import { describeError } from '../shared/telemetry/log.ts'
import type { Log } from '../shared/telemetry/log.ts'
import type { Broker, Composed } from './compose/index.ts'
import { callerOf, cookiesOf, keyFingerprintOf, parseQueryForLinks } from './request.ts'
import type { WebRequest } from './request.ts'

/** A function file exports a function that receives the parts of the broker it names, and returns this. */
export type Handle = (request: WebRequest, invocation: Invocation) => Promise<Answer>
type Handlers = Readonly<Record<string, (broker: Broker) => Handle>>

/** One invocation by the host. */
export interface Invocation {
  /** The trace id: the same in the host's own telemetry, in the log and on the page. */
  readonly reference: string
  /** W3C Trace Context; untrusted, since a caller may have sent it. */
  readonly traceParent: string | undefined
  readonly log: Log
}

/** A route with everything around its handlers; never throws. */
export type Responder = (request: WebRequest, invocation: Invocation) => Promise<Answer>

type Format = (error: BrokerError, reference: string, request: WebRequest) => Answer | Promise<Answer>

/** For routes that a person's browser visits: an error is a page. */
export function forPeople(composed: Composed, handlers: Handlers, route: PageRoute): Responder {
  return respond(composed, handlers, async (error, reference, request) => {
    if (!wantsHtml(request)) return problem(error, reference)
    const links = error.links.length > 0 ? error.links : await linksFor(error, request, composed, route).catch(() => [])
    return errorPage(error.with({ links }), reference)
  })
}

/** @returns none for refused settings, which name no front end */
async function linksFor(error: BrokerError, request: WebRequest, composed: Composed, route: PageRoute) {
  if (!('broker' in composed)) return []
  const query = parseQueryForLinks(request)
  return composed.broker.findPageLinks({ route, query, cookies: cookiesOf(request), error })
}

/** For programs without a page: an error is problem details (RFC 9457). */
export function forPrograms(composed: Composed, handlers: Handlers): Responder {
  return respond(composed, handlers, problem)
}

/**
 * For operators, whom the host admits by a function key: an error is problem details. Their requests are rare, and are
 * reported whole as those of a timer, so that no sampling drops one. Every line of the log names the key.
 */
export function forOperators(composed: Composed, handlers: Handlers): Responder {
  const answer = respond(composed, handlers, problem, 'job')
  return (request, { log, ...invocation }) => {
    const key = keyFingerprintOf(request)
    return answer(request, { ...invocation, log: (level, event, fields) => log(level, event, { ...fields, key }) })
  }
}

/** For monitors, which are unauthenticated: a single word, also for refused settings. */
export function forProbes(composed: Composed, handlers: Handlers): Responder {
  return respond(composed, handlers, (error, reference) =>
    error.code === 'settings_invalid' ? text(503, 'settings') : problem(error, reference),
  )
}

/** The only route without a broker: it shows that the process answers. */
export function forLiveness(answer: Answer): Responder {
  return (_, { reference }) => Promise.resolve(complete(answer, reference))
}

/** For a front end's scripts: CORS, and the guard before every handler, so that no handler can omit it. */
export function forScripts(composed: Composed, handlers: Handlers): Responder {
  const guarded = Object.entries(handlers).map(([method, handler]) => [method, guard(method, handler)] as const)
  return withCors(composed, Object.fromEntries(guarded), problem, true)
}

/** For OAuth clients: CORS for their origins, without cookies; an error has OAuth's form (RFC 6749 §5.2). */
export function forClients(composed: Composed, handlers: Handlers): Responder {
  const format: Format = (error, reference, request) =>
    oauthProblem(error, reference, request.headers.get('authorization') ?? undefined)
  return withCors(composed, handlers, format, false)
}

/** For public metadata: every origin may read it, since it has no caller and no secret. */
export function forEveryOrigin(composed: Composed, handlers: Handlers): Responder {
  const allow = { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' }
  const preflight = (): Handle => (request) =>
    Promise.resolve({
      status: 204,
      headers: {
        'access-control-allow-methods': Object.keys(handlers).join(', '),
        'access-control-allow-headers': requestedHeaders(
          request.headers.get('access-control-request-headers') ?? undefined,
        ),
        'access-control-max-age': '7200',
      },
    })
  const answer = respond(composed, { ...handlers, OPTIONS: preflight }, problem)
  return async (request, invocation) => {
    const { headers, ...rest } = await answer(request, invocation)
    return { ...rest, headers: { ...headers, ...allow } }
  }
}

function withCors(composed: Composed, handlers: Handlers, format: Format, readsCookies: boolean): Responder {
  const route = { methods: Object.keys(handlers), readsCookies }
  const preflight =
    ({ frontEnds }: Broker): Handle =>
    (request) => {
      const requested = request.headers.get('access-control-request-headers') ?? undefined
      const headers = preflightHeaders(callerOf(request).origin, requested, frontEnds, route)
      return Promise.resolve({ status: 204, headers })
    }
  const answerScript = respond(composed, { ...handlers, OPTIONS: preflight }, format)
  return async (request, invocation) => {
    const answer = await answerScript(request, invocation)
    if ('settingsError' in composed || request.method === 'OPTIONS') return answer
    const cors = corsHeaders(callerOf(request).origin, composed.broker.frontEnds, readsCookies)
    return { ...answer, headers: { ...answer.headers, ...cors } }
  }
}

function guard(method: string, handler: (broker: Broker) => Handle): (broker: Broker) => Handle {
  const check = method === 'GET' ? checkSameSite : checkStateChange
  return (broker) => async (request, invocation) => {
    check(callerOf(request), broker.frontEnds)
    return handler(broker)(request, invocation)
  }
}

function respond(composed: Composed, handlers: Handlers, format: Format, kind?: 'request' | 'job'): Responder {
  const answer: Responder = async (request, invocation) => {
    const { reference, log } = invocation
    try {
      const broker = brokerOf(composed)
      const handler = handlers[request.method]
      if (!Object.hasOwn(handlers, request.method) || !handler) throw new BrokerError('method_not_allowed')
      return complete(await handler(broker)(request, invocation), reference)
    } catch (thrown) {
      const error = asBrokerError(thrown)
      log(error.status >= 500 ? 'error' : 'info', 'refused', { reference, ...describeError(error) })
      if (error.status >= 500 && 'broker' in composed) composed.broker.telemetry.fail()
      const { cookies, redirectTo } = error
      if (redirectTo !== undefined) return complete(goTo(redirectTo, cookies), reference)
      const formatted = await format(error, reference, request)
      const allow = error.code === 'method_not_allowed' ? { allow: Object.keys(handlers).join(', ') } : {}
      return complete({ ...formatted, headers: { ...formatted.headers, ...allow }, cookies }, reference)
    }
  }
  if (!('broker' in composed)) return answer
  const { telemetry } = composed.broker
  return (request, invocation) => telemetry.invocation(invocation.traceParent, () => answer(request, invocation), kind)
}

/** @throws {BrokerError} `settings_invalid` with every problem */
function brokerOf(composed: Composed): Broker {
  if ('broker' in composed) return composed.broker
  throw new BrokerError('settings_invalid', { members: { settings: composed.settingsError.problems } })
}

function wantsHtml(request: WebRequest): boolean {
  const accept = request.headers.get('accept') ?? ''
  return accept === '' || /text\/html|\*\/\*/.test(accept)
}

/** Adds the headers that every answer has; the answer's own headers override them. */
function complete({ framedBy, ...answer }: Answer, reference: string): Answer {
  const common = framedBy ? framedHeaders(framedBy) : baseHeaders
  return { ...answer, headers: { ...common, 'broker-reference': reference, ...answer.headers } }
}
