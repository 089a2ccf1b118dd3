/**
 * The broker as authorization server of its OAuth clients: token, revocation, metadata. RFC 6749, 7009, 8414, 9207.
 * This folder owns the protocol that clients speak, the codes and the refresh tokens. It does not own sessions
 * (`session/`), the way to the identity provider (`sign-in/`) or registrations (`front-ends/`).
 */
import { urlOf } from '../http/routes.ts'
import { withParameters } from '../http/url-parameters.ts'
import { BrokerError } from '../errors/errors.ts'
import { accessTokenKey } from '../session/kept-access-token.ts'
import type { Sessions } from '../session/sessions.ts'
import type { SignOut } from '../sign-out/sign-out.ts'
import { tokenAnswer } from '../session/token-answer.ts'
import type { TokenAnswer } from '../session/token-answer.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import type { Clock } from '../async/deadline.ts'
import { parseRefreshChallenge } from '../front-ends/claims-challenge.ts'
import { apiScopesIn, parseClientScopes } from '../front-ends/scopes.ts'
import type { Identity } from '../provider/identity.ts'
import type { Providers } from '../provider/provider.ts'
import type { AccessToken, SessionKey } from '../session/session-row.ts'
import type { RowKey } from '../store/store.ts'
import { endSession } from './rp-initiated-logout.ts'
import type { EndedSession } from './rp-initiated-logout.ts'
import { issueIdToken } from './issued-id-token.ts'
import { authorizationServerMetadata, isPathOf, openidProviderMetadata } from './server-metadata.ts'
import type { SigningAlgorithm, SigningKeys } from './signing-keys.ts'
import type { Userinfo } from './userinfo.ts'
import type { AuthorizationCodes, UsedCode } from './authorization-codes.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import type { ClientAuthentication } from './client-authentication.ts'
import { clientOf } from './client-request.ts'
import type { ClientForm } from './client-request.ts'
import { newGrantSecret } from './grant-key.ts'
import { optional, required } from './parameter.ts'
import type { PrepareAnswer } from './prepare-answer.ts'
import type { RefreshTokens } from './refresh-tokens.ts'

/** Libraries also revoke the access token, which has a size of the provider's choice. A form has no more. */
const longestToken = 64 * 1024

export interface AuthorizationServer {
  /**
   * @throws {BrokerError} the errors of RFC 6749 §5.2,
   *   and `interaction_required` with the URL that begins the interaction
   */
  token(form: ClientForm): Promise<TokenAnswer>
  /**
   * Ends the session of a refresh token, or of the access token of a client without an API. A token of another client
   * has no effect (RFC 7009 §2.2).
   */
  revoke(form: ClientForm): Promise<void>
  /**
   * Ends the session of a refresh token, like a sign-out by cookie.
   *
   * @param refreshToken untrusted
   * @param signedOutUrl untrusted; must be registered
   * @param origin of the page that signs out; untrusted
   * @returns the URL that ends the session at the provider
   */
  signOut(
    clientId: string,
    refreshToken: string,
    signedOutUrl: string | undefined,
    origin: string | undefined,
  ): Promise<string>
  /**
   * RFC 8414 §2.
   *
   * @param issuerPath the path behind the well-known one (§3.1); untrusted
   * @returns undefined for the path of another issuer
   */
  findMetadata(issuerPath: string | undefined): Promise<object | undefined>
  /** OpenID Connect Discovery §3. */
  openidConfiguration(): Promise<object>
  /** The public keys that verify ID tokens. RFC 7517 §5. */
  idTokenKeys(): Promise<readonly object[]>
  /** OpenID Connect Core §5.3; the parameters are those of `Userinfo.read`. */
  userinfo: Userinfo['read']
  /** RP-Initiated Logout 1.0; the parameter, the result and the errors are those of `endSession`. */
  endSession(fields: URLSearchParams, signedInAt: readonly string[]): Promise<EndedSession>
}

interface AuthorizationServerOptions {
  readonly issuer: string
  readonly frontEnds: FrontEnds
  readonly codes: AuthorizationCodes
  readonly refreshTokens: RefreshTokens
  readonly sessions: Sessions
  readonly signOut: SignOut
  readonly signingKeys: SigningKeys
  readonly userinfo: Userinfo
  readonly clientAuthentication: ClientAuthentication
  readonly providers: Pick<Providers, 'find'>
  readonly onFault: (error: unknown) => void
  readonly flowEvents: FlowEvents
  readonly clock: Clock
}

