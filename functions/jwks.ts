/** GET /.well-known/jwks.json: the certificate's public key, for providers that read a jwks_uri. RFC 7517. */
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const jwks =
  ({ publishedKeys }: Pick<Broker, 'publishedKeys'>): Handle =>
  async () => {
    const { keys, cacheSeconds } = await publishedKeys()
    return {
      status: 200,
      // RFC 7517 §8.5.2 registers application/jwk-set+json, which some providers refuse (Glewlwyd).
      headers: { 'content-type': 'application/json', 'cache-control': `public, max-age=${cacheSeconds}` },
      body: JSON.stringify({ keys }),
    }
  }
