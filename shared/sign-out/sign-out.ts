/** Sign-out begun by the person: ended here, then at the provider, then back to the front end. OpenID Connect RP-Initiated Logout 1.0. */
import { BrokerError } from '../errors/errors.ts'
import { checkSignedOutUrl } from '../front-ends/return-url.ts'
import type { FrontEnd, FrontEnds } from '../front-ends/front-ends.ts'
import type { Identity } from '../provider/identity.ts'
import type { Providers } from '../provider/provider.ts'
import type { Funnel } from '../telemetry/flow-events.ts'
import type { Clock } from '../async/deadline.ts'
import type { KeyRing } from '../crypto/key-ring.ts'
import { openToken, sealToken } from '../crypto/sealed-token.ts'
import type { SessionKey } from '../session/session-row.ts'
import { endPendingCodes } from '../session/end-sessions.ts'
import type { Sessions } from '../session/sessions.ts'
import type { Store } from '../store/store.ts'

export interface SignOut {
  /**
   * Ends the session and deletes its tokens.
   *
   * @param signedOutUrl where to go afterwards; untrusted, must be registered
   * @returns the URL to send the browser to: the provider's sign-out, or straight to the front end's page
   */
  begin(frontEnd: FrontEnd, key: SessionKey | undefined, signedOutUrl: string | undefined): Promise<string>
  /**
   * @param state as it came back; untrusted
   * @returns the front end's page, and the front end whose sign-out it was
   * @throws {BrokerError} `sign_out_unknown`
   */
  complete(state: string | undefined): Promise<{ redirectTo: string; frontEndId: string }>
}

export interface SignOutOptions {
  readonly sessions: Sessions
  readonly store: Store
  readonly ring: KeyRing
  readonly providers: Pick<Providers, 'find'>
  readonly frontEnds: FrontEnds
  readonly clock: Clock
  readonly funnel: Funnel
  readonly onFault: (error: unknown) => void
}

const context = 'sign-out'
const lifetime = 60 * 60 * 1000

export function createSignOut(options: SignOutOptions): SignOut {
  const { sessions, ring, providers, funnel, clock } = options

  const providerSignOut = async (
    frontEnd: FrontEnd,
    target: string,
    { issuer, loginHint }: Pick<Identity, 'issuer' | 'loginHint'>,
  ): Promise<string> => {
    // A provider that the settings no longer name is not visited.
    const provider = providers.find(issuer)
    const endSessionEndpoint = (await provider?.metadata())?.endSessionEndpoint
    if (!provider || endSessionEndpoint === undefined) return target
    const state = sealToken([frontEnd.id, target, clock()], context, await ring.current())
    const url = new URL(endSessionEndpoint)
    url.searchParams.set('client_id', provider.clientId)
    url.searchParams.set('post_logout_redirect_uri', provider.postLogoutRedirectUri)
    url.searchParams.set('state', state)
    if (loginHint !== undefined) url.searchParams.set('logout_hint', loginHint)
    return url.href
  }

  return {
    begin: async (frontEnd, key, signedOutUrl) => {
      const target = checkSignedOutUrl(signedOutUrl, frontEnd)
      if (!key) return target
      const owner = await funnel.track('sign_out', { frontEnd: frontEnd.id, by: 'person' }, async (step) => {
        const found = await sessions.findOwner(key)
        // Codes first; end-sessions.ts says why.
        if (found) await endPendingCodes(options.store, key.rowKey.partition)
        step.about({ sessions: (await sessions.end(key)) ? 1 : 0 })
        return found
      })
      if (!owner) return target
      // The session is over whatever happens now; a provider that is down only keeps its own.
      return providerSignOut(frontEnd, target, owner.identity).catch((error: unknown) => {
        options.onFault(error)
        return target
      })
    },

    complete: async (state) => {
      const opened = (await openToken(state, context, ring)) as [string, string, number] | undefined
      if (opened === undefined) throw new BrokerError('sign_out_unknown')
      const [frontEndId, target, begunAt] = opened
      const frontEnd = options.frontEnds.find(frontEndId)
      // Checked again: a front end may be gone from the settings since.
      if (!frontEnd || clock() > begunAt + lifetime) throw new BrokerError('sign_out_unknown')
      return { redirectTo: checkSignedOutUrl(target, frontEnd), frontEndId }
    },
  }
}
