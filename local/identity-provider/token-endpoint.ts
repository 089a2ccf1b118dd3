/** The token endpoint: Entra's checks and words around oidc-provider's grants. RFC 6749 §3.2, §5. */
import { randomUUID } from 'node:crypto'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { checkClientAssertion, checkFederatedAssertion } from './client-assertion.ts'
import { currentCertificates } from './configuration.ts'
import type { RegisteredClient, Surroundings } from './configuration.ts'
import { EntraError, describeError, errorAnswer, nameProviderFailure } from './entra-error.ts'
import type { ErrorAnswer, ProviderFailure } from './entra-error.ts'
import type { Faults } from './faults.ts'
import type { TokenForm } from './provider-request.ts'
import { replaceBody } from './request-body.ts'
import type { SignIdToken } from './signing-keys.ts'
import { entraTokenAnswer, issuerOf, requestedScopes } from './token-answer.ts'
import type { TokenAnswer } from './token-answer.ts'

/** The means with which a test changes an answer: the answer, its request, and a signing function. */
export interface TokenChange {
  readonly answer: TokenAnswer
  readonly form: TokenForm
  readonly signIdToken: SignIdToken
}

/** Returns what is sent in place of the answer. */
export type ChangeTokenResponse = (change: TokenChange) => TokenAnswer | Promise<TokenAnswer>

/** Makes an application's own token (client credentials) for a resource, which checks it. */
export type ApplicationTokens = (clientId: string, audience: string) => Promise<{ token: string; seconds: number }>

interface TokenEndpoint {
  readonly around: Surroundings
  readonly clients: readonly RegisteredClient[]
  readonly faults: Faults
  readonly change: () => ChangeTokenResponse | undefined
  readonly applicationTokens: ApplicationTokens | undefined
  /** The error with which oidc-provider refused this request. */
  readonly failure: (ctx: KoaContextWithOIDC) => ProviderFailure | undefined
}

export async function answerTokenRequest(
  endpoint: TokenEndpoint,
  ctx: KoaContextWithOIDC,
  form: TokenForm,
  next: () => Promise<unknown>,
): Promise<void> {
  const { around, faults } = endpoint
  try {
    const replacement = await authenticateClient(endpoint, ctx, form)
    const scripted = faults.takeTokenError(form['grant_type'])
    if (scripted) {
      send(ctx, 400, describeError(scripted))
      return
    }

    if (form['grant_type'] === 'client_credentials' && endpoint.applicationTokens) {
      if (around.isForMany) throw new EntraError('tenant_not_named')
      ctx.status = 200
      ctx.body = await applicationToken(endpoint.applicationTokens, form)
      return
    }

    requestedScopes(form, around)
    checkRevoked(form, around)
    // Which API a token is for is decided here; oidc-provider refuses at refresh what the sign-in did not name.
    const passedOn = new URLSearchParams(form)
    passedOn.delete('scope')
    if (replacement !== undefined) passedOn.set('client_assertion', replacement)
    replaceBody(ctx, passedOn.toString())
    await next()

    const failure = endpoint.failure(ctx)
    if (failure?.detail.includes('must only be used once')) {
      // No number: Entra accepts a repeated jti, so it has none for this.
      send(ctx, 401, describeError({ error: 'invalid_client', error_description: 'The assertion was used before.' }))
      return
    }
    // Known, and its assertion valid, a moment ago: the key was removed in between.
    if (failure?.error === 'invalid_client') throw new EntraError('certificate_unknown')
    if (ctx.status !== 200) throw new EntraError(failure ? nameProviderFailure(failure) : 'request_invalid')
    const answer = await entraTokenAnswer(ctx, form, around)
    const change = endpoint.change()
    ctx.body = change ? await change({ answer, form, signIdToken: around.keys.sign }) : answer
  } catch (error) {
    if (!(error instanceof EntraError)) throw error
    send(ctx, error.kind.status, errorAnswer(error))
  }
}

/** RFC 6749 §4.4, for one resource's `.default` as in Entra. */
async function applicationToken(tokens: ApplicationTokens, form: TokenForm): Promise<TokenAnswer> {
  const resource = /^(\S+)\/\.default$/.exec(form['scope'] ?? '')?.[1]
  if (resource === undefined) throw new EntraError('scope_unknown', `[${form['scope'] ?? ''}]`)
  const { token, seconds } = await tokens(form['client_id'] ?? '', resource)
  return { token_type: 'Bearer', expires_in: seconds, ext_expires_in: seconds, access_token: token }
}

/** @returns an assertion for oidc-provider in place of a federated token, which it would not accept */
async function authenticateClient(
  { around, clients }: TokenEndpoint,
  ctx: KoaContextWithOIDC,
  form: TokenForm,
): Promise<string | undefined> {
  if (!ctx.secure) throw new EntraError('transport_insecure')
  const clientId = form['client_id']
  if (clientId === undefined) throw new EntraError('parameter_missing', "['client_id']")
  const client = clients.find((candidate) => candidate.clientId === clientId)
  if (!client) throw new EntraError('application_unknown', `[${clientId}]`)
  const assertion = form['client_assertion']
  if (assertion === undefined) throw new EntraError('assertion_missing')
  if (client.plainAssertions) return undefined

  const { origin, paths, settings, authority } = around
  const audience = settings.assertionAudience === 'issuer' ? issuerOf(origin, authority) : `${origin}${paths.token}`
  const now = Math.floor(Date.now() / 1000)
  if (client.federated && (await checkFederatedAssertion(assertion, clientId, client.federated))) {
    const claims = { iss: clientId, sub: clientId, aud: audience, jti: randomUUID(), iat: now, exp: now + 60 }
    // Without a key id: oidc-provider knows this client's keys by other ones.
    return around.keys.sign(claims, { kid: undefined })
  }
  await checkClientAssertion(assertion, {
    clientId,
    certificates: await currentCertificates(client),
    audiences: [audience],
    now,
  })
  return undefined
}

function checkRevoked(form: TokenForm, { store }: Surroundings): void {
  const token = form['refresh_token']
  if (token !== undefined && store.isRevoked(token)) throw new EntraError('refresh_token_revoked')
}

function send(ctx: KoaContextWithOIDC, status: number, body: ErrorAnswer): void {
  ctx.status = status
  ctx.set('cache-control', 'no-store')
  ctx.body = body
}
