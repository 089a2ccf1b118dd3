/** GET /.well-known/oauth-authorization-server: metadata for the configuration of OAuth clients. RFC 8414. */
import { json, text } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const authorizationServerMetadata =
  ({ authorizationServer, baseUrl }: Pick<Broker, 'authorizationServer' | 'baseUrl'>): Handle =>
  async ({ params }) => {
    // RFC 8414 §3.1 puts the issuer's path behind the well-known one. The path of another issuer has no metadata here.
    const issuerPath = params?.issuerPath?.replace(/\/$/, '') ?? ''
    const isOurs = issuerPath === '' || `/${issuerPath}` === new URL(baseUrl).pathname
    return isOurs ? json(200, await authorizationServer.metadata()) : text(404, 'not found')
  }
