import { describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../../shared/errors/catalogue.ts'
import { BrokerError, parameterInvalid, parameterRepeated } from '../../../shared/errors/errors.ts'
import type { ErrorCode } from '../../../shared/errors/catalogue.ts'
import { oauthProblem } from '../../../shared/http/oauth-problem.ts'

const codes = Object.keys(errorCatalogue) as ErrorCode[]
const reported = (code: ErrorCode, options?: ConstructorParameters<typeof BrokerError>[1]) => {
  const { body, ...answer } = oauthProblem(new BrokerError(code, options), 'reference')
  return { ...answer, json: JSON.parse(body ?? '') as Record<string, string> }
}

describe('a failure for an OAuth client', () => {
  it.each(codes)('keeps to the characters of RFC 6749 §5.2: %s', (code) => {
    const { json } = reported(code)

    expect(json.error).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
    expect(json.error_description).toMatch(/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/)
  })

  it('names the faulty parameter in its description, which many libraries show alone', () => {
    const described = (error: BrokerError) =>
      (JSON.parse(oauthProblem(error, 'reference').body ?? '') as Record<string, string>).error_description

    expect(described(parameterInvalid('client_id', 'missing'))).toMatch(/^Parameter client_id: missing\. Correct /)
    expect(described(parameterRepeated('code'))).toBe('Parameter code. Send each parameter once.')
    expect(described(parameterRepeated('<b>'))).toBe('Parameter unknown. Send each parameter once.')
    expect(described(new BrokerError('grant_invalid'))).toBe(errorCatalogue.grant_invalid.remedy)
  })

  it.each(codes)('has a challenge where the status is 401 (RFC 9110 §15.5.2): %s', (code) => {
    const error = new BrokerError(code)
    for (const authorization of [undefined, 'Basic YXBwOg==', 'Bearer x']) {
      const { status, headers } = oauthProblem(error, 'reference', authorization)
      expect(status === 401).toBe(headers?.['www-authenticate'] !== undefined)
    }
  })

  it('is 400 for an invalid request, and 503 with Retry-After for a temporary fault', () => {
    expect(reported('grant_invalid')).toMatchObject({
      status: 400,
      json: { error: 'invalid_grant', reference: 'reference' },
    })
    expect(reported('signed_out')).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
    expect(reported('store_unavailable', { retryAfterSeconds: 7 })).toMatchObject({
      status: 503,
      headers: { 'retry-after': '7' },
      json: { error: 'temporarily_unavailable' },
    })
  })
})
