/** GET /.well-known/openid-configuration: metadata for OpenID Connect clients. OpenID Connect Discovery §4. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const openidConfiguration =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async () =>
    json(200, await authorizationServer.openidConfiguration())
