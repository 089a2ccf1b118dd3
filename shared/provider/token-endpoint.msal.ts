/**
 * The token endpoint by MSAL. One ConfidentialClientApplication a request: it costs microseconds, and a shared one
 * grows slower with every person. Decisions rest on `error`, `suberror` and `error_codes`, never on text.
 */
import { ConfidentialClientApplication, LogLevel, ProtocolMode } from '@azure/msal-node'
import type { AuthenticationResult, INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import type { ClientAssertions } from '../credential/client-assertion.ts'
import type { ClientAssertion } from '../credential/sign-assertion.ts'
import { BrokerError } from '../errors/errors.ts'
import { randomText } from '../crypto/pkce.ts'
import { isAbsent, isText, secondsOf } from '../json/json.ts'
import type { Network, NetworkAnswer } from '../http/network.ts'
import type { Clock } from '../async/deadline.ts'
import { checkAudience } from './id-token.ts'
import { tokenIssuerOf } from './identity.ts'
import type { Identity } from './identity.ts'
import type { IdentityProvider, Json, ProviderMetadata, TokenRequestKind } from './provider.ts'
import { readClaims } from './signed-token.ts'
import type { ClientCredentials, RedeemedCode, TokenEndpoint } from './token-endpoint.ts'

export interface MsalOptions {
  readonly provider: Pick<IdentityProvider, 'profile' | 'issuer' | 'clientId' | 'redirectUri' | 'metadata'>
  readonly assertions: ClientAssertions
  readonly network: Network
  readonly clock: Clock
}

const mostRepeats = 2
/** The longest lifetime of an access token that the broker believes. */
const longestLifeSeconds = 86_400

/**
 * An access token of an API that evaluates access continuously lives up to 28 hours. The provider reports a block to the
 * broker only at a renewal, so such a token is renewed as often as the usual one of an hour.
 */
const renewalSeconds = 3600

/**
 * The lifetime of an access token whose response names none (RFC 6749 §5.1). Short, since an expired token would reach
 * an API: with a refresh token it costs one more renewal, without one the API's own answer sends the person to sign in.
 */
const unnamedLifeSeconds = 600

export function createMsalTokenEndpoint(options: MsalOptions): TokenEndpoint & ClientCredentials {
  const { profile, issuer, clientId, redirectUri } = options.provider
  // MSAL parses by a pattern of its own: an issuer with its port 443, or with other letters, is no known authority to it.
  const { href: authority, host } = new URL(issuer)
  const aboutCertificate = new WeakSet<object>()

  /**
   * Repeats a request where the provider refuses the certificate: once with another version, and once with the second
   * credential, where the settings name one.
   */
  const exchange = async (...call: Call): Promise<Json> => {
    // Before the call of MSAL, so that a vault's fault keeps its code.
    const [metadata, assertion] = await Promise.all([options.provider.metadata(), options.assertions.get()])
    let sent = assertion
    for (let repeats = 0; ; repeats++) {
      try {
        const answer = await exchangeBy(metadata, sent, ...call)
        options.assertions.accepted(sent)
        return answer
      } catch (error) {
        const mayRepeat = isRefusal(error) && repeats < mostRepeats
        const other = mayRepeat ? await options.assertions.next(sent, repeats) : undefined
        if (other === undefined) throw error
        sent = other
      }
    }
  }
  const isRefusal = (error: unknown) => error instanceof BrokerError && aboutCertificate.has(error)

  /** Runs one MSAL call and reads the outcome from the wire: MSAL's error classes also read texts. */
  const exchangeBy = async (
    metadata: ProviderMetadata,
    assertion: ClientAssertion,
    ...[kind, ask, read]: Call
  ): Promise<Json> => {
    let outcome: { answer: Json } | { failure: unknown } | undefined

    const post = async (url: string, request?: NetworkRequestOptions): Promise<NetworkResponse<Json>> => {
      try {
        if (withoutQuery(url) !== withoutQuery(metadata.tokenEndpoint))
          throw new BrokerError('internal', { detail: 'unexpected address' })
        const answer = await options.network({
          method: 'POST',
          url: metadata.tokenEndpoint,
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          body: profile.tokenRequest(new URLSearchParams(request?.body ?? ''), metadata).toString(),
        })
        checkStatus(answer, (json) => {
          const { error, blamesCertificate } = profile.readRefusal(json, kind)
          if (blamesCertificate) aboutCertificate.add(error)
          return error
        })
        read(answer.json)
        outcome = { answer: answer.json }
        return {
          status: answer.status,
          headers: { ...answer.headers },
          body: forMsal(answer.json, kind),
        }
      } catch (failure) {
        outcome = { failure }
        throw failure
      }
    }
    const client = new ConfidentialClientApplication({
      auth: {
        clientId,
        authority,
        authorityMetadata: documentOf(metadata),
        knownAuthorities: [host],
        clientAssertion: () => Promise.resolve(assertion.jwt),
        // A request of the application itself has no person whom a challenge could reach.
        clientCapabilities: kind === 'client' ? [] : [...profile.clientCapabilities],
      },
      system: {
        protocolMode: ProtocolMode[profile.protocolMode],
        networkClient: { sendPostRequestAsync: post, sendGetRequestAsync: noGet } as unknown as INetworkModule,
        loggerOptions: { logLevel: LogLevel.Error, piiLoggingEnabled: false, loggerCallback: () => undefined },
      },
    })

    try {
      await ask(client)
    } catch (error) {
      if (!outcome) throw new BrokerError('internal', { detail: 'MSAL sent no request', cause: error })
      if ('failure' in outcome) throw outcome.failure
      // The answer itself was in order, so it is the ID token that MSAL could not read, or whose nonce is not ours.
      throw new BrokerError('id_token_refused', { detail: `MSAL: ${codeOf(error)}`, cause: error })
    }
    if (!outcome || !('answer' in outcome)) throw new BrokerError('internal', { detail: 'MSAL sent no request' })
    return outcome.answer
  }

  /** @param requested the scope of the request, which is the one of an answer that names none (RFC 6749 §5.1) */
  const tokensOf = (answer: Json, requested: readonly string[]) => {
    const life = Math.min(lifeSecondsOf(answer) ?? 0, longestLifeSeconds)
    const isContinuous = profile.clientCapabilities.length > 0 && life > 2 * renewalSeconds
    return {
      accessToken: answer.access_token as string,
      accessTokenExpires: options.clock() + life * 1000,
      ...(isContinuous ? { renewAfter: options.clock() + renewalSeconds * 1000 } : {}),
      scope: scopeOf(answer) ?? requested.join(' '),
      refreshToken: isText(answer.refresh_token) ? answer.refresh_token : undefined,
    }
  }

  return {
    redeemCode: async (code, transaction): Promise<RedeemedCode> => {
      const answer = await exchange(
        'code',
        (client) =>
          client.acquireTokenByCode({
            code,
            redirectUri,
            scopes: [...transaction.scopes],
            codeVerifier: transaction.codeVerifier,
            nonce: transaction.nonce,
          }),
        checkSignInAnswer,
      )
      return { ...tokensOf(answer, transaction.scopes), idToken: answer.id_token as string }
    },

    refresh: async (refreshToken, scopes, of, challenge) => {
      const answer = await exchange(
        'refresh',
        (client) =>
          client.acquireTokenByRefreshToken({
            refreshToken,
            scopes: [...scopes],
            forceCache: true,
            ...(challenge === undefined ? {} : { claims: challenge }),
          }),
        (read) => checkRefreshAnswer(read, of, options.provider),
      )
      const { id_token: idToken } = answer
      return { ...tokensOf(answer, scopes), ...(isText(idToken) ? { idToken } : {}) }
    },

    clientToken: async (scope, assertion) => {
      const metadata = await options.provider.metadata()
      try {
        const answer = await exchangeBy(
          metadata,
          assertion,
          'client',
          (client) => client.acquireTokenByClientCredential({ scopes: [scope] }),
          checkTokenAnswer,
        )
        return answer.access_token as string
      } catch (error) {
        throw isRefusal(error) ? new BrokerError('certificate_refused', { cause: error }) : error
      }
    },

    probe: async (assertion) => {
      const [code, codeVerifier] = [randomText(), randomText()]
      const ask = (client: ConfidentialClientApplication) =>
        client.acquireTokenByCode({ code, redirectUri, scopes: ['openid'], codeVerifier })
      try {
        await exchangeBy(await options.provider.metadata(), assertion, 'code', ask, checkSignInAnswer)
      } catch (error) {
        if (error instanceof BrokerError && error.code === 'code_refused') return
        throw isRefusal(error) ? new BrokerError('certificate_refused', { cause: error }) : error
      }
    },
  }
}

/** One exchange: the call of MSAL, and the check of its answer. */
type Call = readonly [
  kind: TokenRequestKind,
  ask: (client: ConfidentialClientApplication) => Promise<AuthenticationResult | null>,
  read: (answer: Json) => void,
]

/** The metadata in the form of Discovery, which MSAL reads at each call: the checked members only. */
function documentOf(metadata: ProviderMetadata): string {
  return JSON.stringify({
    issuer: metadata.issuer,
    authorization_endpoint: metadata.authorizationEndpoint,
    token_endpoint: metadata.tokenEndpoint,
    jwks_uri: metadata.jwksUri,
    end_session_endpoint: metadata.endSessionEndpoint,
  })
}

/**
 * The members of a checked answer that MSAL needs: at a sign-in it looks for the nonce in the ID token. It also reads
 * others (`scope`, `client_info`, `suberror`, `error_description`) and fails where one has another form than at Entra ID.
 * At a refresh the refresh token that was just rotated would then be lost.
 */
function forMsal(answer: Json, kind: TokenRequestKind): Json {
  const members = { token_type: 'Bearer', expires_in: lifeSecondsOf(answer) }
  return kind === 'code' ? { ...members, id_token: answer.id_token } : members
}

function withoutQuery(url: string): string {
  return url.split('?')[0] ?? ''
}

function codeOf(error: unknown): string {
  const { errorCode } = (error ?? {}) as { errorCode?: unknown }
  return typeof errorCode === 'string' ? errorCode : 'unknown'
}

/** MSAL receives the metadata and knows the authority, so it has no document to fetch. */
function noGet(): Promise<never> {
  return Promise.reject(new BrokerError('internal', { detail: 'MSAL requested a document' }))
}

/** RFC 6749 §5.2 requires status 400 for an error, and some providers send 200 with it. */
function checkStatus({ status, json }: NetworkAnswer, refuse: (answer: Json) => BrokerError): void {
  const isSuccess = status >= 200 && status < 300
  if (isText(json.error) && !(isSuccess && isText(json.access_token))) throw refuse(json)
  if (!isSuccess) throw invalid(`status ${status} without an error`)
}

/** RFC 6749 §5.1, strictly: MSAL would succeed with an empty token. */
function checkTokenAnswer(answer: Json): void {
  const { access_token, token_type } = answer
  if (!isText(access_token) || access_token.length > 64 * 1024) throw invalid('access_token')
  if (typeof token_type !== 'string' || token_type.toLowerCase() !== 'bearer') throw invalid('token_type')
  if (!((lifeSecondsOf(answer) ?? 0) > 0)) throw invalid('expires_in')
}

/** RFC 6749 §3.3: a text. Some providers send a list of texts. */
function scopeOf({ scope }: Json): string | undefined {
  if (Array.isArray(scope) && scope.length > 0 && scope.every(isText)) return scope.join(' ')
  return isText(scope) ? scope : undefined
}

/** @returns undefined where `expires_in` is neither a number, nor its digits as text, nor absent */
function lifeSecondsOf({ expires_in: named }: Json): number | undefined {
  return isAbsent(named) ? unnamedLifeSeconds : secondsOf(named)
}

function checkSignInAnswer(answer: Json): void {
  checkTokenAnswer(answer)
  if (!isText(answer.id_token)) throw invalid('id_token')
}

/** The person of a session, whom the tokens of a refresh have to be about. */
type Owner = Pick<Identity, 'issuer' | 'tokenIssuer' | 'subject' | 'tenantId' | 'objectId'>

/**
 * OpenID Connect Core §12.2: with an ID token about another person, or for another client, the tokens of the answer are
 * not this session's. Its signature proves no more than the connection that it came by (§3.1.3.7, 6). One that cannot be
 * read names no person, and the broker does not use it.
 */
function checkRefreshAnswer(answer: Json, of: Owner, { profile, clientId }: MsalOptions['provider']): void {
  checkTokenAnswer(answer)
  const claims = isText(answer.id_token) ? readClaims(answer.id_token) : undefined
  if (!claims) return
  const refuse = (claim: string) => new BrokerError('id_token_refused', { detail: `refresh: ${claim}` })
  if (claims.iss !== tokenIssuerOf(of)) throw refuse('iss')
  if (claims.sub !== of.subject) throw refuse('sub')
  if (claims.aud !== undefined) checkAudience(claims, clientId, refuse)
  profile.checkSamePerson(claims, of, refuse)
}

function invalid(what: string): BrokerError {
  return new BrokerError('provider_answer_invalid', { detail: `token answer: ${what}` })
}
