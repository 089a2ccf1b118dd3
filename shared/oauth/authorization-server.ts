/** The broker as authorization server to its OAuth clients: token, revocation, metadata. RFC 6749, 7009, 8414, 9207. */
import { urlOf } from '../http/routes.ts'
import { BrokerError } from '../errors/errors.ts'
import { accessTokenKey } from '../session/access-tokens.ts'
import type { AccessToken } from '../session/session-row.ts'
import type { Sessions } from '../session/sessions.ts'
import type { SignOut } from '../sign-out/sign-out.ts'
import { tokenAnswer } from '../session/token-answer.ts'
import type { TokenAnswer } from '../session/token-answer.ts'
import type { Funnel } from '../telemetry/flow-events.ts'
import type { Clock } from '../async/deadline.ts'
import { scopesOfOneApi } from '../front-ends/scopes.ts'
import type { Codes } from './authorization-codes.ts'
import { hasControlCharacter } from '../front-ends/front-ends.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { newGrantSecret } from './refresh-tokens.ts'
import type { RefreshHandles } from './refresh-tokens.ts'

/** A request of a client, parsed as far as the form goes; nothing in it is trusted. */
export interface ClientForm {
  readonly fields: URLSearchParams
  /** The header Origin, where the client is a browser's script. */
  readonly origin: string | undefined
}

export interface AuthorizationServer {
  /** @throws {BrokerError} what RFC 6749 §5.2 names, and `interaction_required` with the URL that asks for it */
  token(form: ClientForm): Promise<TokenAnswer>
  /** Ends the session of a refresh token; a token that is not this client's has no effect (RFC 7009 §2.2). */
  revoke(form: ClientForm): Promise<void>
  /** As sign-out by cookie: ends the session, and tells where the provider's is ended. */
  signOut(clientId: string, refreshToken: string, signedOutUrl: string | undefined): Promise<string>
  /** RFC 8414 §2. */
  metadata(): object
}

export interface AuthorizationServerOptions {
  readonly issuer: string
  readonly frontEnds: FrontEnds
  readonly codes: Codes
  readonly handles: RefreshHandles
  readonly sessions: Sessions
  readonly signOut: SignOut
  readonly funnel: Funnel
  readonly clock: Clock
}

const longest = 4096

export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const { issuer, frontEnds, codes, handles, sessions, funnel, clock } = options

  const answer = (token: AccessToken, refreshToken?: string) => tokenAnswer(token, clock(), refreshToken)

  const byCode = async (fields: URLSearchParams, client: FrontEnd): Promise<TokenAnswer> => {
    const { grant, wasReused } = await codes.take({
      code: required(fields, 'code'),
      clientId: client.id,
      redirectUri: optional(fields, 'redirect_uri'),
      codeVerifier: optional(fields, 'code_verifier'),
    })
    const token = grant.tokens.accessTokens[accessTokenKey(grant.scopes)]
    if (!token) throw new BrokerError('internal', { detail: 'a code without its access token' })
    const key = { frontEndId: client.id, place: grant.place, secret: newGrantSecret() }
    await funnel.track('session', { frontEnd: client.id, by: 'authorization_code' }, () =>
      sessions.beginGrant(key, grant.identity, grant.tokens, grant.scopes),
    )
    // Whoever used the code again found no session to end yet: it ends now, and the client learns at its first refresh.
    if (await wasReused()) await sessions.end(key)
    return answer(token, grant.tokens.refreshToken === undefined ? undefined : handles.first(key))
  }

  const byRefreshToken = async (fields: URLSearchParams, client: FrontEnd): Promise<TokenAnswer> => {
    const scope = optional(fields, 'scope')
    const scopes = scope === undefined ? undefined : scopesOfOneApi(client, scope)
    try {
      const used = await handles.use(required(fields, 'refresh_token'), client, scopes)
      return answer(used.token, used.handle)
    } catch (error) {
      if (!(error instanceof BrokerError) || error.code !== 'interaction_required') throw error
      throw withAuthorizationUrl(error, client)
    }
  }

  /** The request that asks for just what is missing; the client adds its own state, challenge and redirect URI. */
  const withAuthorizationUrl = (error: BrokerError, client: FrontEnd): BrokerError => {
    const url = new URL(urlOf(issuer, 'login'))
    url.searchParams.set('client_id', client.id)
    for (const name of ['scope', 'claims']) {
      const value = error.members[name]
      if (typeof value === 'string') url.searchParams.set(name, value)
    }
    return error.with({ members: { sign_in_url: url.href } })
  }

  const clientOf = ({ fields, origin }: ClientForm): FrontEnd => {
    // RFC 6749 §3.2: a parameter that stands twice is refused, also one that nobody reads.
    if (new Set(fields.keys()).size < fields.size) throw new BrokerError('parameter_repeated')
    const client = frontEnds.find(required(fields, 'client_id'))
    if (client?.kind !== 'oauth') throw new BrokerError('client_unknown')
    // Public clients hold no secret; one that is sent is somebody's mistake, and must not look like a proof.
    if (fields.has('client_secret') || fields.has('client_assertion')) throw new BrokerError('client_unknown')
    if (origin !== undefined && !client.origins.includes(origin)) throw new BrokerError('request_not_from_front_end')
    return client
  }

  return {
    token: async (form) => {
      const client = clientOf(form)
      const by = required(form.fields, 'grant_type')
      const grant = by === 'authorization_code' ? byCode : by === 'refresh_token' ? byRefreshToken : undefined
      if (!grant) throw new BrokerError('grant_type_unsupported')
      return funnel.track('token', { frontEnd: client.id, by }, () => grant(form.fields, client))
    },

    revoke: async (form) => {
      const client = clientOf(form)
      await funnel.track('sign_out', { frontEnd: client.id, by: 'revocation' }, async (step) => {
        const key = await handles.findKey(required(form.fields, 'token'), client.id)
        step.about({ sessions: key && (await sessions.end(key)) ? 1 : 0 })
      })
    },

    signOut: async (clientId, refreshToken, signedOutUrl) => {
      const client = frontEnds.find(clientId)
      if (client?.kind !== 'oauth') throw new BrokerError('client_unknown')
      return options.signOut.begin(client, await handles.findKey(refreshToken, client.id), signedOutUrl)
    },

    metadata: () => ({
      issuer,
      authorization_endpoint: urlOf(issuer, 'login'),
      token_endpoint: urlOf(issuer, 'token'),
      revocation_endpoint: urlOf(issuer, 'revoke'),
      jwks_uri: urlOf(issuer, 'jwks'),
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      grant_types_supported: ['authorization_code', 'refresh_token'],
      code_challenge_methods_supported: ['S256'],
      token_endpoint_auth_methods_supported: ['none'],
      revocation_endpoint_auth_methods_supported: ['none'],
      authorization_response_iss_parameter_supported: true,
      prompt_values_supported: ['none', 'login', 'select_account', 'consent'],
    }),
  }
}

function required(fields: URLSearchParams, name: string): string {
  const value = optional(fields, name)
  if (value === undefined)
    throw new BrokerError('parameter_invalid', { members: { parameter: name, problem: 'missing' } })
  return value
}

/** RFC 6749 §3.1: a parameter without a value is as if it were left out. */
function optional(fields: URLSearchParams, name: string): string | undefined {
  const value = fields.get(name)
  if (value === null || value === '') return undefined
  if (value.length > longest || hasControlCharacter(value)) {
    throw new BrokerError('parameter_invalid', {
      members: { parameter: name, problem: 'too long, or with control characters' },
    })
  }
  return value
}
