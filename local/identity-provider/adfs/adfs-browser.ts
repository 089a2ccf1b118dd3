/** The responses of AD FS to a browser: of the authorization endpoint and of the sign-out. */
import type { KoaContextWithOIDC } from 'oidc-provider'
import { errorPage, messagePage } from '../pages.ts'
import { changeAuthorizationAnswer } from '../posted-form.ts'
import type { Fields } from '../posted-form.ts'
import { showPage } from '../show-page.ts'
import { endSession } from '../sign-out.ts'
import { AdfsError } from './adfs-error.ts'
import type { AdfsErrorName } from './adfs-error.ts'

/** Turns the errors and the form of oidc-provider into those of AD FS. */
export async function answerAuthorization(
  ctx: KoaContextWithOIDC,
  next: () => Promise<unknown>,
  failure: () => string | undefined,
): Promise<void> {
  await next()
  const asAdfs = (given: Fields): Fields => {
    const fields = Object.fromEntries(Object.entries(given).filter(([name]) => name !== 'iss'))
    if (fields['error'] !== 'login_required') return fields
    const { kind } = new AdfsError('interaction_required')
    return { ...fields, error: kind.error, error_description: kind.text }
  }
  if (changeAuthorizationAnswer(ctx, asAdfs)) return
  if (ctx.status >= 400) {
    const name: AdfsErrorName = failure()?.includes('redirect_uri') ? 'redirect_uri_page' : 'client_unknown_page'
    showPage(ctx, errorPage(new AdfsError(name).message), 200)
  }
}

/** [MS-OIDCE] §3.2.5.4: GET only. It comes back only where `id_token_hint` names the application. */
export async function answerSignOut(ctx: KoaContextWithOIDC, next: () => Promise<unknown>): Promise<void> {
  if (ctx.method !== 'GET') {
    ctx.status = 405
    return
  }
  const hasHint = ctx.URL.searchParams.has('id_token_hint')
  await next()
  const target = await endSession(ctx)
  showPage(ctx, signedOutPage(), 200)
  if (hasHint && target !== undefined) ctx.redirect(target)
}

export function signedOutPage(): string {
  return messagePage('Sign out', 'You have successfully signed out.')
}
