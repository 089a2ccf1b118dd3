/**
 * Completes a sign-in: checks the provider's response, redeems the code, and makes a session or a one-time code of it.
 */
import { BrokerError, asBrokerError } from '../errors/errors.ts'
import type { Destination, Link } from '../errors/errors.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { isRegisteredRedirectUri } from '../front-ends/redirect-uri.ts'
import { checkReturnUrl } from '../front-ends/return-url.ts'
import { endTransactionCookie } from '../http/cookies.ts'
import type { CallingBrowser, RequestCookies } from '../http/cookies.ts'
import { defined } from '../json/json.ts'
import { withClientRedirect } from '../oauth/client-answer.ts'
import { checkClaimConditions } from '../oauth/claim-conditions.ts'
import { claimNamesOf, withFrontEndIdentity } from '../provider/front-end-identity.ts'
import { checkIdToken } from '../provider/id-token.ts'
import type { Identity } from '../provider/identity.ts'
import type { IdentityProvider, Providers } from '../provider/provider.ts'
import { readClaims } from '../provider/signed-token.ts'
import type { RedeemedCode, TakenCode } from '../provider/token-endpoint.ts'
import type { Sessions } from '../session/sessions.ts'
import type { Store } from '../store/store.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import type { Admission } from '../tenants/admission.ts'
import { checkTenant, checkTenantOfFrontEnd } from '../tenants/tenants.ts'
import type { TenantsOf } from '../tenants/tenants.ts'
import { checkResponse, takeCode } from './authorization-response.ts'
import type { CallbackAnswer, CheckedAnswer } from './authorization-response.ts'
import { checkTransaction, frontEndIdOf, maxAgeOf, openTransaction, transactionCookieName } from './transaction.ts'
import type { CurrentTransaction, Transaction } from './transaction.ts'
import type { SignInLinkRequest } from './page-links.ts'
import { issueResult } from './sign-in-result.ts'
import type { CompletedSignIn, SignInResultOptions } from './sign-in-result.ts'

export interface SignInCompletion {
  /**
   * @returns where the browser goes: the front end's return URL, or the OAuth client's redirect URI with the answer;
   *   and the cookies to set: none for an answer that comes a second time
   * @throws {BrokerError} with links, with the transaction's cookie to end, and with `redirectTo` for an OAuth client
   */
  complete(answer: CallbackAnswer, browser: CallingBrowser): Promise<CompletedSignIn>
}

export interface SignInCompletionOptions extends SignInResultOptions {
  readonly frontEnds: FrontEnds
  readonly providers: Providers
  readonly sessions: Sessions
  readonly tenantsOf: TenantsOf
  /** Signs an organization up: `Admission.admit`, loaded on first use. */
  readonly admit: Admission['admit']
  readonly store: Store
  readonly lifetimeSeconds: number
  readonly flowEvents: FlowEvents
}

