/** The token endpoint of AD FS: its checks and its answers around oidc-provider's grants. */
import { randomUUID, X509Certificate } from 'node:crypto'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { ScriptedError } from '../entra-error.ts'
import { replaceBody } from '../request-body.ts'
import type { TokenForm } from '../provider-request.ts'
import type { TokenAnswer } from '../token-answer.ts'
import { checkAdfsAssertion } from './adfs-assertion.ts'
import { AdfsError, adfsErrorAnswer } from './adfs-error.ts'
import { readAdfsScopes } from './adfs-scopes.ts'
import type { FederationParts } from './adfs-parts.ts'

/** @param failure the detail with which oidc-provider refused this request */
export async function answerAdfsTokenRequest(
  parts: FederationParts,
  ctx: KoaContextWithOIDC,
  form: TokenForm,
  { next, failure }: { readonly next: () => Promise<unknown>; readonly failure: () => string | undefined },
): Promise<void> {
  try {
    await authenticate(parts, ctx, form)
    const scripted = parts.faults.takeTokenError(form['grant_type'])
    if (scripted) {
      send(ctx, 400, describe(scripted))
      return
    }
    const requested = form['scope'] === undefined ? undefined : readAdfsScopes(form, parts.apis)
    if (form['grant_type'] === 'refresh_token') checkRefreshToken(parts, form['refresh_token'] ?? '')

    // The client is authenticated; scope and resource are decided here.
    const passedOn = new URLSearchParams(form)
    for (const name of ['scope', 'resource', 'client_assertion', 'client_assertion_type']) passedOn.delete(name)
    replaceBody(ctx, passedOn.toString())
    await next()
    if (ctx.status !== 200) throw new AdfsError(nameOf(form['grant_type'], failure()))

    const source = ctx.oidc.entities.AuthorizationCode ?? ctx.oidc.entities.RefreshToken
    const scopes = requested ?? readAdfsScopes({ scope: [...(source?.scopes ?? [])].join(' ') }, parts.apis)
    const person = parts.directory.findEnabled(ctx.oidc.entities.Account?.accountId ?? '')
    if (!person) throw new AdfsError('refresh_token_invalid')
    const answer = ctx.body as TokenAnswer
    const issued = Math.floor(Date.now() / 1000)
    const made: TokenAnswer = {
      access_token: await parts.keys.sign({
        aud: scopes.resource,
        iss: parts.accessTokenIssuer,
        iat: issued,
        nbf: issued,
        exp: issued + parts.behaviour.accessTokenSeconds,
        apptype: 'Confidential',
        appid: form['client_id'],
        authmethod: 'http://schemas.microsoft.com/ws/2008/06/identity/authenticationmethod/password',
        auth_time: new Date().toISOString(),
        ver: '1.0',
        scp: [...scopes.names, ...(scopes.openid ? ['openid'] : [])].join(' '),
        sub: person.objectId,
        upn: person.username,
        jti: randomUUID(),
      }),
      token_type: 'bearer',
      expires_in: parts.behaviour.accessTokenSeconds,
      resource: scopes.resource,
      scope: 'openid',
      // A refresh returns no further refresh token, unless the person chose to stay signed in.
      ...(form['grant_type'] === 'authorization_code' && parts.behaviour.refreshTokens
        ? { refresh_token: answer['refresh_token'], refresh_token_expires_in: 28_800 }
        : {}),
      ...(answer['id_token'] === undefined ? {} : { id_token: answer['id_token'] }),
    }
    const change = parts.change()
    ctx.body = change ? await change({ answer: made, form, signIdToken: parts.keys.sign }) : made
  } catch (error) {
    if (!(error instanceof AdfsError)) throw error
    send(ctx, error.kind.status, adfsErrorAnswer(error))
  }
}

async function authenticate(parts: FederationParts, ctx: KoaContextWithOIDC, form: TokenForm): Promise<void> {
  if (!ctx.secure) throw new AdfsError('client_authentication')
  const client = parts.clients.find(({ clientId }) => clientId === form['client_id'])
  if (!client) throw new AdfsError('client_unknown')
  await checkAdfsAssertion(form['client_assertion'] ?? '', {
    clientId: client.clientId,
    certificates: client.certificates.map((der) => new X509Certificate(der)),
    clockToleranceSeconds: parts.behaviour.clockToleranceSeconds,
    audiences: [parts.tokenUrl, parts.tokenUrl.replace(/\/$/, '')],
  })
}

function checkRefreshToken(parts: FederationParts, token: string): void {
  if (parts.behaviour.refreshTokensExpired) throw new AdfsError('refresh_token_expired')
  if (parts.store.isRevoked(token)) throw new AdfsError('refresh_token_invalid')
}

function nameOf(grantType: string | undefined, failure = '') {
  if (grantType === 'authorization_code') return 'code_invalid'
  if (grantType !== 'refresh_token') return 'grant_type_unknown'
  return failure.includes('expired') ? 'refresh_token_expired' : 'refresh_token_invalid'
}

function describe({ error, error_description: description }: ScriptedError): object {
  return { error, ...(description === undefined ? {} : { error_description: description }) }
}

function send(ctx: KoaContextWithOIDC, status: number, body: object): void {
  ctx.status = status
  ctx.set('cache-control', 'no-store')
  ctx.body = body
}
