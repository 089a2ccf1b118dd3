/** GET /.well-known/id-token-keys.json: the public keys that verify ID tokens of the broker. RFC 7517. */
import { keySet } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

/** A key is published for 24 hours before it signs, so an hour in a cache is never too long. */
const cacheSeconds = 3600

export const idTokenKeys =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async () =>
    keySet(await authorizationServer.idTokenKeys(), cacheSeconds)