export function createSignInCompletion(options: SignInCompletionOptions): SignInCompletion {
  const { frontEnds, providers, ring, flowEvents, clock, lifetimeSeconds } = options

  return {
    complete: async (answer, { cookies, isSentByOtherSite }) => {
      const { state } = answer
      let step = flowEvents.begin('returned', { frontEnd: frontEndIdOf(state) })
      let transaction: Transaction
      try {
        transaction = await openTransaction(state, cookies, ring)
      } catch (error) {
        // Any page can send a made-up state. By a redirect it would learn
        // whether the browser is signed in (CSP form-action).
        const page = isSentByOtherSite
          ? undefined
          : await pageOfSession(error, frontEndIdOf(state), cookies, undefined, options)
        if (page === undefined) {
          const explained = explainOnLaptop(asBrokerError(error), options.baseUrl)
          throw step.fail(explained.with({ frontEndId: frontEndIdOf(state) }))
        }
        step.end('repeated')
        return { redirectTo: page, cookies: [] }
      }
      const { returnUrl, frontEndId } = transaction
      const providerId = providers.find(transaction.issuer)?.id
      const about = { frontEnd: frontEndId, begunAt: transaction.begunAt, provider: providerId }
      step.add(about)
      const frontEnd = frontEnds.find(frontEndId)
      const ended = [endTransactionCookie(transactionCookieName(transaction.state))]
      try {
        const current = checkTransaction(transaction, { frontEnds, lifetimeSeconds, clock })
        const provider = providers.get(current.issuer)
        // The registration may have lost the provider since.
        if (!providers.accepts(frontEnd ?? {}, current.issuer)) {
          throw new BrokerError('provider_not_accepted')
        }
        const { code, frontChannel } = await checkResponse(answer, current, { provider, clock })
        const taken = await takeCode(code, current, { store: options.store, lifetimeSeconds })
        step.end(taken ? undefined : 'repeated')
        if (!taken) {
          // The response came before: that time it signed in, or failed with a page. No cookie is set, so none can be
          // planted.
          const cameBefore = new BrokerError('sign_in_unknown', { detail: 'the answer came before' })
          return { redirectTo: clientAnswer(transaction, cameBefore, options) ?? returnUrl, cookies: [] }
        }
        step = flowEvents.begin('redeemed', about)
        const { identity, redeemed } = await redeem(taken, current, provider, frontChannel, options)
        if (current.signUp) await signUpTenant(current.signUp, identity, redeemed, frontEnd, about, options)
        await checkTenant(identity, frontEnd, options.tenantsOf(identity.provider))
        checkAuthenticationAge(identity, current)
        checkClaimConditions(identity, current.client?.claims)
        // The administrator of an OAuth client's organization signs in there: the client did not request this sign-in.
        if (current.signUp && frontEnd?.kind === 'oauth') {
          step.end()
          return { redirectTo: returnUrl, cookies: ended }
        }
        // An OAuth client's session begins when it brings its code.
        if (!current.client) {
          step.end()
          step = flowEvents.begin('session', { ...about, by: 'cookie' })
        }
        const completed = await issueResult(current, identity, redeemed, options)
        step.end()
        return { ...completed, cookies: [...completed.cookies, ...ended] }
      } catch (thrown) {
        const page = await pageOfSession(thrown, frontEndId, cookies, transaction, options)
        if (page !== undefined) {
          step.end('repeated')
          return { redirectTo: page, cookies: ended }
        }
        const error = asBrokerError(step.fail(thrown))
        throw error.with({
          provider: providerId,
          cookies: ended,
          links: await linksAfter(error, transaction, providerId, options),
          redirectTo: clientAnswer(transaction, error, options),
        })
      }
    },
  }
}

async function redeem(
  taken: TakenCode,
  transaction: CurrentTransaction,
  provider: IdentityProvider,
  frontChannel: CheckedAnswer['frontChannel'],
  options: SignInCompletionOptions,
): Promise<{ identity: Identity; redeemed: RedeemedCode }> {
  const { frontEnds, providers, clock, onFault } = options
  const redeemed = await (await provider.tokenEndpoint()).redeemCode(taken, transaction)
  const claimNames = claimNamesOf(provider, frontEnds.find(transaction.frontEndId)?.claims)
  const checked = await checkIdToken(
    redeemed.idToken,
    {
      issuer: transaction.issuer,
      clientId: transaction.clientId,
      nonce: transaction.nonce,
      accessToken: redeemed.accessToken,
      claimNames,
    },
    { provider, clock },
  )
  frontChannel?.checkSame(redeemed.idToken)
  let completed = checked
  // Entra ID and AD FS have no such endpoint here, and do not load the module.
  if ((await provider.metadata()).userinfoEndpoint !== undefined) {
    const { addUserinfoClaims } = await import('../provider/userinfo-claims.ts')
    const hasEmailScope = transaction.scopes.includes('email')
    completed = await addUserinfoClaims(checked, redeemed.accessToken, { provider, claimNames, hasEmailScope, onFault })
  }
  return { identity: withFrontEndIdentity(completed, provider, provider === providers.primary), redeemed }
}

async function signUpTenant(
  { consentedTenantId }: NonNullable<Transaction['signUp']>,
  identity: Identity,
  { idToken }: RedeemedCode,
  frontEnd: FrontEnd | undefined,
  about: Parameters<FlowEvents['track']>[1],
  options: SignInCompletionOptions,
): Promise<void> {
  // Before the row is written: an organization that may not use this front end does not sign up here.
  checkTenantOfFrontEnd(identity, frontEnd, options.tenantsOf(identity.provider))
  // Verified before: the identity was made from the same token.
  const claims = readClaims(idToken) ?? {}
  await options.flowEvents.track('sign_up', about, () => options.admit(identity, claims, consentedTenantId))
}

