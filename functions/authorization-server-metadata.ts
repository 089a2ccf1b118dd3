/** GET /.well-known/oauth-authorization-server: metadata for the configuration of OAuth clients. RFC 8414. */
import { json, text } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const authorizationServerMetadata =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async ({ params }) => {
    const metadata = await authorizationServer.findMetadata(params?.issuerPath)
    return metadata ? json(200, metadata) : text(404, 'not found')
  }
