/** POST /token: exchanges an OAuth client's code or refresh token for an access token. RFC 6749 §4.1.3 and §6. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { readClientForm } from './request.ts'
import type { Handle } from './respond.ts'

export const token =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async (request) =>
    json(200, await authorizationServer.token(await readClientForm(request)), { pragma: 'no-cache' })
