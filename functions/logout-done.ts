/** GET /logout/done: back from the provider's sign-out, on to the front end's page. */
import { seeOther } from '../shared/http/answer.ts'
import { endKnownBrowserCookie } from '../shared/sign-in/sso-cookie.ts'
import type { Broker } from './compose/index.ts'
import { parseQuery, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

export const logoutDone =
  ({ signOut }: Pick<Broker, 'signOut'>): Handle =>
  async (request) =>
    // The browser is no longer one that signed in here.
    seeOther(await signOut.complete(readParameter(parseQuery(request), 'state')), [endKnownBrowserCookie])
