/** The responses of AD FS to a browser: of the authorization endpoint and of the sign-out. */
import type { KoaContextWithOIDC } from 'oidc-provider'
import { unescapeHtml } from '../authorize-endpoint.ts'
import { errorPage, formPostPage, messagePage, pagePolicy } from '../pages.ts'
import { AdfsError } from './adfs-error.ts'
import type { AdfsErrorName } from './adfs-error.ts'

/** Turns the errors and the form of oidc-provider into those of AD FS. */
export async function answerAuthorization(
  ctx: KoaContextWithOIDC,
  next: () => Promise<unknown>,
  failure: () => string | undefined,
): Promise<void> {
  await next()
  const asAdfs = (given: Readonly<Record<string, string>>): Record<string, string> => {
    const fields = Object.fromEntries(Object.entries(given).filter(([name]) => name !== 'iss'))
    if (fields['error'] !== 'login_required') return fields
    const { kind } = new AdfsError('interaction_required')
    return { ...fields, error: kind.error, error_description: kind.text }
  }
  const location = ctx.response.get('location')
  const form = typeof ctx.body === 'string' ? readForm(ctx.body) : undefined
  if (location) {
    const url = new URL(location, ctx.href)
    if (!url.searchParams.has('error') || url.origin === ctx.origin) return
    url.search = new URLSearchParams(asAdfs(Object.fromEntries(url.searchParams))).toString()
    ctx.set('location', url.href)
  } else if (form) {
    ctx.status = 200
    show(ctx, formPostPage(form.action, asAdfs(form.fields)))
  } else if (ctx.status >= 400) {
    const name: AdfsErrorName = failure()?.includes('redirect_uri') ? 'redirect_uri_page' : 'client_unknown_page'
    ctx.status = 200
    show(ctx, errorPage(new AdfsError(name).message))
  }
}

function readForm(html: string): { action: string; fields: Readonly<Record<string, string>> } | undefined {
  const action = /<form method="post" action="([^"]*)">/.exec(html)?.[1]
  const inputs = html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"\/>/g)
  const fields = Object.fromEntries([...inputs].map(([, name, value]) => [unescapeHtml(name), unescapeHtml(value)]))
  return action === undefined ? undefined : { action: unescapeHtml(action), fields }
}

interface SignOutState {
  readonly postLogoutRedirectUri?: string
  readonly state?: string
}

/** [MS-OIDCE] §3.2.5.4: GET only. It comes back only where `id_token_hint` names the application. */
export async function answerSignOut(ctx: KoaContextWithOIDC, next: () => Promise<unknown>): Promise<void> {
  if (ctx.method !== 'GET') {
    ctx.status = 405
    return
  }
  const hasHint = ctx.URL.searchParams.has('id_token_hint')
  await next()
  const { session } = ctx.oidc
  const { postLogoutRedirectUri, state } = (session?.state ?? {}) as SignOutState
  await session?.destroy()
  ctx.cookies.set(ctx.oidc.provider.cookieName('session'), null, { httpOnly: true, sameSite: 'lax', overwrite: true })
  ctx.status = 200
  show(ctx, signedOutPage())
  if (!hasHint || postLogoutRedirectUri === undefined) return
  const target = new URL(postLogoutRedirectUri)
  if (state !== undefined) target.searchParams.set('state', state)
  ctx.redirect(target.href)
}

export function signedOutPage(): string {
  return messagePage('Sign out', 'You have successfully signed out.')
}

export function show(ctx: KoaContextWithOIDC, html: string): void {
  ctx.type = 'html'
  ctx.set('content-security-policy', pagePolicy)
  ctx.body = html
}
