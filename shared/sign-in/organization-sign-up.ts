/**
 * The sign-up of an organization in the browser: an administrator consents at the provider, comes back, and signs in.
 * The provider's answer about the consent is not authenticated: an attacker can write its URL. So it only continues the
 * sign-up of this browser, and the sign-in that follows decides (tenants/admission.ts).
 */
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { isSameText } from '../crypto/same-text.ts'
import { openToken, sealToken } from '../crypto/sealed-token.ts'
import { BrokerError, asBrokerError } from '../errors/errors.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { checkHints, parseLoginParameters } from '../front-ends/login-parameters.ts'
import type { Hints, LoginParameters } from '../front-ends/login-parameters.ts'
import { checkReturnUrl } from '../front-ends/return-url.ts'
import type { Cookie, RequestCookies } from '../http/cookies.ts'
import { urlOf } from '../http/routes.ts'
import { withParameters } from '../http/url-parameters.ts'
import { defined } from '../json/json.ts'
import type { IdentityProvider, Providers } from '../provider/provider.ts'
import { checkTenantId } from '../settings/identifiers.ts'
import { frontEndIdOf, newState } from './transaction.ts'
import type { Transaction } from './transaction.ts'
import { signUpLinks } from './page-links.ts'

/** A sign-up under way: checked, except for the tenant. */
export interface SignUpStart {
  readonly provider: IdentityProvider
  readonly frontEnd: FrontEnd
  readonly returnUrl: string
  readonly signUp: NonNullable<Transaction['signUp']>
}

export interface BegunSignUp {
  /** Where to send the browser. */
  readonly url: string
  readonly cookies: readonly Cookie[]
}

export interface SignUp {
  /**
   * @param query of `/signup`; untrusted
   * @throws {BrokerError} `sign_up_closed`, and for a faulty request as `/login`
   */
  begin(query: URLSearchParams): Promise<BegunSignUp>
  /**
   * @param query of the provider's answer about the consent; untrusted
   * @returns the sign-in that follows
   * @throws {BrokerError} `answer_invalid`, `sign_in_unknown`, `sign_in_expired`, `consent_refused`
   */
  consented(query: URLSearchParams, cookies: RequestCookies): Promise<BegunSignUp>
}

interface SignUpOptions {
  readonly frontEnds: FrontEnds
  readonly providers: Pick<Providers, 'ofFrontEnd'>
  readonly ring: KeyRing
  readonly clock: Clock
  readonly baseUrl: string
  readonly lifetimeSeconds: number
  /** Ids of the providers at which organizations sign up. */
  readonly signUpProviders: ReadonlySet<string>
  readonly beginSignIn: (start: SignUpStart, cookies: RequestCookies) => Promise<BegunSignUp>
}

/** Lax: the provider's answer is a link of another site. One sign-up in a browser at a time. */
const cookieName = '__Host-signup'

interface Pending {
  readonly state: string
  readonly frontEndId: string
  readonly returnUrl: string
  /** The id of the provider at which the administrator consents. */
  readonly provider?: string
  /** Milliseconds since the epoch. */
  readonly begunAt: number
}

/** Parameters of `/login` that the consent has too: others would be dropped silently. */
export const signUpRoute = {
  path: '/signup',
  accepts: ['frontend', 'return_url', 'login_hint', 'domain_hint', 'provider'],
} as const

