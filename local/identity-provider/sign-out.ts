/** Sign-out requested by an application: no question when it names the person. OpenID Connect RP-Initiated Logout 1.0. */
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Surroundings } from './configuration.ts'
import { EntraError, nameProviderFailure } from './entra-error.ts'
import type { ProviderFailure } from './entra-error.ts'
import { errorPage, messagePage, pagePolicy } from './pages.ts'

interface SignOutState {
  readonly postLogoutRedirectUri?: string
  readonly state?: string
}

/** oidc-provider has checked client and URL by now, and would show a question, or post a form by script. */
export async function answerSignOut(
  ctx: KoaContextWithOIDC,
  failure: ProviderFailure | undefined,
  { directory }: Surroundings,
): Promise<void> {
  const { session, params } = ctx.oidc
  if (failure) {
    ctx.type = 'html'
    ctx.set('content-security-policy', pagePolicy)
    ctx.body = errorPage(new EntraError(nameProviderFailure(failure), `[${failure.detail}]`).message)
  }
  if (ctx.status !== 200 || !session) return
  const hinted = directory.findByHint(params?.['logout_hint'] as string | undefined)
  const noPerson = session.accountId === undefined
  if (!noPerson && hinted?.objectId !== session.accountId) return

  const { postLogoutRedirectUri, state } = (session.state ?? {}) as SignOutState
  await session.destroy()
  ctx.cookies.set(ctx.oidc.provider.cookieName('session'), null, { httpOnly: true, sameSite: 'lax', overwrite: true })
  ctx.set('content-security-policy', pagePolicy)
  if (postLogoutRedirectUri === undefined) {
    ctx.body = messagePage('You signed out of your account', 'It’s a good idea to close all browser windows.')
    return
  }
  const target = new URL(postLogoutRedirectUri)
  if (state !== undefined) target.searchParams.set('state', state)
  ctx.redirect(target.href)
  ctx.status = 303
}
