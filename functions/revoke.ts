/** POST /revoke: ends the session of a refresh token. RFC 7009. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { callerOf, readForm } from './request.ts'
import type { Handle } from './respond.ts'

export const revoke =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async (request) => {
    await authorizationServer.revoke({
      fields: await readForm(request),
      origin: callerOf(request).origin,
      authorization: request.headers.get('authorization') ?? undefined,
    })
    // RFC 7009 §2.2: clients ignore the body. simple-oauth2 rejects a response that is not JSON.
    return json(200, {})
  }
