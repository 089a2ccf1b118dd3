/** The authorization endpoint's answers in Entra's form, in the redirect or in the posted form. */
import { decodeJwt } from 'jose'
import type { KoaContextWithOIDC } from 'oidc-provider'
import { tenantOf } from './configuration.ts'
import type { Surroundings } from './configuration.ts'
import { EntraError, nameProviderFailure } from './entra-error.ts'
import type { ProviderFailure } from './entra-error.ts'
import { errorPage } from './pages.ts'
import { sessionId } from './people.ts'
import { changeAuthorizationAnswer } from './posted-form.ts'
import type { Fields } from './posted-form.ts'
import { clientInfo, issuerOf } from './token-answer.ts'

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

  if (changeAuthorizationAnswer(ctx, asEntraFields)) return
  if (ctx.status >= 400 && failure && typeof ctx.body === 'string') {
    ctx.body = errorPage(new EntraError(nameProviderFailure(failure), `[${failure.detail}]`).message)
  }
}
