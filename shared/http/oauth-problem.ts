/** A failure for an OAuth client: RFC 6749 §5.2, with our own code and reference beside it. */
import { oauthErrorOf } from '../errors/errors.ts'
import type { BrokerError } from '../errors/errors.ts'
import type { Answer } from './answer.ts'
import { json } from './answer.ts'
import { retryAfter } from './problem.ts'

export function oauthProblem(error: BrokerError, reference: string): Answer {
  const { code, status, members } = error
  // RFC 6749 §5.2: a description is ASCII.
  const description = error.remedy.replaceAll('’', "'")
  const body = { ...members, error: oauthErrorOf(code), error_description: description, code, reference }
  // What the request says about its grant, client or scope is 400 whatever a page would answer.
  const oauthStatus = status >= 500 || [405, 413, 415].includes(status) ? status : 400
  // RFC 6750 §3.1: an access token that is refused is a 401 with its own challenge.
  if (code === 'access_token_invalid') {
    return json(401, body, { 'www-authenticate': 'Bearer error="invalid_token"' })
  }
  return json(oauthStatus, body, retryAfter(error))
}
