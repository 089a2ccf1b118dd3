/** Begins a sign-in: checks the request, chooses the identity provider, and seals the transaction into the browser. */
import { defined } from '../json/json.ts'
import { BrokerError, asBrokerError } from '../errors/errors.ts'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { randomText } from '../crypto/pkce.ts'
import type { FrontEnds } from '../front-ends/front-ends.ts'
import type { Hints } from '../front-ends/login-parameters.ts'
import { signInScopes } from '../front-ends/scopes.ts'
import type { Cookie, RequestCookies } from '../http/cookies.ts'
import { urlOf } from '../http/routes.ts'
import { withClientRedirect } from '../oauth/client-answer.ts'
import { acceptsScope } from '../provider/accepted-scopes.ts'
import { withCapabilities } from '../provider/client-capabilities.ts'
import type { IdentityProvider, Providers } from '../provider/provider.ts'
import { spelledScopes } from '../provider/spelled-scopes.ts'
import type { Sessions } from '../session/sessions.ts'
import { registeredScopes } from '../settings/openid-scopes.ts'
import type { FlowEvents, Step } from '../telemetry/flow-events.ts'
import { authorizationUrl } from './authorization-url.ts'
import { isInitiatedLogin, parseSignInRequest } from './login-request.ts'
import type { SignInRequest } from './login-request.ts'
import type { ProviderChoice } from './provider-choice.ts'
import type { BegunSignUp, SignUpStart } from './organization-sign-up.ts'
import { applySsoPolicy, endOldestMarks, findMark } from './sso-cookie.ts'
import { endOldest, newState, sealTransaction } from './transaction.ts'
import type { Transaction } from './transaction.ts'

export interface SignInStart {
  /**
   * @param query of `/login`; untrusted
   * @param browser headers of the request; untrusted
   * @returns where to send the browser, and the cookies to set; or the providers among which the person has to choose.
   *   Without cookies: the link to `/login` for a sign-in that the identity provider starts
   * @throws {BrokerError} for a faulty request, before a sign-in starts; with `redirectTo` where an OAuth client is to
   *   receive the error
   */
  begin(query: URLSearchParams, browser: BrowserRequest): Promise<BegunSignIn>
  /** Begins the sign-in of an administrator, after the consent. */
  beginSignUp(start: SignUpStart, cookies: RequestCookies): Promise<BegunSignUp>
}

type BegunSignIn =
  { readonly url: string; readonly cookies: readonly Cookie[] } | { readonly choices: readonly ProviderChoice[] }

interface BrowserRequest {
  /** The header Origin, where there is one. */
  readonly origin: string | undefined
  readonly cookies: RequestCookies
  /**
   * True for a navigation of the whole page. In a frame, a browser withholds the cookies of another site, and the
   * person does not see the question; and a request of a page (an image, a fetch) would only push out pending sign-ins.
   */
  readonly isNavigation: boolean
}

export interface SignInStartOptions {
  readonly frontEnds: FrontEnds
  readonly providers: Providers
  readonly sessions: Pick<Sessions, 'keyOf'>
  readonly ring: KeyRing
  readonly clock: Clock
  readonly baseUrl: string
  readonly lifetimeSeconds: number
  readonly flowEvents: FlowEvents
}

