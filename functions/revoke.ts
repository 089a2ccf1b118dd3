/** POST /revoke: ends the session of a refresh token. RFC 7009. */
import type { Broker } from './compose/index.ts'
import { callerOf, readForm } from './request.ts'
import type { Handle } from './respond.ts'

export const revoke =
  ({ authorizationServer }: Pick<Broker, 'authorizationServer'>): Handle =>
  async (request) => {
    await authorizationServer.revoke({
      fields: await readForm(request),
      origin: callerOf(request).origin,
      authorization: request.headers.get('authorization') ?? undefined,
    })
    return { status: 200 }
  }
