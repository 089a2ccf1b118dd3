/**
 * GET /login: starts a sign-in and redirects to the identity provider. RFC 6749 §4.1.1.
 * POST: an OAuth client's request.
 */
import { BrokerError } from '../shared/errors/errors.ts'
import { seeOther } from '../shared/http/answer.ts'
import { urlOf } from '../shared/http/routes.ts'
import type { Broker } from './compose/index.ts'
import { callerOf, cookiesOf, parseQuery, readFormAsQuery, refusePrefetch } from './request.ts'
import type { Handle } from './respond.ts'

export const login =
  ({ signIn }: Pick<Broker, 'signIn'>): Handle =>
  async (request) => {
    refusePrefetch(request)
    const begun = await signIn.begin(parseQuery(request), {
      origin: callerOf(request).origin,
      cookies: cookiesOf(request),
      // Older browsers do not send the header.
      isNavigation: (request.headers.get('sec-fetch-dest') ?? 'document') === 'document',
    })
    if ('authorizationUrl' in begun) return seeOther(begun.authorizationUrl, begun.cookies)
    const { providerPage } = await import('../shared/http/provider-page.ts')
    return providerPage(begun.choices)
  }

/** HEAD starts no sign-in. */
export const loginHead = (): Handle => () => Promise.resolve({ status: 204 })

/**
 * OpenID Connect Core §3.1.2.1: a client may post its request. The browser repeats it by GET, with the cookies that a
 * post of another site does not carry.
 */
export const loginByPost =
  ({ baseUrl }: Pick<Broker, 'baseUrl'>): Handle =>
  async (request) => {
    const query = await readFormAsQuery(request)
    if (!query.get('client_id')) throw new BrokerError('method_not_allowed')
    return seeOther(`${urlOf(baseUrl, 'login')}?${query.toString()}`)
  }
