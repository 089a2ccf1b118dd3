/** POST /session/token: an access token for one of the front end's APIs. Answers as RFC 6749 §5.1. */
import { asBrokerError } from '../shared/errors/errors.ts'
import { json } from '../shared/http/answer.ts'
import { parseChallenge } from '../shared/front-ends/claims-challenge.ts'
import { scopesOf } from '../shared/front-ends/scopes.ts'
import { tokenAnswer } from '../shared/session/token-answer.ts'
import { withSignInUrl } from '../shared/sign-in/sign-in-url.ts'
import type { Broker } from './compose/index.ts'
import { callerOf, cookiesOf, parseQuery, readJson, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

type Parts = Pick<Broker, 'baseUrl' | 'frontEnds' | 'sessions' | 'accessTokens' | 'clock'>

export const sessionToken =
  ({ baseUrl, frontEnds, sessions, accessTokens, clock }: Parts): Handle =>
  async (request) => {
    const frontEnd = frontEnds.get(readParameter(parseQuery(request), 'frontend'), callerOf(request).origin)
    const { api, scope, claims } = await readJson(request, ['api', 'scope', 'claims'])
    const scopes = scopesOf(frontEnd, api, scope)
    const challenge = parseChallenge(claims)
    try {
      const token = await accessTokens.get(sessions.keyOf(frontEnd.id, cookiesOf(request)), scopes, challenge)
      return json(200, tokenAnswer(token, clock()))
    } catch (thrown) {
      throw withSignInUrl(asBrokerError(thrown), baseUrl, frontEnd, scopes)
    }
  }
