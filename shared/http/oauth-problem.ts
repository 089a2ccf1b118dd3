/** An error as OAuth clients receive it: RFC 6749 §5.2, with the broker's code and reference as further members. */
import { oauthErrorOf } from '../errors/catalogue.ts'
import { asciiRemedy, faultyParameter } from '../errors/errors.ts'
import type { BrokerError } from '../errors/errors.ts'
import type { Answer } from './answer.ts'
import { json } from './answer.ts'
import { retryAfter } from './problem.ts'

/** @param authorization the header of the request; untrusted */
export function oauthProblem(error: BrokerError, reference: string, authorization?: string): Answer {
  const { code, status, members } = error
  const parameter = faultyParameter(error)
  const description = `${parameter === undefined ? '' : `Parameter ${parameter}. `}${asciiRemedy(error)}`
  const body = { ...members, error: oauthErrorOf(code), error_description: description, code, reference }
  // A fault in grant, client or scope is 400, also where a page has another status.
  const oauthStatus = status >= 500 || [405, 413, 415].includes(status) ? status : 400
  // RFC 6750 §3.1: a refused access token is a 401 with a challenge. It names no error where no token was sent.
  if (code === 'access_token_invalid' || code === 'access_token_missing') {
    const challenge = code === 'access_token_invalid' ? 'error="invalid_token"' : 'realm="userinfo"'
    return json(401, body, { 'www-authenticate': `Bearer ${challenge}` })
  }
  // RFC 6749 §5.2: a client that used a scheme of the header Authorization receives a 401 with that scheme.
  if (oauthErrorOf(code) === 'invalid_client' && /^basic /i.test(authorization ?? '')) {
    return json(401, body, { 'www-authenticate': 'Basic realm="token"' })
  }
  return json(oauthStatus, body, retryAfter(error))
}
