/** POST /logout: ends the session here; the answer says where to send the browser to end it at the provider. */
import { json } from '../shared/http/answer.ts'
import { endSessionCookie } from '../shared/http/cookies.ts'
import type { Broker } from './compose.ts'
import { callerOf, cookiesOf, parseQuery, readJson, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

export const logout =
  ({ frontEnds, sessions, signOut }: Pick<Broker, 'frontEnds' | 'sessions' | 'signOut'>): Handle =>
  async (request) => {
    const frontEnd = frontEnds.get(readParameter(parseQuery(request), 'frontend'), callerOf(request).origin)
    const { return_url: signedOutUrl } = await readJson(request, ['return_url'])
    const url = await signOut.begin(frontEnd, sessions.keyOf(frontEnd.id, cookiesOf(request)), signedOutUrl)
    return { ...json(200, { url }), cookies: [endSessionCookie(frontEnd.id)] }
  }
