import { describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../../shared/errors/catalogue.ts'
import { asBrokerError, BrokerError } from '../../../shared/errors/errors.ts'

describe('BrokerError.with', () => {
  const everything = {
    detail: 'a detail for the log',
    cause: new Error('the cause'),
    members: { parameter: 'scope' },
    retryAfterSeconds: 7,
    links: [{ text: 'Sign in again', url: 'https://app.example.com/' }],
    cookies: [{ name: '__Host-signin-1', value: '', sameSite: 'None', maxAge: 0 }],
    redirectTo: 'https://app.example.com/callback?error=access_denied',
  } as const

  it('keeps the code, the stack and every value that is not named', () => {
    const error = new BrokerError('provider_refused', everything)

    const more = error.with({ links: [] })

    expect(more).toBeInstanceOf(BrokerError)
    expect(more.stack).toBe(error.stack)
    expect(more).toMatchObject({ code: 'provider_refused', status: 403, ...everything, links: [] })
  })

  it.each(Object.keys(everything) as (keyof typeof everything)[])(
    'adds %s and changes the original nowhere',
    (name) => {
      const error = new BrokerError('provider_refused')
      const before = error[name]

      expect(error.with({ [name]: everything[name] })[name]).toEqual(everything[name])
      expect(error[name]).toEqual(before)
    },
  )
})

describe('asBrokerError', () => {
  it('returns a BrokerError as it is', () => {
    const error = new BrokerError('signed_out')

    expect(asBrokerError(error)).toBe(error)
  })

  it('turns any other value into `internal` and hides its message', () => {
    const error = asBrokerError(new Error('secret text'))

    expect(error).toMatchObject({ code: 'internal', status: 500, detail: undefined, members: {}, links: [] })
    expect(error.message).not.toContain('secret')
  })
})

describe('the error catalogue', () => {
  it.each(Object.entries(errorCatalogue))('describes %s in sentences', (_, { title, remedy }) => {
    for (const text of [title, remedy]) {
      expect(text).toMatch(/^[A-Z].*\.$/)
      // Plain technical English: docs/errors.md and every page are made of these sentences.
      expect(text).not.toMatch(/\b(somebody|nobody|anybody|whoever|tells?|told|stands?|mend(s|ed)?)\b/i)
    }
  })
})
