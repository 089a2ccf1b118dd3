/** The parts that both kinds of client need of a page. */
import { BrokerError } from './broker-error.ts'
import type { Problem } from './broker-error.ts'

/**
 * @returns the JSON of a successful answer
 * @throws {BrokerError} for every other outcome; `unreachable` where the broker did not answer
 */
export async function request<T>(url: string, init: RequestInit): Promise<T> {
  try {
    const response = await fetch(url, init)
    const answer = (await response.json()) as T & Problem
    if (response.ok) return answer
    throw new BrokerError(response.status, answer, undefined, Number(response.headers.get('retry-after')) || undefined)
  } catch (cause) {
    if (cause instanceof BrokerError) throw cause
    throw new BrokerError(0, { title: 'The broker is unreachable.' }, cause)
  }
}

/** Sets the defined values as parameters: `loginHint` becomes `login_hint`. */
export function addParameters(to: URLSearchParams, values: object): void {
  for (const [name, value] of Object.entries(values) as [string, string | undefined][]) {
    if (value !== undefined) to.set(name.replace(/[A-Z]/g, '_$&').toLowerCase(), value)
  }
}

export function ignore(): void {
  // The failure is in the state.
}

export function leave(url: string | URL): Promise<never> {
  location.assign(url)
  return new Promise<never>(ignore)
}

/** Rejects by the signal. The request goes on for the other callers that share it. */
export function abortable<T>(promise: Promise<T>, signal?: AbortSignal | null): Promise<T> {
  if (!signal) return promise
  const aborted = new Promise<never>((_, reject) => {
    signal.throwIfAborted()
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })
  return Promise.race([promise, aborted])
}

/** The claims of a Bearer challenge, in base64 or base64url. The status is 401, or 403 by some libraries of APIs. */
export function challengeOf({ headers }: Response): string | undefined {
  const [, claims] = /claims="([\w+/=-]+)"/i.exec(headers.get('www-authenticate') ?? '') ?? []
  return claims && atob(claims.replace(/-/g, '+').replace(/_/g, '/'))
}
