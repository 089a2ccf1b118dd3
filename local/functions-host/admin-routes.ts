/** Fires functions that no request triggers: the host's admin route, and the webhook that Event Grid delivers to. */
import type http from 'node:http'
import * as z from 'zod/mini'

import { bare } from './http-response.ts'
import type { Answer } from './http-response.ts'
import type { Invocation } from './invoke.ts'
import type { LoadedFunction } from './load-bundle.ts'
import type { RpcTypedData } from './rpc.ts'

/** Runs a function to its end; logs a failure before it throws. */
type Run = (fn: LoadedFunction, invocation: Invocation) => Promise<unknown>

const adminBody = z.object({ input: z.optional(z.unknown()) })

/**
 * `POST /admin/functions/NAME` with `{"input": …}`. Unlike in Azure the answer waits for the function, and
 * reports the outcome: 202 when it succeeded, 500 when it failed.
 *
 * @param input for a timer, members of its object; for Event Grid, the event (or the JSON text of one)
 */
export async function fireByAdmin(fn: LoadedFunction, body: unknown, run: Run): Promise<Answer> {
  if (fn.http) return bare(400, `${fn.name} is triggered by HTTP: send it a request.`, 'text/plain')
  const parsed = adminBody.safeParse(body ?? {})
  if (!parsed.success) return bare(400, 'The body has to be JSON such as {"input": {}}.', 'text/plain')
  const { input } = parsed.data
  return await outcome(run(fn, invocationOf(fn, typeof input === 'string' ? parseOrKeep(input) : input)))
}

const subscriptionValidation = z.object({ data: z.object({ validationCode: z.string() }) })

/** `POST /runtime/webhooks/EventGrid?functionName=NAME`, in the Event Grid schema: one array of events. */
export async function deliverEvents(
  fn: LoadedFunction,
  eventType: string | undefined,
  body: unknown,
  run: Run,
): Promise<Answer> {
  const events: unknown[] = Array.isArray(body) ? body : [body]
  if (eventType === 'SubscriptionValidation') {
    const validation = subscriptionValidation.safeParse(events[0])
    if (!validation.success) return bare(400)
    const response = { validationResponse: validation.data.data.validationCode }
    return bare(200, JSON.stringify(response), 'application/json')
  }
  if (eventType !== 'Notification') return bare(eventType === 'Unsubscribe' ? 202 : 400)
  return await outcome(Promise.all(events.map((event) => run(fn, invocationOf(fn, event)))))
}

/** The input of a function at `runOnStartup`, or when it is fired without input. */
export function invocationOf(fn: LoadedFunction, input?: unknown): Invocation {
  switch (fn.trigger.type.toLowerCase()) {
    case 'timertrigger':
      return { input: json(timerObject(isObject(input) ? input : {})) }
    case 'eventgridtrigger':
      // The event reaches the function as it is; the library changes the case of the copy in the metadata.
      return { input: json(input ?? {}), triggerMetadata: { data: json(isObject(input) ? input.data : null) } }
    default:
      return { input: json(input ?? {}) }
  }
}

/** The extension writes PascalCase, the library makes it camelCase. There is no schedule here: all times are now. */
function timerObject(changes: Record<string, unknown>): Record<string, unknown> {
  const now = new Date().toISOString()
  const pascal = Object.entries(changes).map(([name, value]) => [name.charAt(0).toUpperCase() + name.slice(1), value])
  return {
    Schedule: { AdjustForDST: true },
    ScheduleStatus: { Last: now, Next: now, LastUpdated: now },
    IsPastDue: false,
    ...(Object.fromEntries(pascal) as Record<string, unknown>),
  }
}

async function outcome(run: Promise<unknown>): Promise<Answer> {
  return await run.then(
    () => bare(202),
    () => bare(500),
  )
}

/** The body as JSON; `undefined` where there is none or it is not JSON. */
export async function readJson(request: http.IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const text = Buffer.concat(chunks).toString('utf8')
  const parsed = parseOrKeep(text)
  return parsed === text ? undefined : parsed
}

function parseOrKeep(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function json(value: unknown): RpcTypedData {
  return { json: JSON.stringify(value ?? null) }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
