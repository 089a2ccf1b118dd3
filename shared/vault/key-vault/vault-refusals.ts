/** What a vault's refusals mean, however it was asked. */
import { BrokerError } from '../../errors/errors.ts'
import type { ErrorCode } from '../../errors/errors.ts'

/** @returns what an answer means that asks for patience; undefined for any other */
export function passing(status: number, retryAfter: string | undefined): BrokerError | undefined {
  const isBusy = status === 503 && retryAfter !== undefined
  if (status !== 429 && !isBusy) return undefined
  const seconds = Number(retryAfter)
  return new BrokerError(status === 429 ? 'vault_throttled' : 'vault_unavailable', {
    detail: `vault answered ${status}`,
    ...(Number.isFinite(seconds) && seconds > 0 ? { retryAfterSeconds: Math.min(seconds, 120) } : {}),
  })
}

/**
 * @param answered the status, or what happened in place of an answer
 * @param missing what a 404 means for this call
 */
export function refusal(answered: number | string, missing: ErrorCode, cause?: unknown, reason?: string): BrokerError {
  const detail = ['vault answered', answered, reason].filter((part) => part !== undefined).join(' ')
  return new BrokerError(codeOf(answered, missing), { cause, detail })
}

function codeOf(answered: number | string, missing: ErrorCode): ErrorCode {
  switch (answered) {
    case 401:
    case 403:
      return 'vault_forbidden'
    case 404:
      return missing
    default:
      return 'vault_unavailable'
  }
}
