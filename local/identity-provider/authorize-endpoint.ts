/** The authorization endpoint's answers in Entra's form, and the page that posts them. */
import { decodeJwt } from 'jose'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { tenantOf } from './configuration.ts'
import type { Surroundings } from './configuration.ts'
import { EntraError, nameProviderFailure } from './entra-error.ts'
import type { ProviderFailure } from './entra-error.ts'
import { errorPage, formPostPage, pagePolicy } from './pages.ts'
import { sessionId } from './people.ts'
import { clientInfo, issuerOf } from './token-answer.ts'

type Fields = Record<string, string>

/** Adds what Entra adds to a code; oidc-provider lets its listeners change the answer before it is sent. */
export function asEntraCode(ctx: KoaContextWithOIDC, answer: Record<string, unknown>, around: Surroundings): void {
  const { session, account, params } = ctx.oidc
  const person = account && around.directory.findEnabled(account.accountId)
  if (!around.settings.announceIssuer) delete answer['iss']
  const { id_token: idToken } = answer
  if (around.isForMany && person && typeof idToken === 'string') {
    // In the name of the person's tenant, as at the token endpoint.
    const iss = issuerOf(around.origin, tenantOf(person, around))
    answer['id_token'] = around.keys.signNow({ ...decodeJwt(idToken), iss })
  }
  if (session) answer['session_state'] = sessionId(session.uid)
  if (person && params?.['client_info'] === '1') answer['client_info'] = clientInfo(person, tenantOf(person, around))
}

/** Adds numbers to errors, removes `iss` where it is not announced, and shows every form on the provider's own page. */
export function asEntraAuthorizationAnswer(
  ctx: KoaContextWithOIDC,
  failure: ProviderFailure | undefined,
  { settings }: Surroundings,
): void {
  const asEntraFields = (fields: Fields): Fields => {
    const { iss, ...rest } = fields
    const kept = iss !== undefined && settings.announceIssuer ? { ...rest, iss } : rest
    if (kept['error'] === undefined || kept['error_description']?.startsWith('AADSTS')) return kept
    const error = new EntraError(nameProviderFailure(failure ?? { error: kept['error'], detail: '' }))
    return { ...kept, error: error.kind.error, error_description: error.message }
  }

  const location = ctx.response.get('location')
  const form = readForm(ctx.body)
  if (location) {
    const url = new URL(location, ctx.href)
    if (!url.searchParams.has('error') || url.origin === ctx.origin) return
    url.search = new URLSearchParams(asEntraFields(Object.fromEntries(url.searchParams))).toString()
    ctx.set('location', url.href)
  } else if (form) {
    ctx.status = 200
    ctx.type = 'html'
    ctx.set('content-security-policy', pagePolicy)
    ctx.body = formPostPage(form.action, asEntraFields(form.fields))
  } else if (ctx.status >= 400 && failure && typeof ctx.body === 'string') {
    ctx.body = errorPage(new EntraError(nameProviderFailure(failure), `[${failure.detail}]`).message)
  }
}

/** The form of oidc-provider's own page: its fields are all hidden inputs. */
function readForm(body: unknown): { action: string; fields: Fields } | undefined {
  if (typeof body !== 'string') return undefined
  const action = /<form method="post" action="([^"]*)">/.exec(body)?.[1]
  if (action === undefined) return undefined
  const inputs = body.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"\/>/g)
  const fields = Object.fromEntries([...inputs].map(([, name, value]) => [unescapeHtml(name), unescapeHtml(value)]))
  return { action: unescapeHtml(action), fields }
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
