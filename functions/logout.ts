/** POST /logout: ends the session; the answer has the URL that ends it at the provider. */
import { json } from '../shared/http/answer.ts'
import { endSessionCookie, signedOutCookie } from '../shared/http/cookies.ts'
import type { Broker } from './compose/index.ts'
import { callerOf, cookiesOf, parseQuery, readJson, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

type Parts = Pick<Broker, 'frontEnds' | 'sessions' | 'signOut' | 'authorizationServer'>

export const logout =
  ({ frontEnds, sessions, signOut, authorizationServer }: Parts): Handle =>
  async (request) => {
    const id = readParameter(parseQuery(request), 'frontend')
    const { return_url: signedOutUrl, refresh_token: refreshToken } = await readJson(request, [
      'return_url',
      'refresh_token',
    ])
    const { origin } = callerOf(request)
    if (refreshToken !== undefined) {
      return json(200, { url: await authorizationServer.signOut(id ?? '', refreshToken, signedOutUrl, origin) })
    }
    const frontEnd = frontEnds.get(id, origin)
    const url = await signOut.begin(frontEnd, sessions.keyOf(frontEnd.id, cookiesOf(request)), signedOutUrl, origin)
    return { ...json(200, { url }), cookies: [endSessionCookie(frontEnd.id), signedOutCookie(frontEnd.id)] }
  }
