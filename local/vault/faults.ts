/** Faults on request: refusals, no answer, invalid answers, lost answers, each for a number of requests. */
import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import * as z from 'zod/mini'

/** The effects of a fault, apart from the operation that it applies to. */
export const faultEffects = {
  /** The status of the answer; the work is not done. */
  status: z.optional(z.int().check(z.gte(400), z.lte(599))),
  /** `Retry-After` of that answer. */
  retryAfterSeconds: z.optional(z.int().check(z.gte(0))),
  /** Waits first; without another effect it only delays the answer. */
  delayMs: z.optional(z.int().check(z.gte(0))),
  /** Accepts the request and never answers. */
  hang: z.optional(z.boolean()),
  /** Answers 200 (or `status`) with a page of HTML. */
  garbage: z.optional(z.boolean()),
  /** Ends the connection before the work is done. */
  dropConnection: z.optional(z.boolean()),
  /** Does the work, then ends the connection; with `hang`, it never answers. */
  loseAnswer: z.optional(z.boolean()),
  /** Number of requests; the default is all until it is cleared. */
  times: z.optional(z.int().check(z.gte(1))),
}

export type FaultEffects = { [Name in keyof typeof faultEffects]?: z.infer<(typeof faultEffects)[Name]> }

/** The pending faults, oldest first. */
export interface Faults<Fault extends FaultEffects> {
  /** @returns a function that removes this one fault */
  readonly add: (fault: Fault) => () => void
  readonly clear: () => void
  /** The oldest fault that applies; the call counts as one use. */
  readonly take: (applies: (fault: Fault) => boolean) => Fault | undefined
}

export function createFaults<Fault extends FaultEffects>(): Faults<Fault> {
  let waiting: { readonly fault: Fault; left: number }[] = []
  return {
    add: (fault) => {
      const entry = { fault, left: fault.times ?? Number.POSITIVE_INFINITY }
      waiting.push(entry)
      return () => {
        waiting = waiting.filter((other) => other !== entry)
      }
    },
    clear: () => {
      waiting = []
    },
    take: (applies) => {
      const entry = waiting.find(({ fault }) => applies(fault))
      if (entry) entry.left -= 1
      waiting = waiting.filter(({ left }) => left > 0)
      return entry?.fault
    },
  }
}

/**
 * Applies a fault to one answer.
 *
 * @param stopping ends a delay when the server closes
 * @param errorBody the JSON of a refusal with this status
 * @returns the remaining steps: the work and its answer, the work alone, or none
 */
export async function suffer(
  fault: FaultEffects | undefined,
  response: ServerResponse,
  stopping: AbortSignal,
  errorBody: (status: number) => object,
): Promise<'work and answer' | 'work' | 'nothing'> {
  if (!fault) return 'work and answer'
  if (fault.delayMs !== undefined) await delay(fault.delayMs, undefined, { signal: stopping })
  if (fault.hang && !fault.loseAnswer) return 'nothing'
  if (fault.dropConnection) {
    response.destroy()
    return 'nothing'
  }
  if (fault.retryAfterSeconds !== undefined) response.setHeader('Retry-After', fault.retryAfterSeconds)
  if (fault.garbage) {
    response.writeHead(fault.status ?? 200, { 'Content-Type': 'text/html' })
    response.end('<!doctype html><title>Our services are not available right now</title>')
    return 'nothing'
  }
  if (fault.status !== undefined) {
    response.writeHead(fault.status, { 'Content-Type': 'application/json; charset=utf-8' })
    response.end(JSON.stringify(errorBody(fault.status)))
    return 'nothing'
  }
  return fault.loseAnswer ? 'work' : 'work and answer'
}

/** After the work of a request whose answer is lost. */
export function loseAnswer(fault: FaultEffects | undefined, response: ServerResponse): void {
  if (!fault?.hang) response.destroy()
}
