/**
 * Faults on request: what a provider, or the network before it, can do to a client. In process and by a local route.
 */
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { ScriptedError } from './entra-error.ts'

export type Endpoint = 'authorize' | 'token' | 'logout' | 'keys' | 'discovery' | 'sign-in' | 'admin-consent' | 'other'

/** POST adds a fault, DELETE ends all. No fault applies to it. */
export const faultsPath = '/local/faults'

export interface Fault {
  readonly endpoint: Endpoint | '*'
  /** Only for this grant type at the token endpoint. */
  readonly grantType?: string
  /** The number of times; without it, until the faults are cleared. */
  readonly times?: number
  /** Waits first, then applies the other members; alone it makes a slow provider. */
  readonly delayMs?: number
  /** Reads the request and never answers. */
  readonly hang?: boolean
  /** Ends the connection before the request is served. */
  readonly dropConnection?: boolean
  /** Does the work, then ends the connection: the answer is lost. */
  readonly loseAnswer?: boolean
  readonly status?: number
  /** Text as it is, another value as JSON. */
  readonly body?: unknown
  readonly contentType?: string
  readonly retryAfterSeconds?: number
}

/** An error that the token endpoint answers in place of tokens, once the client has proved who it is. */
export interface TokenError extends ScriptedError {
  readonly grantType?: string
  /** Once by default. */
  readonly times?: number
}

export class Faults {
  readonly #faults: { fault: Fault; left: number }[] = []
  readonly #tokenErrors: { error: TokenError; left: number }[] = []

  add(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? Infinity })
  }

  addTokenError(error: TokenError): void {
    this.#tokenErrors.push({ error, left: error.times ?? 1 })
  }

  clear(): void {
    this.#faults.length = 0
    this.#tokenErrors.length = 0
  }

  /** The fault for this request, counted as used. */
  take(endpoint: Endpoint, grantType: string | undefined): Fault | undefined {
    const found = this.#faults.find(
      ({ fault, left }) =>
        left > 0 &&
        (fault.endpoint === '*' || fault.endpoint === endpoint) &&
        (fault.grantType === undefined || fault.grantType === grantType),
    )
    if (found) found.left -= 1
    return found?.fault
  }

  takeTokenError(grantType: string | undefined): ScriptedError | undefined {
    const found = this.#tokenErrors.find(
      ({ error, left }) => left > 0 && (error.grantType === undefined || error.grantType === grantType),
    )
    if (!found) return undefined
    found.left -= 1
    const { error, error_codes, suberror, claims, error_description } = found.error
    return {
      error,
      ...(error_codes && { error_codes }),
      ...(suberror !== undefined && { suberror }),
      ...(claims !== undefined && { claims }),
      ...(error_description !== undefined && { error_description }),
    }
  }
}

/** The part of a Koa context that a fault needs. */
interface Answering {
  readonly req: IncomingMessage
  respond?: boolean | undefined
  status: number
  body: unknown
  type: string
  set(name: string, value: string): void
}

/** Applies the fault to a request; `work` serves the request without it. */
export async function commitFault(fault: Fault, ctx: Answering, work: () => Promise<unknown>): Promise<void> {
  if (fault.delayMs !== undefined) await setTimeout(fault.delayMs)

  if (fault.loseAnswer) await work()
  if (fault.loseAnswer || fault.dropConnection || fault.hang) {
    ctx.respond = false
    if (!fault.hang) ctx.req.socket.destroy()
    return
  }

  if (fault.status === undefined && fault.body === undefined) {
    await work()
    return
  }
  ctx.status = fault.status ?? 200
  if (fault.retryAfterSeconds !== undefined) ctx.set('retry-after', String(fault.retryAfterSeconds))
  ctx.body = typeof fault.body === 'string' ? fault.body : JSON.stringify(fault.body ?? {})
  ctx.type = fault.contentType ?? (typeof fault.body === 'string' ? 'text/plain' : 'application/json')
}