export function createSignUp(options: SignUpOptions): SignUp {
  const { frontEnds, ring, clock, baseUrl, lifetimeSeconds } = options

  /** The provider of the front end at which an administrator consents for an organization. */
  const providerOf = (frontEnd: FrontEnd, wanted: string | undefined) => {
    const provider = options.providers
      .ofFrontEnd(frontEnd)
      .find(({ id }) => options.signUpProviders.has(id) && (wanted === undefined || wanted === id))
    if (!provider) throw new BrokerError('sign_up_closed')
    return provider
  }
  const checkOpen = () => {
    if (options.signUpProviders.size === 0) throw new BrokerError('sign_up_closed')
  }

  const consentUrl = async (
    provider: IdentityProvider,
    frontEnd: FrontEnd,
    state: string,
    hints: Pick<Hints, 'loginHint' | 'domainHint'>,
  ) => {
    const endpoint = provider.profile.adminConsentUrl?.(await provider.metadata())
    if (endpoint === undefined) throw new BrokerError('sign_up_closed')
    return adminConsentRequest(endpoint, provider, frontEnd, { state, ...hints }, baseUrl)
  }

  return {
    begin: async (query) => {
      checkOpen()
      const parameters = parseLoginParameters(query, signUpRoute)
      const frontEnd = findFrontEnd(parameters.frontend, frontEnds)
      const returnUrl = checkReturnUrl(parameters.return_url, frontEnd)
      const state = newState(frontEnd.id)
      const provider = providerOf(frontEnd, parameters.provider)
      const url = await consentUrl(provider, frontEnd, state, checkHints(parameters, frontEnd))
      const pending: Pending = { state, frontEndId: frontEnd.id, returnUrl, provider: provider.id, begunAt: clock() }
      const value = sealToken(pending, cookieName, await ring.current())
      return { url, cookies: [{ name: cookieName, value, sameSite: 'Lax', maxAge: lifetimeSeconds }] }
    },

    consented: async (query, cookies) => {
      const state = query.get('state') ?? ''
      let parameters: LoginParameters = {}
      const ended: Cookie = { name: cookieName, value: '', sameSite: 'Lax', maxAge: 0 }
      try {
        checkOpen()
        if (new Set(query.keys()).size < query.size)
          throw new BrokerError('answer_invalid', { detail: 'a field twice' })
        const pending = (await openToken(cookies.get(cookieName), cookieName, ring)) as Pending | undefined
        if (!pending || !isSameText(pending.state, state)) throw new BrokerError('sign_in_unknown')
        const { frontEndId, returnUrl } = pending
        parameters = { return_url: returnUrl, ...defined({ provider: pending.provider }) }
        if (clock() > pending.begunAt + lifetimeSeconds * 1000) throw new BrokerError('sign_in_expired')
        const frontEnd = frontEnds.find(frontEndId)
        if (!frontEnd) throw new BrokerError('front_end_unknown')
        // Entra sends `admin_consent=True` beside an error too, so an error wins.
        const isConsent = !query.has('error') && /^true$/i.test(query.get('admin_consent') ?? '')
        if (!isConsent) throw new BrokerError('consent_refused')
        const tenantId = query.get('tenant')?.toLowerCase()
        const isId = tenantId !== undefined && checkTenantId(tenantId) === undefined
        const consentedTenantId = isId ? tenantId : undefined
        const begun = await options.beginSignIn(
          {
            provider: providerOf(frontEnd, pending.provider),
            frontEnd,
            returnUrl: checkReturnUrl(returnUrl, frontEnd),
            signUp: { consentedTenantId },
          },
          cookies,
        )
        return { url: begun.url, cookies: [...begun.cookies, ended] }
      } catch (thrown) {
        const error = asBrokerError(thrown)
        const isOver = error.code !== 'sign_in_unknown' && error.status < 500
        const links = signUpLinks({ frontEnd: frontEnds.find(frontEndIdOf(state)), parameters }, baseUrl)
        throw error.with({ links, cookies: isOver ? [ended] : [] })
      }
    },
  }
}

/** An OAuth client may name itself too: its administrators come by a link, without a request of the client. */
function findFrontEnd(id: string | undefined, frontEnds: FrontEnds): FrontEnd {
  if (id === undefined) return frontEnds.get(undefined, undefined)
  return frontEnds.find(id) ?? frontEnds.get(id, undefined)
}

/**
 * Microsoft's admin consent endpoint, v2.0. The scopes are those that the front end's people will need, so that no
 * consent is missing later.
 */
function adminConsentRequest(
  endpoint: string,
  { clientId }: Pick<IdentityProvider, 'clientId'>,
  { apis }: FrontEnd,
  { state, loginHint, domainHint }: Pick<Hints, 'loginHint' | 'domainHint'> & { readonly state: string },
  baseUrl: string,
): string {
  const scopes = ['openid', 'profile', 'offline_access', ...apis.flatMap((api) => api.scopes)]
  return withParameters(endpoint, {
    client_id: clientId,
    redirect_uri: urlOf(baseUrl, 'signupConsented'),
    scope: [...new Set(scopes)].join(' '),
    state,
    login_hint: loginHint,
    domain_hint: domainHint,
  })
}
