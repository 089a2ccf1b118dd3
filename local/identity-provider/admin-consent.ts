/** The endpoint at which an administrator consents for a tenant, as Entra has it beside OAuth's endpoints. */
import type { KoaContextWithOIDC } from 'oidc-provider'
import { currentRedirectUris, tenantOf } from './configuration.ts'
import type { RegisteredClient, Surroundings } from './configuration.ts'
import { EntraError } from './entra-error.ts'
import type { EntraErrorName } from './entra-error.ts'
import { consentPage, errorPage, signInPage } from './pages.ts'
import { directoryRoles } from './people.ts'
import type { Person } from './people.ts'
import { readBody } from './request-body.ts'
import { splitScope } from './scopes.ts'
import { showPage } from './show-page.ts'

export interface AdminConsent {
  readonly tenantId: string
  readonly scopes: readonly string[]
}

interface ConsentOptions {
  readonly around: Surroundings
  readonly clients: readonly RegisteredClient[]
  readonly consents: AdminConsent[]
}

const administrators: readonly string[] = [
  directoryRoles.globalAdministrator,
  directoryRoles.cloudApplicationAdministrator,
]

/** Two pages: the account, then the permissions. The response goes to the redirect URI by GET. */
export async function answerAdminConsent(ctx: KoaContextWithOIDC, options: ConsentOptions): Promise<void> {
  const { around, clients, consents } = options
  ctx.set('cache-control', 'no-store')
  const { directory } = around
  const query = ctx.URL.searchParams
  const redirectUri = query.get('redirect_uri') ?? ''
  const scope = query.get('scope') ?? ''
  const client = clients.find(({ clientId }) => clientId === query.get('client_id'))
  if (!client) {
    refuse(ctx, 'application_unknown')
    return
  }
  if (!(await currentRedirectUris(client)).includes(redirectUri)) {
    refuse(ctx, 'redirect_uri_unknown')
    return
  }
  if (scope === '') {
    refuse(ctx, 'parameter_missing')
    return
  }

  const application = client.name ?? client.clientId
  const people = directory.peopleAt(around)
  const form = new URLSearchParams(ctx.method === 'POST' ? await readBody(ctx.req) : '')
  const account = query.get('account') ?? form.get('username') ?? form.get('account') ?? ''
  const found = directory.findByUsername(account, people)
  const person = found && directory.findEnabled(found.objectId)
  const answer = (fields: Readonly<Record<string, string>>) => {
    const url = new URL(redirectUri)
    const state = query.get('state')
    const all = { ...fields, ...(state === null ? {} : { state }) }
    for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value)
    ctx.redirect(url.href)
    ctx.status = 302
  }
  if (form.has('cancel')) {
    const { kind, message } = new EntraError('consent_declined')
    // Entra's own documentation shows `admin_consent=True` beside the error.
    answer({ admin_consent: 'True', error: kind.error, error_description: message })
    return
  }
  if (!person) {
    const action = `${ctx.path}${ctx.search}`
    showPage(
      ctx,
      signInPage({ action, application, people: people.slice(0, 20), username: '', selectAccount: true }),
      200,
    )
    return
  }
  if (!isAdministrator(person)) {
    refuse(ctx, 'administrator_needed')
    return
  }
  if (!form.has('consent')) {
    query.set('account', person.username)
    const action = `${ctx.path}?${query.toString()}`
    showPage(ctx, consentPage({ action, application, username: person.username, scopes: splitScope(scope) }), 200)
    return
  }
  const tenantId = tenantOf(person, around)
  consents.push({ tenantId, scopes: splitScope(scope) })
  answer({ admin_consent: 'True', tenant: tenantId, scope })
}

function isAdministrator({ claims }: Person): boolean {
  const wids = claims?.['wids']
  return Array.isArray(wids) && wids.some((wid: unknown) => administrators.some((one) => one === wid))
}

function refuse(ctx: KoaContextWithOIDC, name: EntraErrorName): void {
  showPage(ctx, errorPage(new EntraError(name).message), 400)
}
