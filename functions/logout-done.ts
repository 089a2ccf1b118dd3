/** GET /logout/done: redirects from the provider's sign-out to the front end; with `handle`, posts to the provider. */
import { seeOther } from '../shared/http/answer.ts'
import { postingPage, signedOutPage } from '../shared/http/pages.ts'
import { endSsoCookie } from '../shared/sign-in/sso-cookie.ts'
import type { Broker } from './compose/index.ts'
import { cookiesOf, parseQuery, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

export const logoutDone =
  ({ signOut, findPageLinks }: Pick<Broker, 'signOut' | 'findPageLinks'>): Handle =>
  async (request) => {
    const query = parseQuery(request)
    const handle = readParameter(query, 'handle')
    if (handle !== undefined) {
      const form = await signOut.continueAtProvider(handle)
      return postingPage('Sign out', 'Continue to sign out at the identity provider.', form)
    }
    const completed = await signOut.complete(readParameter(query, 'state'))
    // Only the mark of the front end that signed out: another one's must not end by this address.
    const cookies = completed.frontEndId === undefined ? [] : [endSsoCookie(completed.frontEndId)]
    if ('redirectTo' in completed) return seeOther(completed.redirectTo, cookies)
    const ofBrowser = {
      route: 'sign-out',
      query,
      cookies: cookiesOf(request),
      error: { status: 200, frontEndId: undefined },
    } as const
    const links = completed.links.length > 0 ? completed.links : await findPageLinks(ofBrowser)
    return { ...signedOutPage(links), cookies }
  }
