/** GET and POST /end-session: sign-out that an OAuth client starts by redirect. RP-Initiated Logout 1.0 §2. */
import { seeOther } from '../shared/http/answer.ts'
import type { Answer } from '../shared/http/answer.ts'
import { signedOutCookie } from '../shared/http/cookies.ts'
import type { EndedSession } from '../shared/oauth/rp-initiated-logout.ts'
import { endSsoCookie, markedClients } from '../shared/sign-in/sso-cookie.ts'
import type { Broker } from './compose/index.ts'
import { cookiesOf, parseQuery, readForm, refusePrefetch } from './request.ts'
import type { Handle } from './respond.ts'

type Parts = Pick<Broker, 'authorizationServer'>

export const endSessionByGet =
  ({ authorizationServer }: Parts): Handle =>
  async (request) => {
    refusePrefetch(request)
    return answer(await authorizationServer.endSession(parseQuery(request), markedClients(cookiesOf(request))))
  }

export const endSessionByPost =
  ({ authorizationServer }: Parts): Handle =>
  async (request) =>
    answer(await authorizationServer.endSession(await readForm(request), markedClients(cookiesOf(request))))

/** Ends the mark of this client alone. It ends here, since the provider may not return the browser. */
function answer({ redirectTo, clientId, isProven }: EndedSession): Answer {
  if (clientId === undefined) return seeOther(redirectTo)
  return seeOther(redirectTo, [signedOutCookie(clientId), ...(isProven ? [endSsoCookie(clientId)] : [])])
}
