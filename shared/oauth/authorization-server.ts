/**
 * The broker as authorization server of its OAuth clients: token, revocation, metadata. RFC 6749, 7009, 8414, 9207.
 * This folder owns the protocol that clients speak, the codes and the refresh tokens. It does not own sessions
 * (`session/`), the way to the identity provider (`sign-in/`) or registrations (`front-ends/`).
 */
import { urlOf } from '../http/routes.ts'
import { BrokerError } from '../errors/errors.ts'
import { accessTokenKey } from '../session/access-tokens.ts'
import type { Sessions } from '../session/sessions.ts'
import type { SignOut } from '../sign-out/sign-out.ts'
import { tokenAnswer } from '../session/token-answer.ts'
import type { TokenAnswer } from '../session/token-answer.ts'
import type { Funnel } from '../telemetry/flow-events.ts'
import type { Clock } from '../async/deadline.ts'
import { scopesOfOneApi } from '../front-ends/scopes.ts'
import type { AuthorizationCodes } from './authorization-codes.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { clientOf, optional, required } from './client-request.ts'
import type { ClientForm } from './client-request.ts'
import { newGrantSecret } from './refresh-tokens.ts'
import type { RefreshTokens } from './refresh-tokens.ts'

export interface AuthorizationServer {
  /** @throws {BrokerError} the errors of RFC 6749 §5.2, and `interaction_required` with the URL that begins the interaction */
  token(form: ClientForm): Promise<TokenAnswer>
  /** Ends the session of a refresh token; a token of another client has no effect (RFC 7009 §2.2). */
  revoke(form: ClientForm): Promise<void>
  /**
   * Ends the session of a refresh token, like a sign-out by cookie.
   *
   * @param refreshToken untrusted
   * @param signedOutUrl untrusted; must be registered
   * @returns the URL that ends the session at the provider
   */
  signOut(clientId: string, refreshToken: string, signedOutUrl: string | undefined): Promise<string>
  /** RFC 8414 §2. */
  metadata(): object
}

export interface AuthorizationServerOptions {
  readonly issuer: string
  readonly frontEnds: FrontEnds
  readonly codes: AuthorizationCodes
  readonly refreshTokens: RefreshTokens
  readonly sessions: Sessions
  readonly signOut: SignOut
  readonly funnel: Funnel
  readonly clock: Clock
}

export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const { issuer, frontEnds, refreshTokens, sessions, funnel } = options
  return {
    token: async (form) => {
      const client = clientOf(form, frontEnds)
      const by = required(form.fields, 'grant_type')
      const grant = by === 'authorization_code' ? redeemCode : by === 'refresh_token' ? refreshSession : undefined
      if (!grant) throw new BrokerError('grant_type_unsupported')
      const step = funnel.begin('token', { frontEnd: client.id, by })
      try {
        const { answer, isRepeat } = await grant(form, client, options)
        step.end(isRepeat ? 'repeated' : undefined)
        return answer
      } catch (error) {
        throw step.fail(error)
      }
    },

    revoke: async (form) => {
      const client = clientOf(form, frontEnds)
      await funnel.track('sign_out', { frontEnd: client.id, by: 'revocation' }, async (step) => {
        const key = await refreshTokens.findKey(required(form.fields, 'token'), client.id)
        step.about({ sessions: key && (await sessions.end(key)) ? 1 : 0 })
      })
    },

    signOut: async (clientId, refreshToken, signedOutUrl) => {
      const client = frontEnds.find(clientId)
      if (client?.kind !== 'oauth') throw new BrokerError('client_unknown')
      return options.signOut.begin(client, await refreshTokens.findKey(refreshToken, client.id), signedOutUrl)
    },

    metadata: () => metadataOf(issuer),
  }
}

/** @param isRepeat true where the refresh token had been used before, within its grace */
interface Granted {
  readonly answer: TokenAnswer
  readonly isRepeat: boolean
}

type Grant = (form: ClientForm, client: FrontEnd, options: AuthorizationServerOptions) => Promise<Granted>

/** RFC 6749 §4.1.3: the session begins when the client brings its code. */
const redeemCode: Grant = async ({ fields }, client, { codes, refreshTokens, sessions, funnel, clock }) => {
  const { grant, lookAgain } = await codes.take({
    code: required(fields, 'code'),
    client,
    redirectUri: optional(fields, 'redirect_uri'),
    codeVerifier: optional(fields, 'code_verifier'),
  })
  const token = grant.tokens.accessTokens[accessTokenKey(grant.scopes)]
  if (!token) throw new BrokerError('internal', { detail: 'a code without its access token' })
  const key = { frontEndId: client.id, rowKey: grant.rowKey, secret: newGrantSecret() }
  await funnel.track('session', { frontEnd: client.id, by: 'authorization_code' }, () =>
    sessions.beginGrant(key, grant.identity, grant.tokens, grant.scopes),
  )
  // A second use, or a sign-out, found no session to end before this moment.
  const state = await lookAgain()
  if (state !== 'good') await sessions.end(key)
  if (state === 'signed out')
    throw new BrokerError('grant_invalid', { detail: 'signed out before the code was redeemed' })
  const refreshToken = grant.tokens.refreshToken === undefined ? undefined : refreshTokens.first(key)
  return { answer: tokenAnswer(token, clock(), refreshToken), isRepeat: false }
}

/** RFC 6749 §6. */
const refreshSession: Grant = async ({ fields, origin }, client, { issuer, refreshTokens, clock }) => {
  const scope = optional(fields, 'scope')
  const scopes = scope === undefined ? undefined : scopesOfOneApi(client, scope)
  const refreshToken = required(fields, 'refresh_token')
  try {
    const used = await refreshTokens.use({ refreshToken, client, scopes, origin })
    return { answer: tokenAnswer(used.token, clock(), used.refreshToken), isRepeat: used.isRepeat }
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'interaction_required') throw error
    throw withAuthorizationUrl(error, client, issuer)
  }
}

/** Adds the authorization request for the missing part; the client adds its own state, challenge and redirect URI. */
function withAuthorizationUrl(error: BrokerError, client: FrontEnd, issuer: string): BrokerError {
  const url = new URL(urlOf(issuer, 'login'))
  url.searchParams.set('client_id', client.id)
  for (const name of ['scope', 'claims']) {
    const value = error.members[name]
    if (typeof value === 'string') url.searchParams.set(name, value)
  }
  return error.with({ members: { sign_in_url: url.href } })
}

/** No `jwks_uri`: the published keys prove the broker to the identity provider, and sign nothing for a client. */
function metadataOf(issuer: string): object {
  return {
    issuer,
    authorization_endpoint: urlOf(issuer, 'login'),
    token_endpoint: urlOf(issuer, 'token'),
    revocation_endpoint: urlOf(issuer, 'revoke'),
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none'],
    revocation_endpoint_auth_methods_supported: ['none'],
    authorization_response_iss_parameter_supported: true,
    prompt_values_supported: ['none', 'login', 'select_account', 'consent'],
  }
}
