/** GET /.well-known/oauth-authorization-server: metadata for the configuration of OAuth clients. RFC 8414. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const authorizationServerMetadata =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  () =>
    Promise.resolve(json(200, authorizationServer.metadata()))
