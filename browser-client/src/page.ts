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
    throw new BrokerError(answer, response)
  } catch (cause) {
    throw cause instanceof BrokerError ? cause : new BrokerError({}, {}, cause)
  }
}

/**
 * Sets the texts among the values as parameters: `loginHint` becomes `login_hint`. The event of a click has none, and
 * comes in place of options where a page writes `button.onclick = client.signIn`.
 */
export function addParameters(to: URLSearchParams, values: object): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'string') to.set(name.replace(/[A-Z]/g, '_$&').toLowerCase(), value)
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
  return new Promise((resolve, reject) => {
    // First, so that a failure after the abort is not reported as unhandled.
    promise.then(resolve, reject)
    signal?.throwIfAborted()
    signal?.addEventListener('abort', () => reject(signal.reason as Error))
  })
}

/** @param text base64 or base64url */
export function decode(text: string): string {
  return atob(text.replaceAll('-', '+').replaceAll('_', '/'))
}
