/**
 * Forms in pages: reads their hidden fields, and changes the fields of an authorization response,
 * posted or in a redirect.
 */
import type { KoaContextWithOIDC } from 'oidc-provider'
import { formPostPage } from './pages.ts'
import { showPage } from './show-page.ts'

export type Fields = Readonly<Record<string, string>>

interface PostedForm {
  readonly action: string
  readonly fields: Fields
}

/** @returns the first form of the page with its hidden fields; undefined where there is none */
export function readForm(page: unknown): PostedForm | undefined {
  if (typeof page !== 'string') return undefined
  const action = /<form[^>]* action="([^"]*)"/.exec(page)?.[1]
  if (action === undefined) return undefined
  const inputs = page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)
  const fields = Object.fromEntries([...inputs].map(([, name, value]) => [unescapeHtml(name), unescapeHtml(value)]))
  return { action: unescapeHtml(action), fields }
}

/**
 * Changes the fields of oidc-provider's authorization response: the error in a redirect to the application, or each
 * field of a posted form, which then has the provider's own page.
 *
 * @returns false where the answer is neither
 */
export function changeAuthorizationAnswer(ctx: KoaContextWithOIDC, change: (fields: Fields) => Fields): boolean {
  const location = ctx.response.get('location')
  if (location) {
    const url = new URL(location, ctx.href)
    if (!url.searchParams.has('error') || url.origin === ctx.origin) return true
    url.search = new URLSearchParams(change(Object.fromEntries(url.searchParams))).toString()
    ctx.set('location', url.href)
    return true
  }
  const form = readForm(ctx.body)
  if (!form) return false
  showPage(ctx, formPostPage(form.action, change(form.fields)), 200)
  return true
}

export function unescapeHtml(text = ''): string {
  const characters: Readonly<Record<string, string>> = {
    amp: '&',
    lt: '<',
    gt: '>',
    quot: '"',
    '#39': "'",
    '#x27': "'",
  }
  return text.replace(/&(amp|lt|gt|quot|#39|#x27);/g, (entity, name: string) => characters[name] ?? entity)
}
