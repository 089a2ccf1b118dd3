/** POST and GET /callback: receives the identity provider's response and redeems the code. RFC 6749 §4.1.2. */
import { BrokerError } from '../shared/errors/errors.ts'
import { goTo } from '../shared/http/pages.ts'
import { parseCallback } from '../shared/sign-in/authorization-response.ts'
import type { Broker } from './compose/index.ts'
import { browserOf, parseQuery, readForm } from './request.ts'
import type { Handle } from './respond.ts'

export const callbackByPost =
  ({ signIn }: Pick<Broker, 'signIn'>): Handle =>
  async (request) => {
    if (parseQuery(request).size > 0) throw new BrokerError('answer_invalid', { detail: 'body and query' })
    const answer = parseCallback(await readForm(request), 'form_post', request.params?.provider)
    const { redirectTo, cookies } = await signIn.complete(answer, browserOf(request))
    return goTo(redirectTo, cookies)
  }

export const callbackByGet =
  ({ signIn }: Pick<Broker, 'signIn'>): Handle =>
  async (request) => {
    const answer = parseCallback(parseQuery(request), 'query', request.params?.provider)
    const { redirectTo, cookies } = await signIn.complete(answer, browserOf(request))
    return goTo(redirectTo, cookies)
  }
