/**
 * A sign-out that a person begins: it ends the session, then the provider's session, and returns to the front end.
 * OpenID Connect RP-Initiated Logout 1.0.
 *
 * This folder owns sign-outs, also those that the provider reports (provider-logout.ts). It does not own the check of
 * logout tokens (provider/), or the removal of sessions and codes (session/end-sessions.ts).
 */
import { asBrokerError, BrokerError } from '../errors/errors.ts'
import type { Link } from '../errors/errors.ts'
import { keepEndSessionForm, takeEndSessionForm } from './end-session-form.ts'
import type { EndSessionForm } from './end-session-form.ts'
import { endSessionRequest } from './end-session-url.ts'
import type { EndSessionParameters } from './end-session-url.ts'
import { checkSignedOutUrl } from '../front-ends/return-url.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import { withParameters } from '../http/url-parameters.ts'
import type { IdentityProvider, Providers } from '../provider/provider.ts'
import type { FlowEvents } from '../telemetry/flow-events.ts'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { openToken, sealToken } from '../crypto/sealed-token.ts'
import type { ProviderSession, SessionKey } from '../session/session-row.ts'
import { endPendingCodes } from '../session/end-sessions.ts'
import type { Sessions } from '../session/sessions.ts'
import type { RowKey, Store } from '../store/store.ts'

export interface SignOut {
  /**
   * Ends the session and deletes its tokens.
   *
   * @param signedOutUrl where to go afterwards; untrusted, must be registered
   * @param origin of the page that signs out; untrusted. Without a `signedOutUrl`, the browser returns there
   * @returns the URL to send the browser to: the provider's sign-out, or straight to the front end's page
   */
  begin(
    frontEnd: FrontEnd,
    key: SessionKey | undefined,
    signedOutUrl: string | undefined,
    origin?: string,
  ): Promise<string>
  /**
   * Ends the session of a row that a verified ID token names, then the provider's session, with the hint that the row
   * keeps for it.
   *
   * @param rowKey undefined where the request names no session: then no session ends here
   * @param signedOutUrl untrusted; must be registered
   * @param state of the client, returned with the URL; untrusted
   * @param idp of the verified ID token: the issuer of the provider, where it is not the primary one
   * @returns the URL to send the browser to
   */
  beginByRow(
    frontEnd: FrontEnd,
    rowKey: RowKey | undefined,
    signedOutUrl: string | undefined,
    state: string | undefined,
    idp?: string,
  ): Promise<string>
  /**
   * The sign-out at the first provider, for a request that names no front end. No session ends here: the provider asks
   * the person, and the browser comes back to a page of the broker.
   *
   * @returns the URL to send the browser to; undefined where the provider has no sign-out
   * @throws {BrokerError} `provider_unavailable` and the like
   */
  beginAtProvider(): Promise<string | undefined>
  /**
   * @param state as it came back; untrusted
   * @throws {BrokerError} `sign_out_unknown` where the state is not the broker's, or its front end is gone
   */
  complete(state: string | undefined): Promise<CompletedSignOut>
  /**
   * The sign-out at the provider by POST, for a request that is too long for a URL.
   *
   * @param handle of the URL that `begin` returned; untrusted
   * @throws {BrokerError} `sign_out_unknown` where it opens no form, or its form was read before
   */
  continueAtProvider(handle: string): Promise<EndSessionForm>
}

/** The front end's page to go to; or, without a state or with an old one, a page of the broker with these links. */
type CompletedSignOut =
  | { readonly frontEndId: string; readonly redirectTo: string }
  | { readonly frontEndId?: string; readonly links: readonly Link[] }

interface SignOutOptions {
  readonly sessions: Sessions
  readonly store: Store
  readonly ring: KeyRing
  readonly providers: Pick<Providers, 'find' | 'primary' | 'ofFrontEnd'>
  readonly frontEnds: FrontEnds
  readonly clock: Clock
  readonly flowEvents: FlowEvents
  readonly onFault: (error: unknown) => void
}

const context = 'sign-out'
const lifetime = 60 * 60 * 1000

