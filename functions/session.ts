/** GET /session: the person that is signed in at this front end, and the end of the session. */
import { BrokerError } from '../shared/errors/errors.ts'
import { pageOriginOf } from '../shared/front-ends/same-site-guard.ts'
import { json } from '../shared/http/answer.ts'
import { subjectOf } from '../shared/provider/identity.ts'
import { shownClaims } from '../shared/provider/registered-claims.ts'
import { signInUrl } from '../shared/sign-in/sign-in-url.ts'
import type { Broker } from './compose/index.ts'
import { callerOf, cookiesOf, parseQuery, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

export const session =
  ({
    baseUrl,
    frontEnds,
    sessions,
    telemetry,
  }: Pick<Broker, 'baseUrl' | 'frontEnds' | 'sessions' | 'telemetry'>): Handle =>
  async (request) => {
    const origin = pageOriginOf(callerOf(request), baseUrl)
    const frontEnd = frontEnds.get(readParameter(parseQuery(request), 'frontend'), origin)
    const key = sessions.keyOf(frontEnd.id, cookiesOf(request))
    const owner = key && (await sessions.findOwner(key))
    telemetry.count('broker.session.reads', { front_end: frontEnd.id, outcome: owner ? 'signed_in' : 'signed_out' })
    if (!owner) throw new BrokerError('signed_out', { members: { sign_in_url: signInUrl(baseUrl, frontEnd) } })

    const { identity } = owner
    const claims = shownClaims(identity.claims, frontEnd.claims)
    return json(200, {
      subject: subjectOf(identity),
      provider: identity.provider,
      object_id: identity.objectId,
      tenant_id: identity.tenantId,
      name: identity.name,
      username: identity.username,
      acr: identity.acr,
      authenticated_at: identity.authenticatedAt,
      claims: claims?.values,
      ...claims?.about,
      signed_in_at: seconds(owner.signedInAt),
      expires_at: seconds(owner.absoluteEnd),
      idle_expires_at: seconds(owner.idleEnd),
    })
  }

function seconds(milliseconds: number): number {
  return Math.floor(milliseconds / 1000)
}
