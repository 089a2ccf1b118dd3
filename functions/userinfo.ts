/** GET and POST /userinfo: the claims about the person of an access token. OpenID Connect Core §5.3, RFC 6750 §2. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { bearerTokenOf, callerOf } from './request.ts'
import type { Handle } from './respond.ts'

export const userinfo =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async (request) =>
    json(200, await authorizationServer.userinfo(await bearerTokenOf(request), callerOf(request).origin))
