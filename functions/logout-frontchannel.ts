/**
 * GET /logout/frontchannel: the provider's sign-out page reports, in a frame, that its session ended.
 * Front-Channel Logout 1.0 §3.
 */
import type { Broker } from './compose/index.ts'
import { browserOf, parseQuery, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

export const logoutFrontchannel =
  ({ providerLogout }: Pick<Broker, 'providerLogout'>): Handle =>
  async (request) => {
    const query = parseQuery(request)
    const [issuer, sessionId] = [readParameter(query, 'iss'), readParameter(query, 'sid')]
    const framedBy = await providerLogout.byFrame(issuer, sessionId, browserOf(request))
    return { status: 200, framedBy }
  }
