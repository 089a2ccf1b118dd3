/** GET /.well-known/jwks.json: the certificate's public key, for providers that read a jwks_uri. RFC 7517. */
import { keySet } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const jwks =
  ({ publishedKeys }: Pick<Broker, 'publishedKeys'>): Handle =>
  async () => {
    const { keys, cacheSeconds } = await publishedKeys()
    return keySet(keys, cacheSeconds)
  }
