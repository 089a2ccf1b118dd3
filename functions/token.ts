/** POST /token: exchanges an OAuth client's code or refresh token for an access token. RFC 6749 §4.1.3 and §6. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { callerOf, readForm } from './request.ts'
import type { Handle } from './respond.ts'

export const token =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async (request) => {
    const form = {
      fields: await readForm(request),
      origin: callerOf(request).origin,
      authorization: request.headers.get('authorization') ?? undefined,
    }
    return json(200, await authorizationServer.token(form), { pragma: 'no-cache' })
  }
