/** GET /signup and GET /signup/consented: an administrator signs an organization up. */
import { seeOther } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { cookiesOf, parseQuery, refusePrefetch } from './request.ts'
import type { Handle } from './respond.ts'

export const signup =
  ({ signUp }: Pick<Broker, 'signUp'>): Handle =>
  async (request) => {
    refusePrefetch(request)
    const { url, cookies } = await signUp.begin(parseQuery(request))
    return seeOther(url, cookies)
  }

/** The provider's answer about the consent; the sign-in follows. */
export const signupConsented =
  ({ signUp }: Pick<Broker, 'signUp'>): Handle =>
  async (request) => {
    const { url, cookies } = await signUp.consented(parseQuery(request), cookiesOf(request))
    return seeOther(url, cookies)
  }
