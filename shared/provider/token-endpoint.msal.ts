/**
 * The token endpoint by MSAL. One ConfidentialClientApplication a request: it costs microseconds, and a shared one
 * grows slower with every person. Decisions rest on `error`, `suberror` and `error_codes`, never on text.
 */
import { ConfidentialClientApplication, LogLevel, ProtocolMode } from '@azure/msal-node'
import type { AuthenticationResult, INetworkModule, NetworkRequestOptions, NetworkResponse } from '@azure/msal-node'
import type { ClientAssertions } from '../credential/client-assertion.ts'
import type { ClientAssertion } from '../credential/sign-assertion.ts'
import { randomText } from '../crypto/pkce.ts'
import { BrokerError } from '../errors/errors.ts'
import { isText } from '../json/json.ts'
import type { Network } from '../http/network.ts'
import type { Clock } from '../async/deadline.ts'
import type { IdentityProvider, Json, ProviderMetadata, TokenRequestKind } from './provider.ts'
import type { ClientCredentials, RedeemedCode, TokenEndpoint } from './token-endpoint.ts'
import {
  checkRefreshAnswer,
  checkSignInAnswer,
  checkStatus,
  checkTokenAnswer,
  lifeSecondsOf,
  tokensOf,
} from './token-response.ts'

interface MsalOptions {
  readonly provider: Pick<IdentityProvider, 'profile' | 'issuer' | 'clientId' | 'redirectUri' | 'metadata'>
  readonly assertions: ClientAssertions
  readonly network: Network
  readonly clock: Clock
}

const mostRepeats = 2

export function createMsalTokenEndpoint(options: MsalOptions): TokenEndpoint & ClientCredentials {
  const { provider, clock } = options
  const { profile, redirectUri } = provider

  return {
    redeemCode: async (code, transaction): Promise<RedeemedCode> => {
      const answer = await exchange(
        {
          kind: 'code',
          ask: (client) =>
            client.acquireTokenByCode({
              code,
              redirectUri,
              scopes: [...transaction.scopes],
              codeVerifier: transaction.codeVerifier,
              nonce: transaction.nonce,
            }),
          check: checkSignInAnswer,
        },
        options,
      )
      return { ...tokensOf(answer, transaction.scopes, { profile, clock }), idToken: answer.id_token as string }
    },

    refresh: async (refreshToken, scopes, of, challenge) => {
      const answer = await exchange(
        {
          kind: 'refresh',
          ask: (client) =>
            client.acquireTokenByRefreshToken({
              refreshToken,
              scopes: [...scopes],
              forceCache: true,
              ...(challenge === undefined ? {} : { claims: challenge }),
            }),
          check: (json) => checkRefreshAnswer(json, of, provider),
        },
        options,
      )
      const { id_token: idToken } = answer
      return { ...tokensOf(answer, scopes, { profile, clock }), ...(isText(idToken) ? { idToken } : {}) }
    },

    clientToken: async (scope, assertion) => {
      const ask: Call['ask'] = (client) => client.acquireTokenByClientCredential({ scopes: [scope] })
      try {
        const answer = await exchangeBy(assertion, { kind: 'client', ask, check: checkTokenAnswer }, options)
        return answer.access_token as string
      } catch (error) {
        throw blamesCertificate(error) ? new BrokerError('certificate_refused', { cause: error }) : error
      }
    },

    probe: async (assertion) => {
      const [code, codeVerifier] = [randomText(), randomText()]
      const ask: Call['ask'] = (client) =>
        client.acquireTokenByCode({ code, redirectUri, scopes: ['openid'], codeVerifier })
      try {
        await exchangeBy(assertion, { kind: 'code', ask, check: checkSignInAnswer }, options)
      } catch (error) {
        if (error instanceof BrokerError && error.code === 'code_refused') return
        throw blamesCertificate(error) ? new BrokerError('certificate_refused', { cause: error }) : error
      }
    },
  }
}

/** One exchange: the call of MSAL, and the check of its answer. */
interface Call {
  readonly kind: TokenRequestKind
  readonly ask: (client: ConfidentialClientApplication) => Promise<AuthenticationResult | null>
  readonly check: (answer: Json) => void
}

/**
 * Repeats a request where the provider refuses the certificate: once with another version, and once with the second
 * credential, where the settings name one.
 */
async function exchange(call: Call, options: MsalOptions): Promise<Json> {
  const { provider, assertions } = options
  // Before the call of MSAL, so that a vault's fault keeps its code.
  let [sent] = await Promise.all([assertions.get(), provider.metadata()])
  for (let repeats = 0; ; repeats++) {
    try {
      const answer = await exchangeBy(sent, call, options)
      assertions.accepted(sent)
      return answer
    } catch (error) {
      const mayRepeat = blamesCertificate(error) && repeats < mostRepeats
      const other = mayRepeat ? await assertions.next(sent, repeats) : undefined
      if (other === undefined) throw error
      sent = other
    }
  }
}

/** Errors of responses that blame the certificate. */
const certificateRefusals = new WeakSet<object>()

function blamesCertificate(error: unknown): boolean {
  return error instanceof BrokerError && certificateRefusals.has(error)
}

/** Runs one MSAL call and reads the outcome from the wire: MSAL's error classes also read texts. */
async function exchangeBy(
  assertion: ClientAssertion,
  { kind, ask, check }: Call,
  { provider, network }: MsalOptions,
): Promise<Json> {
  const { profile } = provider
  const metadata = await provider.metadata()
  let outcome: { answer: Json } | { failure: unknown } | undefined

  const post = async (url: string, request?: NetworkRequestOptions): Promise<NetworkResponse<Json>> => {
    try {
      if (withoutQuery(url) !== withoutQuery(metadata.tokenEndpoint))
        throw new BrokerError('internal', { detail: 'unexpected address' })
      const answer = await network({
        method: 'POST',
        url: metadata.tokenEndpoint,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: profile.tokenRequest(new URLSearchParams(request?.body ?? ''), metadata).toString(),
      })
      checkStatus(answer, (json) => {
        const refusal = profile.readRefusal(json, kind)
        if (refusal.blamesCertificate) certificateRefusals.add(refusal.error)
        return refusal.error
      })
      check(answer.json)
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

  try {
    await ask(clientOf(provider, metadata, assertion, kind, post))
  } catch (error) {
    if (!outcome) throw new BrokerError('internal', { detail: 'MSAL sent no request', cause: error })
    if ('failure' in outcome) throw outcome.failure
    // The answer itself was in order, so it is the ID token that MSAL could not read, or whose nonce is not ours.
    throw new BrokerError('id_token_refused', { detail: `MSAL: ${codeOf(error)}`, cause: error })
  }
  if (!outcome || !('answer' in outcome)) throw new BrokerError('internal', { detail: 'MSAL sent no request' })
  return outcome.answer
}

/** @param post sends MSAL's one request */
function clientOf(
  { profile, clientId, issuer }: MsalOptions['provider'],
  metadata: ProviderMetadata,
  assertion: ClientAssertion,
  kind: TokenRequestKind,
  post: (url: string, request?: NetworkRequestOptions) => Promise<NetworkResponse<Json>>,
): ConfidentialClientApplication {
  // MSAL parses by a pattern of its own: an issuer with its port 443, or with other letters,
  // is no known authority to it.
  const { href: authority, host } = new URL(issuer)
  return new ConfidentialClientApplication({
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
}

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
 * others (`scope`, `client_info`, `suberror`, `error_description`) and fails where one has another form than at Entra
 * ID. At a refresh the refresh token that was just rotated would then be lost.
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
