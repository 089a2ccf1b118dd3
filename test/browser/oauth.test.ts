import { readFileSync } from 'node:fs'
import type { User } from 'oidc-client-ts'
import type * as library from 'oidc-client-ts'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { demoOtherSiteId } from '../../local/cloud.ts'
import { startPageServer } from '../../local/demo/page-server.ts'
import type { LocalServer } from '../../local/http-server.ts'
import { app } from '../setup/client.ts'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import * as visitor from './visitor.ts'

const { accessibilityProblems, expectText, expectToFitAPhone, newVisitor, signInAtProvider, signInByDemo } = visitor

const everywhere: Registration = { ...app, id: 'everywhere', singleSignOn: true, prompts: ['none'] }

describeInBrowser('a front end on another site, by oidc-client-ts', () => {
  let stack: Stack
  let browser: Browser
  let demo: string
  /** A front end as docs/front-ends.md describes it: a page with only the library. */
  let shop: LocalServer
  beforeAll(async () => {
    const page = () => ({ type: 'text/html', body: shopPage(`${demo}oidc-client-ts.js`) }) as const
    const files = { '/': page, '/cart': page, '/callback': page }
    shop = await startPageServer({ name: 'shop', port: 0, contentPolicy: () => "base-uri 'none'", files })
    const origin = `http://127.0.0.1:${shop.port}`
    const registered = { ...app, id: 'shop', origins: [origin], redirectUris: [`${origin}/callback`] }
    const frontEnds = [everywhere, registered]
    ;[stack, browser] = await Promise.all([startStack({ demo: true, frontEnds }), openBrowser()])
    demo = stack.cloud.demoOtherSite!.url
  })
  afterAll(async () => {
    await closeVisitors(browser)
    await Promise.all([stack.close(), shop.close()])
  })

  it('signs in with the ten lines of docs/front-ends.md, and returns to the same address', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(`http://127.0.0.1:${shop.port}/cart#item-7`)
    await runDocs(page)
    expect(await page.evaluate(() => (window as unknown as Docs).user)).toBeNull()

    await page.evaluate(() => void (window as unknown as Docs).signIn())
    await signInAtProvider(page, ada)
    await page.waitForURL(/\/callback\?/)
    await runDocs(page)

    expect(page.url()).toBe(`http://127.0.0.1:${shop.port}/cart#item-7`)
    const user = await page.evaluate(() => (window as unknown as Docs).user)
    expect(user?.scope).toBe('openid profile api://demo/orders.read')
    expect(user?.profile).toMatchObject({ name: 'Ada Lovelace', preferred_username: ada })
    await context.close()
  })

  it('signs a person in across sites, calls the API, renews, and signs out at the provider too', async () => {
    const { tab, context, complaints } = await newVisitor(browser)
    const page = await tab(`${demo}?page=2#order=17`)
    await expectText(page, '#status', 'Signed out')

    await signInByDemo(page, ada)
    expect(page.url()).toBe(`${demo}?page=2#order=17`)
    await expectText(page, '#status', 'Signed in')
    await expectText(page, '#scopes', 'api://demo/orders.read')

    await page.getByRole('button', { name: 'Show my orders' }).click()
    await expectText(page, '#api-answer', /Ada Lovelace/)

    const before = await refreshTokenOf(page)
    await page.getByRole('button', { name: 'Renew' }).click()
    await expect.poll(() => refreshTokenOf(page)).not.toBe(before)
    await page.reload()
    await page.getByRole('button', { name: 'Show my orders' }).click()
    await expectText(page, '#api-answer', /Ada Lovelace/)

    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Sign in' }).waitFor()
    expect(page.url()).toBe(demo)
    expect(await refreshTokenOf(page)).toBeUndefined()
    expect(await context.cookies(stack.url)).toEqual([])

    await page.getByRole('button', { name: 'Sign in' }).click()
    // The provider shows its form again: its own session has ended too.
    await page.getByLabel('Username').waitFor()
    expect(complaints).toEqual([])
    await context.close()
  })

  it('receives the reason of a failed sign-in, and can sign in afterwards', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(demo)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: 'Cancel' }).click()

    await expectText(page, '#problem', /access_denied/)
    expect(page.url()).toBe(demo)
    await signInByDemo(page, ada)
    await context.close()
  })

  it('is signed out if another party revoked its session, and shows this at the renewal', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(demo)
    await signInByDemo(page, ada)
    const token = (await refreshTokenOf(page))!
    await fetch(`${stack.url}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: 'demo-oauth', token }),
    })

    await page.getByRole('button', { name: 'Renew' }).click()

    await expectText(page, '#problem', /invalid_grant/)
    await page.getByRole('button', { name: 'Sign in' }).waitFor()
    await context.close()
  })

  it('gets login_required in a hidden frame if the person must act, in one round and without a loop', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(demo)
    await signInByDemo(page, ada)
    const requested: string[] = []
    context.on('request', (request) => requested.push(new URL(request.url()).pathname))

    const error = await page.evaluate(async ({ authority, clientId }) => {
      const { oidc } = window as unknown as { oidc: typeof library }
      const redirectUri = `${location.origin}/callback`
      const manager = new oidc.UserManager({
        authority,
        metadataUrl: `${authority}/.well-known/oauth-authorization-server`,
        client_id: clientId,
        redirect_uri: redirectUri,
        silent_redirect_uri: redirectUri,
        scope: 'api://demo/orders.read',
      })
      return manager.signinSilent({ forceIframeAuth: true }).then(
        () => 'signed in',
        (thrown: unknown) => (thrown as { error?: string }).error ?? String(thrown),
      )
    }, client())

    expect(error).toBe('login_required')
    expect(requested.filter((path) => path === '/login')).toHaveLength(1)
    expect(requested.filter((path) => path === '/callback')).toHaveLength(1)
    await expect.poll(() => page.frames().length).toBe(1)
    await context.close()
  })

  it('signs in with a popup, which keeps its opener', async () => {
    const { tab, context } = await newVisitor(browser)
    const page = await tab(demo)
    const opened = context.waitForEvent('page')

    const signedIn = page.evaluate(async ({ authority, clientId }) => {
      const { oidc } = window as unknown as { oidc: typeof library }
      const redirectUri = `${location.origin}/callback`
      const manager = new oidc.UserManager({
        authority,
        metadataUrl: `${authority}/.well-known/oauth-authorization-server`,
        client_id: clientId,
        redirect_uri: redirectUri,
        popup_redirect_uri: redirectUri,
        scope: 'api://demo/orders.read',
      })
      return (await manager.signinPopup()).scope
    }, client())
    const popup = await opened
    await popup.getByLabel('Username').waitFor()
    // Some libraries depend on window.opener.
    expect(await popup.evaluate(() => window.opener !== null)).toBe(true)
    await signInAtProvider(popup, ada)

    expect(await signedIn).toBe('api://demo/orders.read')
    expect(context.pages()).toHaveLength(1)
    await context.close()
  })

  it('receives its answer as a form, by script and by the button, if it requests form_post', async () => {
    const { tab, context, complaints } = await newVisitor(browser)
    const page = await tab(authorizationUrl(demoOtherSiteId, { response_mode: 'form_post' }))
    const posted = page.waitForRequest((request) => request.method() === 'POST' && request.url().startsWith(demo))
    await signInAtProvider(page, ada)
    const byScript = new URLSearchParams((await posted).postData() ?? '')
    expect([byScript.get('state'), byScript.get('iss'), byScript.has('code')]).toEqual(['chosen', stack.url, true])
    expect(complaints.filter((complaint) => /Content Security/.test(complaint))).toEqual([])
    await context.close()

    const plain = await newVisitor(browser, { javaScriptEnabled: false })
    const still = await plain.tab(
      authorizationUrl(demoOtherSiteId, { response_mode: 'form_post', scope: 'api://other/read' }),
    )
    const pressed = still.waitForRequest((request) => request.method() === 'POST')
    await still.getByRole('button', { name: 'Continue' }).click()
    expect(new URLSearchParams((await pressed).postData() ?? '').get('error')).toBe('invalid_scope')
    await plain.context.close()
  })

  it('requires the choice of an account if the browser signed in at another front end', async () => {
    const { tab, context } = await newVisitor(browser)
    await signInByDemo(await tab(stack.cloud.demoFrontEnd!.url), ada)

    const page = await tab(demo)
    await page.getByRole('button', { name: 'Sign in' }).click()

    await page.getByLabel('Username').waitFor()
    await signInAtProvider(page, ada)
    await expectText(page, '#status', 'Signed in')
    await context.close()
  })

  it('signs in without interaction if its registration has single sign-on', async () => {
    const { tab, context } = await newVisitor(browser)
    await signInByDemo(await tab(stack.cloud.demoFrontEnd!.url), ada)

    for (const prompt of [undefined, 'none']) {
      const page = await tab(authorizationUrl('everywhere', prompt === undefined ? {} : { prompt }))
      await page.waitForURL(/\/callback\?/)
      expect(new URL(page.url()).searchParams.has('code')).toBe(true)
    }
    await context.close()
  })

  it('receives login_required for prompt=none if interaction is required', async () => {
    const { tab, context } = await newVisitor(browser)
    await signInByDemo(await tab(stack.cloud.demoFrontEnd!.url), ada)

    const page = await tab('about:blank')
    const answer = page.waitForRequest(/\/callback\?/)
    await page.goto(authorizationUrl(demoOtherSiteId, { prompt: 'none' }))

    const { searchParams } = new URL((await answer).url())
    expect(Object.fromEntries(searchParams)).toMatchObject({
      error: 'login_required',
      state: 'chosen',
      iss: stack.url,
    })
    await page.waitForURL(demo)
    await context.close()
  })

  it('has a page that is accessible to a screen reader and fits a phone', async () => {
    const { tab, context } = await newVisitor(browser, { viewport: { width: 360, height: 640 } })
    const page = await tab(demo)
    await expectText(page, '#status', 'Signed out')
    expect(await accessibilityProblems(page)).toEqual([])

    await signInByDemo(page, ada)
    await page.getByRole('button', { name: 'Show my orders' }).click()
    await expectText(page, '#api-answer', /orders/)

    expect(await accessibilityProblems(page)).toEqual([])
    await expectToFitAPhone(page)
    await context.close()
  })

  /** The script of the documentation, with the broker's address inserted, and the library loaded without a build. */
  async function runDocs(page: Page): Promise<void> {
    const docs = readFileSync(new URL('../../docs/front-ends.md', import.meta.url), 'utf8')
    const script = /```js\n(import \{ UserManager \}.*?)```/s.exec(docs)?.[1] ?? ''
    const content = script
      .replace(/^import .*$/m, 'const { UserManager } = oidc')
      .replace(/https:\/\/[\w.-]+\.azurewebsites\.net/, stack.url)
    await page.addScriptTag({
      type: 'module',
      content: `${content}\nObject.assign(window, { user, signIn, ran: true })`,
    })
    await page.waitForFunction(() => 'ran' in window)
  }

  function client() {
    return { authority: stack.url, clientId: demoOtherSiteId }
  }

  /** A link as a library creates it. The code is not redeemed, so the verifier of the challenge is unknown. */
  function authorizationUrl(clientId: string, changes: Readonly<Record<string, string>>): string {
    const url = new URL('/login', stack.url)
    const parameters = {
      client_id: clientId,
      redirect_uri: stack.cloud.demoOtherSite!.redirectUri,
      response_type: 'code',
      scope: 'api://demo/orders.read',
      state: 'chosen',
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
      ...changes,
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    return url.href
  }
})

/** The variables of the script in docs/front-ends.md. */
interface Docs {
  readonly user: User | null
  readonly signIn: () => Promise<void>
}

function shopPage(libraryUrl: string): string {
  return `<!doctype html><title>Shop</title><link rel="icon" href="data:," /><script src="${libraryUrl}"></script>`
}

/** The refresh token that the library stores in this tab. */
function refreshTokenOf(page: Page): Promise<string | undefined> {
  return page.evaluate(() => {
    const kept = Object.entries(sessionStorage).find(([name]) => name.startsWith('oidc.user:'))
    return kept && (JSON.parse(String(kept[1])) as { refresh_token?: string }).refresh_token
  })
}