export function createAuthorizationServer(options: AuthorizationServerOptions): AuthorizationServer {
  const { issuer, frontEnds, refreshTokens, sessions, userinfo, flowEvents, clientAuthentication } = options
  const authenticate = async (form: ClientForm, endpoint: 'token' | 'revoke'): Promise<FrontEnd> => {
    const client = clientOf(form, frontEnds)
    await clientAuthentication.check(form.fields, client, endpoint)
    return client
  }
  return {
    token: async (form) => {
      const client = await authenticate(form, 'token')
      const by = required(form.fields, 'grant_type')
      const grant = by === 'authorization_code' ? redeemCode : by === 'refresh_token' ? refreshSession : undefined
      if (!grant) throw new BrokerError('grant_type_unsupported')
      const step = flowEvents.begin('token', { frontEnd: client.id, by })
      try {
        const { answer, isRepeat } = await grant(form, client, options)
        step.end(isRepeat ? 'repeated' : undefined)
        return answer
      } catch (error) {
        throw step.fail(error)
      }
    },

    revoke: async (form) => {
      const client = await authenticate(form, 'revoke')
      await flowEvents.track('sign_out', { frontEnd: client.id, by: 'revocation' }, async (step) => {
        const token = required(form.fields, 'token', longestToken)
        const key = await refreshTokens.findKey(token, client.id)
        // The access token of a client without an API is the broker's own, and its only token.
        const rowKey =
          key?.rowKey ?? (client.apis.length === 0 ? await userinfo.findSession(token, client.id) : undefined)
        step.add({ sessions: rowKey && (await sessions.end({ rowKey })) ? 1 : 0 })
      })
    },

    signOut: async (clientId, refreshToken, signedOutUrl, origin) => {
      const client = frontEnds.find(clientId)
      if (client?.kind !== 'oauth') throw new BrokerError('client_unknown')
      return options.signOut.begin(client, await refreshTokens.findKey(refreshToken, client.id), signedOutUrl, origin)
    },

    findMetadata: (issuerPath) =>
      Promise.resolve(isPathOf(issuer, issuerPath) ? authorizationServerMetadata(issuer) : undefined),
    openidConfiguration: () => Promise.resolve(openidProviderMetadata(issuer)),
    idTokenKeys: () => options.signingKeys.published(),
    userinfo: (accessToken, origin) => userinfo.read(accessToken, origin),
    endSession: (fields, signedInAt) => endSession(fields, signedInAt, { ...options, keys: options.signingKeys }),
  }
}

interface Granted {
  readonly answer: TokenAnswer
  /** True where the refresh token had been used before, within its grace. */
  readonly isRepeat: boolean
}

type Grant = (form: ClientForm, client: FrontEnd, options: AuthorizationServerOptions) => Promise<Granted>

/** RFC 6749 §4.1.3: the session begins when the client brings its code. */
const redeemCode: Grant = async ({ fields }, client, options) => {
  const used = await options.codes.take({
    code: required(fields, 'code'),
    client,
    redirectUri: required(fields, 'redirect_uri'),
    codeVerifier: required(fields, 'code_verifier'),
    resource: resourceOf(fields),
    prepare: prepareBy(client, options),
  })
  const key = { frontEndId: client.id, rowKey: used.grant.rowKey, secret: newGrantSecret() }
  try {
    return { answer: await beginSession(used, key, client, options), isRepeat: false }
  } catch (error) {
    // After a fault the client may send the code again. The session may have been written, so it ends first.
    await options.sessions.end(key).then(used.giveBack).catch(options.onFault)
    throw error
  }
}

async function beginSession(
  { grant, lookAgain }: UsedCode,
  key: SessionKey,
  client: FrontEnd,
  options: AuthorizationServerOptions,
): Promise<TokenAnswer> {
  const { identity, tokens, scopes, otherScopes = [], openid = [], nonce, rowKey } = grant
  const { refreshTokens, sessions, flowEvents } = options
  const hasApi = scopes.length > 0
  const person = { client, identity, openid, rowKey, nonce, hasApi }
  const token = hasApi
    ? tokens.accessTokens[accessTokenKey(scopes)]
    : await options.userinfo.issue({ clientId: client.id, identity, scopes: openid, claimNames: client.claims, rowKey })
  if (!token) throw new BrokerError('internal', { detail: 'a code without its access token' })
  const provider = options.providers.find(identity.issuer)?.id
  await flowEvents.track('session', { frontEnd: client.id, by: 'authorization_code', provider }, () =>
    sessions.beginGrant(key, identity, tokens, { grantedScopes: [...scopes, ...otherScopes], openid }),
  )
  // A second use, or a sign-out, found no session to end before this moment.
  const state = await lookAgain()
  if (state !== 'good') await sessions.end(key)
  if (state === 'signed out') throw new BrokerError('grant_invalid', { detail: 'signed out before /token' })
  const canRefresh = hasApi && tokens.refreshToken !== undefined
  return answerOf(token, canRefresh ? refreshTokens.first(key) : undefined, person, options)
}

