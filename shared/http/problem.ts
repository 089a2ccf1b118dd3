/** Problem details (RFC 9457): an error as programs receive it. */
import { errorCatalogue } from '../errors/catalogue.ts'
import type { BrokerError } from '../errors/errors.ts'
import type { Answer } from './answer.ts'

/** @param reference the invocation's trace id, which the log has too */
export function problem(error: BrokerError, reference: string): Answer {
  const { title, responsible } = errorCatalogue[error.code]
  const { status, remedy } = error
  return {
    status,
    headers: {
      'content-type': 'application/problem+json; charset=utf-8',
      ...retryAfter(error),
    },
    body: JSON.stringify({
      ...error.members,
      type: `about:blank#${error.code}`,
      title,
      status,
      detail: remedy,
      code: error.code,
      responsible,
      reference,
    }),
  }
}

export function retryAfter(error: BrokerError): Readonly<Record<string, string>> {
  return error.status === 503 ? { 'retry-after': String(error.retryAfterSeconds ?? 5) } : {}
}
