/** GET /.well-known/jwks.json: the certificate's public key, for providers that read a jwks_uri. RFC 7517. */
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const jwks =
  ({ publishedKeys }: Pick<Broker, 'publishedKeys'>): Handle =>
  async () => {
    const { keys, cacheSeconds } = await publishedKeys()
    return {
      status: 200,
      headers: { 'content-type': 'application/jwk-set+json', 'cache-control': `public, max-age=${cacheSeconds}` },
      body: JSON.stringify({ keys }),
    }
  }