export function createSignOut(options: SignOutOptions): SignOut {
  const { sessions, ring, providers, flowEvents, clock } = options

  return {
    begin: async (frontEnd, key, signedOutUrl, origin) => {
      const target = checkSignedOutUrl(signedOutUrl, frontEnd, origin)
      if (!key) return target
      const session = await flowEvents.track('sign_out', { frontEnd: frontEnd.id, by: 'person' }, async (step) => {
        // The key names the row without the content: where that cannot be read, the session ends nevertheless.
        const found = await sessions.find(key).catch(options.onFault)
        // Codes first; end-sessions.ts explains the order.
        if (found) await endPendingCodes(options.store, key.rowKey.partition)
        step.add({ sessions: (await sessions.end(key)) ? 1 : 0 })
        return found?.session
      })
      if (!session) return target
      const { owner, tokens } = session
      // A provider that the settings no longer name is not visited.
      const provider = providers.find(owner.identity.issuer)
      const hints = { idToken: tokens.idToken, logoutHint: owner.identity.loginHint }
      return providerUrl({ frontEnd, target, provider, hints }, options)
    },

    continueAtProvider: async (handle) => {
      const form = await takeEndSessionForm(handle, options)
      if (!form) throw new BrokerError('sign_out_unknown')
      return form
    },

    beginByRow: async (frontEnd, rowKey, signedOutUrl, clientState, idp) => {
      const target = checkSignedOutUrl(signedOutUrl, frontEnd)
      let known: ProviderSession | undefined
      if (rowKey) {
        // Without it the provider requires a confirmation, or does not return the browser:
        // the session ends nevertheless.
        known = await sessions.findProviderSession({ frontEndId: frontEnd.id, rowKey }).catch((error: unknown) => {
          options.onFault(error)
          return undefined
        })
        await flowEvents.track('sign_out', { frontEnd: frontEnd.id, by: 'person' }, async (step) => {
          // Codes first; end-sessions.ts explains the order. An ID token outlives its session, and must not end the
          // codes of sign-ins that begin after it.
          if (known) await endPendingCodes(options.store, rowKey.partition)
          step.add({ sessions: (await sessions.end({ rowKey })) ? 1 : 0 })
        })
      }
      // Without a session, the first provider of the client requires a confirmation.
      const usual = rowKey ? providers.primary : providers.ofFrontEnd(frontEnd)[0]
      const issuer = known?.issuer ?? idp
      const provider = issuer === undefined ? usual : providers.find(issuer)
      const hints = { idToken: known?.idToken, logoutHint: known?.logoutHint }
      return providerUrl({ frontEnd, target, clientState, provider, hints }, options)
    },

    beginAtProvider: async () => {
      const { primary } = providers
      const { endSessionEndpoint } = await primary.metadata()
      if (endSessionEndpoint === undefined) return undefined
      const { clientId, postLogoutRedirectUri } = primary
      return withParameters(endSessionEndpoint, {
        client_id: clientId,
        post_logout_redirect_uri: postLogoutRedirectUri,
      })
    },

    complete: async (state) => {
      const { frontEnds } = options
      const only = frontEnds.all.length === 1 ? frontEnds.all[0] : undefined
      // RP-Initiated Logout 1.0 §2 lets a provider omit the state that it was not sent; some drop it always.
      if (!state) return { links: only ? [backTo(only, undefined)] : [] }
      const opened = (await openToken(state, context, ring)) as [string, string, number, string?] | undefined
      if (opened === undefined) {
        throw new BrokerError('sign_out_unknown', { links: only ? [backTo(only, undefined)] : [] })
      }
      const [frontEndId, target, begunAt, clientState] = opened
      const frontEnd = frontEnds.find(frontEndId)
      // Checked again: the settings may have lost the front end since.
      if (!frontEnd) throw new BrokerError('sign_out_unknown')
      const redirectTo = signedOutUrlOf(target, frontEnd)
      // An old state may come from a browser's history: a person follows the link, and there is no redirect.
      if (clock() > begunAt + lifetime) return { frontEndId, links: [backTo(frontEnd, redirectTo)] }
      return { frontEndId, redirectTo: withState(redirectTo, clientState) }
    },
  }
}

interface ProviderSignOut {
  readonly frontEnd: FrontEnd
  /** The front end's page, checked. */
  readonly target: string
  /** The state of an OAuth client. */
  readonly clientState?: string | undefined
  readonly provider: IdentityProvider | undefined
  readonly hints: Pick<EndSessionParameters, 'idToken' | 'logoutHint'>
}

/**
 * @returns the URL of the provider's sign-out; the front end's page where the provider has none, or is down. The
 *   session has ended already: then only the provider's own session stays
 */
async function providerUrl(signOut: ProviderSignOut, options: SignOutOptions): Promise<string> {
  const { frontEnd, target, clientState, provider, hints } = signOut
  try {
    const endSessionEndpoint = (await provider?.metadata())?.endSessionEndpoint
    if (!provider || endSessionEndpoint === undefined) return withState(target, clientState)
    const content = [frontEnd.id, target, options.clock(), clientState]
    const state = sealToken(content, context, await options.ring.current())
    const request = endSessionRequest(endSessionEndpoint, provider, { state, ...hints })
    if ('url' in request) return request.url
    const handle = await keepEndSessionForm(request.form, options)
    return `${provider.postLogoutRedirectUri}?handle=${handle}`
  } catch (error) {
    options.onFault(error)
    return withState(target, clientState)
  }
}

/** The page of a sign-out that has begun. The settings may have lost it since. */
function signedOutUrlOf(target: string, frontEnd: FrontEnd): string {
  try {
    return checkSignedOutUrl(target, frontEnd)
  } catch (error) {
    throw asBrokerError(error).with({ links: [backTo(frontEnd, undefined)] })
  }
}

/** RP-Initiated Logout 1.0 §3. JSON keeps an absent state as null. */
function withState(target: string, state: string | null | undefined): string {
  return withParameters(target, { state: state ?? undefined })
}

function backTo(frontEnd: FrontEnd, url: string | undefined): Link {
  return { text: 'Back to the application', url: checkSignedOutUrl(url, frontEnd) }
}
