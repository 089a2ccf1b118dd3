/**
 * The result of a sign-in that succeeded: a session, whose cookie the browser receives; or, for an OAuth client, a
 * one-time code that opens the session later (RFC 6749 §4.1.2).
 */
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import type { Destination } from '../errors/errors.ts'
import { apiScopesOf } from '../front-ends/scopes.ts'
import { sessionCookie } from '../http/cookies.ts'
import type { Cookie } from '../http/cookies.ts'
import { defined } from '../json/json.ts'
import type { AuthorizationCodes } from '../oauth/authorization-codes.ts'
import type { ClientRequest } from '../oauth/authorization-request.ts'
import { answerTo } from '../oauth/client-answer.ts'
import { newGrantRow } from '../oauth/grant-key.ts'
import type { Identity } from '../provider/identity.ts'
import type { Providers } from '../provider/provider.ts'
import type { RedeemedCode } from '../provider/token-endpoint.ts'
import { accessTokenKey } from '../session/kept-access-token.ts'
import { keptIdToken } from '../session/kept-id-token.ts'
import { partitionOf } from '../session/session-row.ts'
import type { SessionTokens } from '../session/session-row.ts'
import type { Sessions } from '../session/sessions.ts'
import { ssoCookie } from './sso-cookie.ts'
import type { CurrentTransaction } from './transaction.ts'

export interface CompletedSignIn {
  readonly redirectTo: Destination
  readonly cookies: readonly Cookie[]
}

export interface SignInResultOptions {
  readonly providers: Pick<Providers, 'get'>
  readonly sessions: Pick<Sessions, 'begin' | 'end'>
  readonly codes: Pick<AuthorizationCodes, 'issue'>
  readonly ring: KeyRing
  readonly clock: Clock
  readonly baseUrl: string
  /** The lifetime of the single sign-on mark. */
  readonly absoluteSeconds: number
  readonly onFault: (error: unknown) => void
}

/**
 * @param identity of the verified ID token
 * @returns the front end's page with the session cookie, or the OAuth client's redirect URI with the code
 * @throws {BrokerError} `store_unavailable`, and the errors of the ring
 */
export async function issueResult(
  transaction: CurrentTransaction,
  identity: Identity,
  redeemed: RedeemedCode,
  options: SignInResultOptions,
): Promise<CompletedSignIn> {
  const { frontEndId, client, returnUrl, replaces } = transaction
  const tokens = tokensOf(transaction, redeemed, options)
  if (client) return issueCode(transaction, client, identity, tokens, options)
  const { sessions, onFault } = options
  const value = await sessions.begin(frontEndId, identity, tokens)
  // The session that this one replaces. If its removal fails, the sign-in still succeeds.
  if (replaces) await sessions.end({ rowKey: replaces }).catch(onFault)
  return { redirectTo: returnUrl, cookies: [sessionCookie(frontEndId, value)] }
}

async function issueCode(
  { frontEndId, scopes }: CurrentTransaction,
  client: ClientRequest,
  identity: Identity,
  tokens: SessionTokens,
  { codes, ring, clock, baseUrl, absoluteSeconds }: SignInResultOptions,
): Promise<CompletedSignIn> {
  const { redirectUri, codeChallenge, openid, otherScopes, nonce } = client
  const code = await codes.issue({
    clientId: frontEndId,
    redirectUri,
    codeChallenge,
    scopes: apiScopesOf(scopes),
    otherScopes,
    openid,
    nonce,
    identity,
    tokens,
    rowKey: { partition: partitionOf(identity, await ring.current()), row: newGrantRow() },
  })
  const until = clock() + absoluteSeconds * 1000
  const mark = { loginHint: identity.loginHint, until, provider: identity.provider }
  return { redirectTo: answerTo(client, baseUrl, { code }), cookies: [await ssoCookie(frontEndId, mark, ring)] }
}

/** The tokens that the session keeps. */
function tokensOf(
  { issuer, scopes: requested }: CurrentTransaction,
  redeemed: RedeemedCode,
  { providers, clock }: SignInResultOptions,
): SessionTokens {
  const { accessToken: token, accessTokenExpires: expires, renewAfter, scope, refreshToken } = redeemed
  const scopes = apiScopesOf(requested)
  const kept = { token, scope, obtainedAt: clock(), expires, ...defined({ renewAfter }) }
  const accessTokens = scopes.length > 0 ? { [accessTokenKey(scopes)]: kept } : {}
  const idToken = keptIdToken(providers.get(issuer), redeemed.idToken)
  return { refreshToken, accessTokens, ...defined({ idToken }) }
}