export function createSignInStart(options: SignInStartOptions): SignInStart {
  const { frontEnds, providers, sessions, ring, flowEvents, clock, lifetimeSeconds } = options

  const marksOf = (cookies: RequestCookies) => ({ cookies, ring, now: clock() })

  /** @returns undefined where the person has to choose */
  const providerFor = async (
    { frontEnd, hints, client, provider: wanted }: SignInRequest,
    cookies: RequestCookies,
  ): Promise<IdentityProvider | undefined> => {
    const taken = providers.ofFrontEnd(frontEnd)
    // RFC 6749 §3.1: a client that knows of no other provider may send a parameter of this name for another purpose.
    const isNamed = wanted !== undefined && !(client && providers.all.length === 1)
    if (taken.length === 1 && !isNamed) return taken[0]
    const { chooseProvider } = await import('./provider-choice.ts')
    const idOf = (provider: string | undefined) => provider ?? providers.primary.id
    const accepts = (provider: string | undefined) => taken.some(({ id }) => id === idOf(provider))
    const marked = async () => {
      const mark = client && (await findMark(frontEnd, accepts, marksOf(cookies)))
      return mark && idOf(mark.provider)
    }
    return chooseProvider({ wanted, hints, providers: taken, marked })
  }

  const beginFor = async (
    request: SignInRequest,
    cookies: RequestCookies,
    query: URLSearchParams,
    step: Step,
  ): Promise<BegunSignIn> => {
    const provider = await providerFor(request, cookies)
    if (!provider) {
      const { choicesOf } = await import('./provider-choice.ts')
      return { choices: choicesOf(providers.ofFrontEnd(request.frontEnd), query, urlOf(options.baseUrl, 'login')) }
    }
    step.add({ provider: provider.id })
    return beginAt(provider, request, cookies)
  }

  const beginAt = async (
    provider: IdentityProvider,
    request: SignInRequest,
    cookies: RequestCookies,
    signUp?: Transaction['signUp'],
  ) => {
    const { frontEnd, returnUrl, scopes, client, repeated = {} } = request
    const otherId = provider === providers.primary ? undefined : provider.id
    const [key, metadata] = await Promise.all([ring.current(), provider.metadata()])
    const { prompts, claims, ...requested } = client
      ? await applySsoPolicy(request.hints, frontEnd, otherId, marksOf(cookies))
      : request.hints
    const { profile } = provider
    const hints = {
      ...requested,
      claims: withCapabilities(claims, profile.clientCapabilities),
      prompt: prompts.length === 0 ? undefined : profile.promptFor(prompts, metadata),
    }
    const offered = scopes.filter((scope) => acceptsScope(metadata, scope))
    const transaction: Transaction = {
      state: newState(frontEnd.id),
      nonce: randomText(),
      codeVerifier: randomText(),
      issuer: metadata.issuer,
      issuerInAnswers: metadata.issuerInAnswers,
      ...(otherId === undefined ? {} : { provider: otherId }),
      clientId: provider.clientId,
      frontEndId: frontEnd.id,
      returnUrl,
      responseMode: provider.responseMode,
      ...(provider.responseType === 'code' ? {} : { responseType: provider.responseType }),
      // Those of registered claims belong to this request alone. A release before them, which may finish the sign-in,
      // would count `phone` as a scope of an API.
      scopes: offered.filter((scope) => !registeredScopes.includes(scope)),
      ...(client ? { client } : {}),
      ...defined({ maxAge: request.maxAge, signUp }),
      ...(prompts.includes('login') ? { freshLogin: true } : {}),
      ...(Object.keys(repeated).length > 0 ? { repeated } : {}),
      replaces: client ? undefined : sessions.keyOf(frontEnd.id, cookies)?.rowKey,
      begunAt: clock(),
    }
    return {
      url: authorizationUrl(
        metadata,
        { ...transaction, scopes: spelledScopes(provider, offered) },
        provider.redirectUri,
        hints,
      ),
      cookies: [
        ...(await endOldest(cookies, ring)),
        ...(await endOldestMarks(marksOf(cookies))),
        sealTransaction(transaction, key, lifetimeSeconds),
      ],
    }
  }

  return {
    begin: async (query, { origin, cookies, isNavigation }) => {
      if (isInitiatedLogin(query)) {
        const { initiatedLoginUrl } = await import('./initiated-login.ts')
        return { url: initiatedLoginUrl(query, options), cookies: [] }
      }
      return flowEvents.track('started', {}, async (step) => {
        const request = await parseSignInRequest(query, origin, frontEnds, options.baseUrl)
        step.add({ frontEnd: request.frontEnd.id })
        try {
          if (!isNavigation) throw new BrokerError('login_required', { detail: 'no navigation' })
          return await beginFor(request, cookies, query, step)
        } catch (error) {
          if (!request.client) throw error
          throw withClientRedirect(asBrokerError(error), request.client, options.baseUrl)
        }
      })
    },

    beginSignUp: ({ provider, frontEnd, returnUrl, signUp }, cookies) => {
      const scopes = signInScopes(frontEnd, [])
      const request = { frontEnd, returnUrl, hints: signUpHints, scopes, provider: undefined }
      return beginAt(provider, request, cookies, signUp)
    },
  }
}

/** The browser may be signed in with another account than the one that consented: the person selects it. */
const signUpHints: Hints = {
  prompts: ['select_account'],
  loginHint: undefined,
  domainHint: undefined,
  claims: undefined,
  uiLocales: undefined,
  extraScopes: [],
}