/** RFC 6749 §6. */
const refreshSession: Grant = async ({ fields, origin }, client, options) => {
  const scope = optional(fields, 'scope')
  const requested = scope === undefined ? undefined : parseClientScopes(client, scope, options.frontEnds.all)
  const refreshToken = required(fields, 'refresh_token')
  try {
    const used = await options.refreshTokens.use({
      refreshToken,
      client,
      scopes: requested?.api,
      resource: resourceOf(fields),
      challenge: parseRefreshChallenge(optional(fields, 'claims')),
      origin,
      prepare: prepareBy(client, options),
    })
    const openid = requested?.openid ?? used.openid
    // A wider OpenID scope has no effect: the grant is known only after the refresh token is used, and the answer names
    // its scopes (RFC 6749 §5.1).
    const person = {
      client,
      identity: used.identity,
      openid: openid.filter((one) => used.openid.includes(one)),
      rowKey: used.rowKey,
      hasApi: true,
    }
    return { answer: await answerOf(used.token, used.refreshToken, person, options), isRepeat: used.isRepeat }
  } catch (error) {
    if (!(error instanceof BrokerError) || error.code !== 'interaction_required') throw error
    throw withAuthorizationUrl(error, client, options.issuer)
  }
}

/** RFC 8707 §2.2. @throws {BrokerError} `target_invalid` for several: an access token is for one API */
function resourceOf(fields: URLSearchParams): string | undefined {
  const [resource, ...others] = new Set(fields.getAll('resource').filter(Boolean))
  if (others.length > 0) throw new BrokerError('target_invalid')
  return resource
}

/** An instance that cannot read the keys of ID tokens yet must not use up a token that it cannot answer. */
function prepareBy(client: FrontEnd, { signingKeys }: AuthorizationServerOptions): PrepareAnswer {
  return async (openid) => {
    if (openid.includes('openid')) await signingKeys.check(algorithmOf(client))
  }
}

function algorithmOf({ idTokenAlgorithm = 'RS256' }: FrontEnd): SigningAlgorithm {
  return idTokenAlgorithm
}

interface Person {
  readonly client: FrontEnd
  readonly identity: Identity
  /** Granted OpenID scopes. */
  readonly openid: readonly string[]
  readonly rowKey: RowKey
  readonly nonce?: string | undefined
  /** False for a client that receives an access token for userinfo alone. */
  readonly hasApi: boolean
}

/** RFC 6749 §5.1; with `openid` also OpenID Connect Core §3.1.3.3. */
async function answerOf(
  token: AccessToken,
  refreshToken: string | undefined,
  { client, identity, openid, rowKey, nonce, hasApi }: Person,
  options: AuthorizationServerOptions,
): Promise<TokenAnswer> {
  const { issuer, signingKeys: keys, userinfo, clock, onFault } = options
  const answer = tokenAnswer(token, clock(), refreshToken)
  if (!openid.includes('openid')) return answer
  const scopes = openid.filter((one) => one !== 'offline_access' || refreshToken !== undefined)
  const algorithm = algorithmOf(client)
  const { id, claims: claimNames } = client
  const of = { audience: id, identity, scopes, claimNames, rowKey, nonce, accessToken: token.token }
  const grant = { clientId: id, identity, scopes, claimNames, rowKey }
  const [idToken] = await Promise.all([
    issueIdToken(of, { issuer, keys, algorithm, now: clock() }),
    // A fault here costs userinfo, and no sign-in. The broker's own token carries its grant.
    hasApi ? userinfo.register(token, grant).catch(onFault) : undefined,
  ])
  return { ...answer, scope: [...scopes, apiScopesIn(token.scope)].filter(Boolean).join(' '), id_token: idToken }
}

/** Adds the authorization request for the missing part; the client adds its own state, challenge and redirect URI. */
function withAuthorizationUrl(error: BrokerError, client: FrontEnd, issuer: string): BrokerError {
  const textOf = (name: string) => (typeof error.members[name] === 'string' ? error.members[name] : undefined)
  const missing = { scope: textOf('scope'), claims: textOf('claims'), provider: textOf('provider') }
  const url = withParameters(urlOf(issuer, 'login'), { client_id: client.id, ...missing })
  return error.with({ members: { sign_in_url: url } })
}
