/** A sign-in from beginning to end: sends the browser to the identity provider, and makes a session of its answer. */
import { BrokerError, asBrokerError } from '../errors.ts'
import type { WayOn } from '../errors.ts'
import { checkReturnUrl, isReturnUrl } from '../frontend/front-ends.ts'
import type { FrontEnds } from '../frontend/front-ends.ts'
import { endTransactionCookie, sessionCookie } from '../http/cookies.ts'
import type { Cookie, RequestCookies } from '../http/cookies.ts'
import { accessTokenKey } from '../session/access-tokens.ts'
import type { KeyRing } from '../session/key-ring.ts'
import type { Sessions } from '../session/sessions.ts'
import type { Store } from '../session/store.ts'
import type { Clock } from '../timing/deadline.ts'
import { authorizationUrl, checkHints, signInScopes } from './authorization-request.ts'
import type { LoginParameters } from './authorization-request.ts'
import { checkAnswer, takeCode } from './callback.ts'
import type { CallbackAnswer, CheckedCode } from './callback.ts'
import { checkIdToken } from './id-token.ts'
import type { IdentityProvider } from './identity-provider.ts'
import type { TokenEndpoint } from './redeem.ts'
import { signInUrl } from './sign-in-url.ts'
import {
  checkTransaction,
  endOldest,
  frontEndIdOf,
  newState,
  openTransaction,
  randomText,
  sealTransaction,
  transactionCookieName,
} from './transaction.ts'
import type { CurrentTransaction, ResponseMode, Transaction } from './transaction.ts'

export interface SignIn {
  /**
   * @param parameters of `/login`, parsed
   * @param origin the header Origin, where a browser sent one
   * @returns where to send the browser, and the cookies to set
   * @throws {BrokerError} what is wrong with the request, before anything is begun
   */
  begin(
    parameters: LoginParameters,
    origin: string | undefined,
    cookies: RequestCookies,
  ): Promise<{ authorizationUrl: string; cookies: readonly Cookie[] }>
  /**
   * @returns the front end's return URL, and the cookies to set: none for an answer that comes a second time
   * @throws {FailedSignIn} with the transaction's cookie to end, where there is one
   */
  complete(
    answer: CallbackAnswer,
    cookies: RequestCookies,
  ): Promise<{ returnUrl: string; cookies: readonly Cookie[]; frontEndId: string }>
}

/** A sign-in that failed after it was recognised: its cookie ends, and the page knows the way on. */
export class FailedSignIn extends BrokerError {
  readonly cookies: readonly Cookie[]

  constructor(error: BrokerError, cookies: readonly Cookie[], waysOn: BrokerError['waysOn']) {
    super(error.code, {
      members: error.members,
      waysOn,
      cause: error.cause,
      ...(error.detail === undefined ? {} : { detail: error.detail }),
      ...(error.retryAfterSeconds === undefined ? {} : { retryAfterSeconds: error.retryAfterSeconds }),
    })
    this.cookies = cookies
  }
}

export interface SignInOptions {
  readonly frontEnds: FrontEnds
  readonly provider: IdentityProvider
  readonly tokenEndpoint: () => Promise<TokenEndpoint>
  readonly sessions: Sessions
  readonly store: Store
  readonly ring: KeyRing
  readonly clock: Clock
  readonly baseUrl: string
  readonly clientId: string
  readonly tenantId: string
  readonly responseMode: ResponseMode
  readonly lifetimeSeconds: number
  readonly onFault: (error: unknown) => void
}