/** The links of the page of a failure: the same sign-in again, or the first step of the sign-up. */
async function linksAfter(
  error: BrokerError,
  { signUp, frontEndId, repeated, returnUrl }: Transaction,
  provider: string | undefined,
  { frontEnds, baseUrl }: SignInCompletionOptions,
): Promise<readonly Link[]> {
  const { signInLinks, signUpLinks } = await import('./page-links.ts')
  const frontEnd = frontEnds.find(frontEndId)
  const parameters = { ...repeated, return_url: returnUrl, ...defined({ provider }) }
  return signUp
    ? signUpLinks({ frontEnd, parameters }, baseUrl)
    : signInLinks({ frontEnd, parameters, again: againAfter(error) }, baseUrl)
}

/**
 * The destination that reports a failure to an OAuth client; undefined where its redirect URI is no longer registered.
 */
function clientAnswer(
  transaction: Transaction,
  error: BrokerError,
  { frontEnds, baseUrl }: SignInCompletionOptions,
): Destination | undefined {
  const { client, frontEndId } = transaction
  const frontEnd = frontEnds.find(frontEndId)
  if (!client || !frontEnd || !isRegisteredRedirectUri(client.redirectUri, frontEnd)) return undefined
  return withClientRedirect(error, client, baseUrl).redirectTo
}

/**
 * The page for a stale response (a restored tab, the back button) in a browser that is signed in. Only a registered
 * page of the front end, and no cookie is set, so an attacker gains no session by sending a response.
 */
async function pageOfSession(
  error: unknown,
  frontEndId: string,
  cookies: RequestCookies,
  transaction: Transaction | undefined,
  { frontEnds, sessions }: SignInCompletionOptions,
): Promise<string | undefined> {
  const { code } = asBrokerError(error)
  const frontEnd = frontEnds.find(frontEndId)
  if ((code !== 'sign_in_unknown' && code !== 'sign_in_expired') || frontEnd?.kind !== 'session') return undefined
  const key = sessions.keyOf(frontEndId, cookies)
  const owner = key && (await sessions.findOwner(key).catch(() => undefined))
  if (!owner) return undefined
  // checkTransaction refuses an unregistered return URL before an old transaction.
  return transaction?.returnUrl ?? checkReturnUrl(undefined, frontEnd)
}

/** Only a broker on loopback has an http URL. Safari stores no `Secure` cookie there. */
function explainOnLaptop(error: BrokerError, baseUrl: string): BrokerError {
  if (error.code !== 'sign_in_unknown' || !baseUrl.startsWith('http:')) return error
  return error.with({ remedy: `${error.remedy} Safari stores none of ${baseUrl}: use Chrome, Edge or Firefox.` })
}

/** The provider would sign the same account in again, without a question. */
function againAfter({ code }: BrokerError): SignInLinkRequest['again'] {
  const isAboutAccount = /^(tenant|guest|personal_account)_/.test(code)
  return isAboutAccount ? 'Sign in with another account' : 'Try again'
}

const clockToleranceSeconds = 60

/**
 * OpenID Connect Core §3.1.2.1 and §3.1.3.7, 13: with `max_age` the provider names when the person authenticated. One
 * that ignores the parameter must not look as if it had complied. With `prompt=login`, a time before this sign-in shows
 * that the provider ignored the prompt, or that the browser removed it on the way.
 */
function checkAuthenticationAge({ authenticatedAt }: Identity, transaction: CurrentTransaction): void {
  const maxAge = maxAgeOf(transaction)
  const accepted = transaction.freshLogin === true ? 0 : (maxAge ?? Infinity)
  const earliest = transaction.begunAt / 1000 - accepted - clockToleranceSeconds
  const isTooOld = authenticatedAt === undefined ? maxAge !== undefined : authenticatedAt < earliest
  if (isTooOld) throw new BrokerError('login_required', { detail: 'auth_time' })
}
