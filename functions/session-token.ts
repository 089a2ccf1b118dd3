/** POST /session/token: an access token for one of the front end's APIs. Answers as RFC 6749 §5.1. */
import { asBrokerError, BrokerError } from '../shared/errors.ts'
import type { FrontEnd } from '../shared/frontend/front-ends.ts'
import { json } from '../shared/http/answer.ts'
import { scopesOf } from '../shared/session/access-tokens.ts'
import { signInUrl } from '../shared/signin/sign-in-url.ts'
import type { Broker } from './compose.ts'
import { callerOf, cookiesOf, parseQuery, readJson, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

type Parts = Pick<Broker, 'baseUrl' | 'frontEnds' | 'sessions' | 'accessTokens'>

export const sessionToken =
  ({ baseUrl, frontEnds, sessions, accessTokens }: Parts): Handle =>
  async (request) => {
    const frontEnd = frontEnds.get(readParameter(parseQuery(request), 'frontend'), callerOf(request).origin)
    const { api, scope } = await readJson(request, ['api', 'scope'])
    if (api === undefined) {
      throw new BrokerError('parameter_invalid', { members: { parameter: 'api', problem: 'missing' } })
    }
    const scopes = scopesOf(frontEnd, api, scope)
    try {
      const token = await accessTokens.get(sessions.keyOf(frontEnd.id, cookiesOf(request)), scopes)
      return json(200, {
        access_token: token.token,
        token_type: 'Bearer',
        expires_in: Math.max(0, Math.floor((token.expires - Date.now()) / 1000)),
        scope: token.scope,
      })
    } catch (thrown) {
      throw withSignInUrl(asBrokerError(thrown), baseUrl, frontEnd, scopes)
    }
  }

/** Tells where to go for what is missing: everything, or only what the provider asked for. */
function withSignInUrl(
  error: BrokerError,
  baseUrl: string,
  frontEnd: FrontEnd,
  scopes: readonly string[],
): BrokerError {
  const { code, detail, cause, members } = error
  const more = detail === undefined ? { cause } : { cause, detail }
  if (code === 'signed_out') {
    return new BrokerError(code, { ...more, members: { sign_in_url: signInUrl(baseUrl, frontEnd) } })
  }
  if (code !== 'interaction_required') return error
  const claims = typeof members.claims === 'string' ? members.claims : undefined
  return new BrokerError(code, { ...more, members: { sign_in_url: signInUrl(baseUrl, frontEnd, { claims, scopes }) } })
}