export function createSignIn(options: SignInOptions): SignIn {
  const { frontEnds, provider, sessions, ring, clock, lifetimeSeconds } = options
  const redirectUri = `${options.baseUrl}/callback`

  /**
   * Where a person goes on from a failed sign-in. Links, never a redirect: a failure that repeats itself must not loop.
   * Registered addresses only, whatever the state or the transaction said.
   */
  const waysOn = (frontEndId: string, returnUrl?: string): readonly WayOn[] => {
    const frontEnd = frontEnds.find(frontEndId)
    if (!frontEnd) return []
    const again = new URL(signInUrl(options.baseUrl, frontEnd))
    const isRegistered = returnUrl !== undefined && isReturnUrl(returnUrl, frontEnd)
    if (isRegistered) again.searchParams.set('return_url', returnUrl)
    return [
      { text: 'Try again', url: again.href },
      { text: 'Back to the application', url: isRegistered ? returnUrl : checkReturnUrl(undefined, frontEnd) },
    ]
  }

  const signIn = async (code: CheckedCode, transaction: CurrentTransaction): Promise<Cookie | undefined> => {
    const taken = await takeCode(code, transaction, { store: options.store, lifetimeSeconds })
    if (!taken) return undefined
    const redeemed = await (await options.tokenEndpoint()).redeemCode(taken, transaction)
    const identity = await checkIdToken(
      redeemed.idToken,
      {
        issuer: transaction.issuer,
        clientId: transaction.clientId,
        tenantId: options.tenantId,
        nonce: transaction.nonce,
        accessToken: redeemed.accessToken,
      },
      { provider, clock },
    )
    const { accessToken: token, accessTokenExpires: expires, scope, refreshToken } = redeemed
    const apiScopes = transaction.scopes.filter((name) => !['openid', 'profile', 'offline_access'].includes(name))
    const accessTokens =
      apiScopes.length > 0 ? { [accessTokenKey(apiScopes)]: { token, scope, obtainedAt: clock(), expires } } : {}
    const value = await sessions.begin(transaction.frontEndId, identity, { refreshToken, accessTokens })
    // The one it takes the place of; that it may outlive this by a fault is no reason to fail a sign-in.
    if (transaction.replaces) await sessions.end({ place: transaction.replaces }).catch(options.onFault)
    return sessionCookie(transaction.frontEndId, value)
  }

  return {
    begin: async (parameters, origin, cookies) => {
      const frontEnd = frontEnds.get(parameters.frontend, origin)
      const returnUrl = checkReturnUrl(parameters.return_url, frontEnd)
      const hints = checkHints(parameters, frontEnd)

      const [key, metadata] = await Promise.all([ring.current(), provider.metadata()])
      const transaction: Transaction = {
        state: newState(frontEnd.id),
        nonce: randomText(),
        codeVerifier: randomText(),
        issuer: metadata.issuer,
        issuerInAnswers: metadata.issuerInAnswers,
        clientId: options.clientId,
        frontEndId: frontEnd.id,
        returnUrl,
        responseMode: options.responseMode,
        scopes: signInScopes(frontEnd, hints.extraScopes),
        replaces: sessions.keyOf(frontEnd.id, cookies)?.place,
        begunAt: clock(),
      }
      return {
        authorizationUrl: authorizationUrl(metadata, transaction, redirectUri, hints),
        cookies: [...(await endOldest(cookies, ring)), sealTransaction(transaction, key, lifetimeSeconds)],
      }
    },

    complete: async (answer, cookies) => {
      const { state } = answer
      const transaction = await openTransaction(state, cookies, ring).catch((error: unknown) => {
        throw new FailedSignIn(asBrokerError(error), [], waysOn(frontEndIdOf(state)))
      })
      const { returnUrl, frontEndId } = transaction
      const ended = [endTransactionCookie(transactionCookieName(transaction.state))]
      try {
        const current = checkTransaction(transaction, { frontEnds, lifetimeSeconds, clock })
        const session = await signIn(checkAnswer(answer, current), current)
        // A second time: the first has signed in, or failed with a page. Nothing is set, so nothing can be planted.
        return { returnUrl, frontEndId, cookies: session ? [session, ...ended] : [] }
      } catch (error) {
        throw new FailedSignIn(asBrokerError(error), ended, waysOn(frontEndId, returnUrl))
      }
    },
  }
}
