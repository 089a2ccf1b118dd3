/** Makes Entra's token answer from oidc-provider's: a JWT for one API, its scopes in full, `client_info`. */
import { randomUUID } from 'node:crypto'
import { decodeJwt } from 'jose'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { isContinuous, requestedContexts } from './authentication-contexts.ts'
import { personClaims, tenantOf } from './configuration.ts'
import type { Surroundings } from './configuration.ts'
import { EntraError } from './entra-error.ts'
import { pairwiseSubject } from './people.ts'
import type { Person } from './people.ts'
import type { TokenForm } from './provider-request.ts'
import { resolveScopes, splitScope } from './scopes.ts'
import type { ResolvedScopes } from './scopes.ts'

export type TokenAnswer = Record<string, unknown>

/**
 * The scopes of a token request: its own, or else those of the sign-in.
 *
 * @throws {EntraError} as {@link resolveScopes}
 */
export function requestedScopes(form: TokenForm, { apis }: Surroundings): ResolvedScopes | undefined {
  const requested = splitScope(form['scope'])
  return requested.length === 0 ? undefined : resolveScopes(requested, apis)
}

export async function entraTokenAnswer(
  ctx: KoaContextWithOIDC,
  form: TokenForm,
  around: Surroundings,
): Promise<TokenAnswer> {
  const { entities } = ctx.oidc
  const source = entities.AuthorizationCode ?? entities.RefreshToken
  const person = around.directory.findEnabled(entities.Account?.accountId ?? '')
  const clientId = entities.Client?.clientId
  if (!source || !person || clientId === undefined) throw new Error('A token answer without a grant behind it.')

  const scopes = requestedScopes(form, around) ?? resolveScopes([...source.scopes], around.apis)
  const answer = ctx.body as TokenAnswer
  const idToken = await idTokenOf(answer['id_token'], person, around)
  const contexts = around.store.contextsOf(source.grantId)
  const missing = requestedContexts(form['claims']).filter((context) => !contexts.includes(context))
  if (missing.length > 0) {
    const claims = { access_token: { acrs: { essential: true, values: missing } } }
    throw new EntraError('second_factor_needed', '', JSON.stringify(claims))
  }
  const continuous = isContinuous(form['claims'])
  const { accessTokenSeconds, continuousAccessSeconds } = around.settings
  const seconds = (continuous && continuousAccessSeconds) || accessTokenSeconds
  const more = { ...(contexts.length > 0 ? { acrs: contexts } : {}), ...(continuous ? { xms_cc: ['cp1'] } : {}) }
  return {
    token_type: 'Bearer',
    scope: scopes.full.join(' '),
    expires_in: seconds,
    ext_expires_in: seconds,
    access_token: await accessToken({ person, clientId, scopes, sessionUid: source.sessionUid, seconds, more }, around),
    ...(answer['refresh_token'] === undefined ? {} : { refresh_token: answer['refresh_token'] }),
    ...(idToken === undefined ? {} : { id_token: idToken }),
    ...(form['client_info'] === '1' ? { client_info: clientInfo(person, tenantOf(person, around)) } : {}),
  }
}

/**
 * At an authority for many tenants, oidc-provider signs in the name of the authority; Entra in the name of the tenant.
 */
async function idTokenOf(token: unknown, person: Person, around: Surroundings): Promise<unknown> {
  if (!around.isForMany || typeof token !== 'string') return token
  return around.keys.sign({ ...decodeJwt(token), iss: issuerOf(around.origin, tenantOf(person, around)) })
}

interface AccessTokenOf {
  readonly person: Person
  readonly clientId: string
  readonly scopes: ResolvedScopes
  readonly sessionUid: string | undefined
  readonly seconds: number
  readonly more: object
}

function accessToken(of: AccessTokenOf, around: Surroundings): Promise<string> {
  const { person, clientId, scopes, sessionUid } = of
  const { origin, keys } = around
  const tenantId = tenantOf(person, around)
  const issued = Math.floor(Date.now() / 1000)
  const { oid, tid, sid, ver, name, preferred_username } = personClaims(person, tenantId, sessionUid)
  return keys.sign({
    aud: scopes.audience,
    iss: issuerOf(origin, tenantId),
    iat: issued,
    nbf: issued,
    exp: issued + of.seconds,
    ...of.more,
    ...{ oid, tid, sid, ver, name, preferred_username },
    azp: clientId,
    // 2: the application proved itself by a certificate.
    azpacr: '2',
    scp: scopes.names.join(' '),
    sub: pairwiseSubject(tenantId, scopes.audience, person.objectId),
    uti: randomUUID(),
  })
}

export function issuerOf(origin: string, tenantId: string): string {
  return `${origin}/${tenantId}/v2.0`
}

/** The account for MSAL's cache: a guest has the tenant that the account comes from. */
export function clientInfo({ objectId, homeTenantId }: Person, tenantId: string): string {
  return Buffer.from(JSON.stringify({ uid: objectId, utid: homeTenantId ?? tenantId })).toString('base64url')
}
