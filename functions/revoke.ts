/** POST /revoke: ends the session of a refresh token. RFC 7009. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { readClientForm } from './request.ts'
import type { Handle } from './respond.ts'

export const revoke =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async (request) => {
    await authorizationServer.revoke(await readClientForm(request))
    // RFC 7009 §2.2: clients ignore the body. simple-oauth2 rejects a response that is not JSON.
    return json(200, {})
  }
