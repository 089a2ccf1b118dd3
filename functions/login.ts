/**
 * GET /login: starts a sign-in and redirects to the identity provider. RFC 6749 §4.1.1.
 * POST: an OAuth client's request, or a sign-in that the identity provider starts.
 */
import { isNavigation } from '../shared/front-ends/same-site-guard.ts'
import { seeOther } from '../shared/http/answer.ts'
import { repeatByGet } from '../shared/sign-in/login-request.ts'
import type { Broker } from './compose/index.ts'
import { callerOf, cookiesOf, parseQuery, readFormAsQuery, refusePrefetch } from './request.ts'
import type { Handle } from './respond.ts'

export const login =
  ({ signIn }: Pick<Broker, 'signIn'>): Handle =>
  async (request) => {
    refusePrefetch(request)
    const caller = callerOf(request)
    const begun = await signIn.begin(parseQuery(request), {
      origin: caller.origin,
      cookies: cookiesOf(request),
      isNavigation: isNavigation(caller),
    })
    if ('url' in begun) return seeOther(begun.url, begun.cookies)
    const { providerPage } = await import('../shared/http/provider-page.ts')
    return providerPage(begun.choices)
  }

/** HEAD starts no sign-in. */
export const loginHead = (): Handle => () => Promise.resolve({ status: 204 })

export const loginByPost =
  ({ baseUrl }: Pick<Broker, 'baseUrl'>): Handle =>
  async (request) =>
    seeOther(repeatByGet(await readFormAsQuery(request), baseUrl))
