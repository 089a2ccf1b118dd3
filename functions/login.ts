/** GET /login: starts a sign-in and redirects to the identity provider. RFC 6749 §4.1.1. */
import { BrokerError } from '../shared/errors/errors.ts'
import { seeOther } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { callerOf, cookiesOf, parseQuery } from './request.ts'
import type { Handle } from './respond.ts'

export const login =
  ({ signIn }: Pick<Broker, 'signIn'>): Handle =>
  async (request) => {
    const purposes = ['sec-purpose', 'purpose', 'x-purpose', 'x-moz'].map((name) => request.headers.get(name) ?? '')
    if (purposes.some((purpose) => /prefetch|prerender|preview/i.test(purpose))) {
      throw new BrokerError('prefetch_refused')
    }
    const begun = await signIn.begin(parseQuery(request), {
      origin: callerOf(request).origin,
      cookies: cookiesOf(request),
      // Older browsers do not send the header.
      isNavigation: (request.headers.get('sec-fetch-dest') ?? 'document') === 'document',
    })
    return seeOther(begun.authorizationUrl, begun.cookies)
  }

/** HEAD starts no sign-in. */
export const loginHead = (): Handle => () => Promise.resolve({ status: 204 })
