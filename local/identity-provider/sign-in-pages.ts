/** The pages between the authorization request and its answer: the account, the second factor, the consent. */
import type { InteractionResults, KoaContextWithOIDC } from 'oidc-provider'
import type Provider from 'oidc-provider'
import type { Surroundings } from './configuration.ts'
import { EntraError } from './entra-error.ts'
import { consentPage, errorPage, secondFactorPage, signInPage } from './pages.ts'
import type { SignInPage } from './pages.ts'
import { readBody } from './request-body.ts'
import { splitScope } from './scopes.ts'
import { showPage } from './show-page.ts'

/** AD FS has one directory and one authority. */
type SignInSurroundings = Pick<Surroundings, 'directory'> & Partial<Pick<Surroundings, 'isForMany' | 'authority'>>

type Interaction = Awaited<ReturnType<Provider['interactionDetails']>>

export async function answerSignInPage(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  around: SignInSurroundings,
): Promise<void> {
  ctx.set('cache-control', 'no-store')
  const interaction = await provider.interactionDetails(ctx.req, ctx.res).catch(() => undefined)
  if (!interaction) {
    // Opened in another browser, finished already, or left for an hour.
    showPage(ctx, errorPage('AADSTS165004: This sign-in page has ended.'), 400)
    return
  }
  if (ctx.method !== 'POST') {
    showPage(ctx, await currentPage(provider, ctx, interaction, around), 200)
    return
  }

  const form = new URLSearchParams(await readBody(ctx.req))
  if (form.has('cancel')) {
    const { kind, message } = new EntraError('consent_declined')
    return finish(provider, ctx, { error: kind.error, error_description: message })
  }
  if (interaction.prompt.name === 'consent') return finish(provider, ctx, { consent: {} })

  const factorOf = accountForSecondFactor(interaction)
  if (factorOf !== undefined) return finish(provider, ctx, { login: { accountId: factorOf, amr: ['pwd', 'mfa'] } })

  const username = form.get('username') ?? form.get('account') ?? ''
  const { directory } = around
  const person = directory.findByUsername(username, directory.peopleAt(around))
  if (!person || directory.isDisabled(person)) {
    const problem = person
      ? { code: 'AADSTS50057', text: 'This account is disabled.' }
      : { code: 'AADSTS50034', text: `We couldn’t find an account with that username: ${username}` }
    showPage(ctx, await currentPage(provider, ctx, interaction, around, { username, problem }), 400)
    return
  }
  return finish(provider, ctx, { login: { accountId: person.objectId, amr: ['pwd'] }, select_account: {} })
}

async function currentPage(
  provider: Provider,
  ctx: KoaContextWithOIDC,
  { params, prompt, session }: Interaction,
  around: SignInSurroundings,
  again: Partial<Pick<SignInPage, 'username' | 'problem'>> = {},
): Promise<string> {
  const { directory } = around
  const client = await provider.Client.find(String(params['client_id']))
  const application = client?.clientName ?? String(params['client_id'])
  const signedIn = directory.findEnabled(session?.accountId ?? '')
  if (prompt.name === 'consent') {
    const scopes = splitScope(params['scope'] as string | undefined)
    return consentPage({ action: ctx.path, application, username: signedIn?.username ?? '', scopes })
  }
  if (accountForSecondFactor({ prompt, session }) !== undefined) {
    return secondFactorPage({ action: ctx.path, application, username: signedIn?.username ?? '' })
  }
  const hinted = directory.findByHint(params['login_hint'] as string | undefined)
  return signInPage({
    action: ctx.path,
    application,
    // A directory may hold ten thousand, for measuring.
    people: directory.peopleAt(around).slice(0, 20),
    username: hinted?.username ?? (params['login_hint'] as string | undefined) ?? signedIn?.username ?? '',
    selectAccount: prompt.name === 'select_account',
    ...again,
  })
}

/** @returns the account that is signed in already, where only the second factor is missing */
function accountForSecondFactor({ prompt, session }: Pick<Interaction, 'prompt' | 'session'>): string | undefined {
  const [reason, ...others] = prompt.reasons
  return reason === 'second_factor' && others.length === 0 ? session?.accountId : undefined
}

async function finish(provider: Provider, ctx: KoaContextWithOIDC, result: InteractionResults): Promise<void> {
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result))
  ctx.status = 303
}
