/**
 * Sign-out requested by an application: no question when it names the person. OpenID Connect RP-Initiated Logout 1.0.
 */
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Surroundings } from './configuration.ts'
import { EntraError, nameProviderFailure } from './entra-error.ts'
import type { ProviderFailure } from './entra-error.ts'
import { errorPage, signedOutPage } from './pages.ts'
import { showPage } from './show-page.ts'

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
    showPage(ctx, errorPage(new EntraError(nameProviderFailure(failure), `[${failure.detail}]`).message))
  }
  if (ctx.status !== 200 || !session) return
  const hinted = directory.findByHint(params?.['logout_hint'] as string | undefined)
  const noPerson = session.accountId === undefined
  if (!noPerson && hinted?.objectId !== session.accountId) return

  const target = await endSession(ctx)
  showPage(ctx, signedOutPage())
  if (target === undefined) return
  ctx.redirect(target)
  ctx.status = 303
}

/**
 * @returns the address of the application that requested the sign-out, with its state; undefined where it named none
 */
export async function endSession(ctx: KoaContextWithOIDC): Promise<string | undefined> {
  const { provider, session } = ctx.oidc
  const { postLogoutRedirectUri, state } = (session?.state ?? {}) as SignOutState
  await session?.destroy()
  ctx.cookies.set(provider.cookieName('session'), null, { httpOnly: true, sameSite: 'lax', overwrite: true })
  if (postLogoutRedirectUri === undefined) return undefined
  const target = new URL(postLogoutRedirectUri)
  if (state !== undefined) target.searchParams.set('state', state)
  return target.href
}
