/** Sends a page of the provider with its content security policy. */
import type { KoaContextWithOIDC } from 'oidc-provider'
import { pagePolicy } from './pages.ts'

/** @param page HTML of pages.ts @param status without it, the one that the context has */
export function showPage(ctx: KoaContextWithOIDC, page: string, status?: number): void {
  if (status !== undefined) ctx.status = status
  ctx.type = 'html'
  ctx.set('content-security-policy', pagePolicy)
  ctx.body = page
}
