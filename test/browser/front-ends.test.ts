import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { servePages } from './library-pages.ts'
import type { LibraryPages } from './library-pages.ts'
import { newVisitor, signInAtProvider } from './visitor.ts'

/** The names that the script of docs/front-ends.md defines. */
interface TenLines {
  readonly session: { readonly username?: string; readonly sign_in_url?: string }
  readonly token: { readonly access_token?: string; readonly sign_in_url?: string }
  readonly signIn: (problem: object) => void
  readonly signOut: () => Promise<void>
  readonly callApi: (url: string) => Promise<Response>
}

interface Answered {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

describeInBrowser('a front end', () => {
  let stack: Stack
  let browser: Browser
  /** Pages without a script: one server with several origins. */
  let pages: LibraryPages
  let stranger: LibraryPages
  let registered: string
  let elsewhere: string
  beforeAll(async () => {
    ;[pages, stranger, browser] = await Promise.all([servePages(), servePages(), openBrowser()])
    registered = new URL(pages.sameSite).origin
    elsewhere = new URL(pages.otherSite).origin
    const apis = [{ name: 'orders', scopes: ['api://demo/orders.read'] }]
    stack = await startStack({
      demo: true,
      frontEnds: [
        { id: 'shop', origins: [registered], apis },
        { id: 'far', origins: [elsewhere], apis },
      ],
    })
  })
  afterAll(async () => {
    await closeVisitors(browser)
    await Promise.all([stack.close(), pages.close(), stranger.close()])
  })

  it('signs in, calls its API and signs out with the ten lines of docs/front-ends.md', async () => {
    const { tab, context, complaints } = await newVisitor(browser)
    const page = await tab(`${registered}/#cart`)
    await runTenLines(page)
    expect(await page.evaluate(() => (window as unknown as TenLines).token.access_token)).toBeUndefined()

    await page.evaluate(() => {
      const { session, signIn } = window as unknown as TenLines
      signIn(session)
    })
    await signInAtProvider(page, ada)
    await page.waitForURL(`${registered}/#cart`)
    await runTenLines(page)

    expect(await page.evaluate(() => (window as unknown as TenLines).session.username)).toBe(ada)
    const api = stack.cloud.demoApi!.url
    const called = await page.evaluate(async (url) => {
      const { token } = window as unknown as TenLines
      const answer = await fetch(url, { headers: { authorization: `Bearer ${token.access_token ?? ''}` } })
      return answer.status
    }, api)
    expect(called).toBe(200)

    await page.evaluate(() => (window as unknown as TenLines).signOut())
    await page.waitForURL(`${registered}/`)
    await runTenLines(page)
    expect(await page.evaluate(() => (window as unknown as TenLines).session.username)).toBeUndefined()
    expect(complaints).toEqual([])
    await context.close()
  })

  it('steps up with the lines of docs/front-ends.md: the API’s challenge leads to a second factor, once', async () => {
    const { tab, context, complaints } = await newVisitor(browser)
    const page = await tab(`${registered}/#approve`)
    await runTenLines(page)
    await page.evaluate(() => {
      const { session, signIn } = window as unknown as TenLines
      signIn(session)
    })
    await signInAtProvider(page, ada)
    await page.waitForURL(`${registered}/#approve`)
    await runTenLines(page)
    const approvals = `${stack.cloud.demoApi!.url}/approvals`

    await page.evaluate((url) => {
      void (window as unknown as TenLines).callApi(url)
    }, approvals)
    await page.getByRole('button', { name: 'Approve' }).click()
    await page.waitForURL(`${registered}/#approve`)
    await runTenLines(page)

    expect(
      await page.evaluate(
        (url) => (window as unknown as TenLines).callApi(url).then(({ status }) => status),
        approvals,
      ),
    ).toBe(200)
    expect(complaints).toEqual([])
    await context.close()
  })

  it('receives the reason if it is on another site, where no session cookie arrives', async () => {
    const { tab, context } = await newVisitor(browser)

    const page = await tab(elsewhere)
    expect(await ask(page, '/session')).toMatchObject({ status: 403, body: { code: 'front_end_cross_site' } })

    const neighbour = await tab(registered)
    expect(await ask(neighbour, '/session')).toMatchObject({ status: 401, body: { code: 'signed_out' } })
    await context.close()
  })

  it('reads nothing and changes nothing if it is not registered, even on the same site', async () => {
    const { context, tab } = await newVisitor(browser)
    const page = await tab(registered)
    await page.goto(`${stack.url}/login?frontend=shop&return_url=${encodeURIComponent(registered)}`)
    await signInAtProvider(page, ada)
    await page.waitForURL(`${registered}/`)

    const other = await tab(stranger.sameSite)
    expect(await ask(other, '/session?frontend=shop')).toBe('refused by the browser')
    expect(await ask(other, '/session/token?frontend=shop', { api: 'orders' })).toBe('refused by the browser')
    expect(await ask(other, '/logout?frontend=shop', {})).toBe('refused by the browser')
    // The browser sends a form without permission.
    await other.setContent(`<form method="post" action="${stack.url}/logout?frontend=shop"><button>Win</button></form>`)
    await other.getByRole('button', { name: 'Win' }).click()
    await other.waitForURL(/\/logout/)

    expect(await ask(page, '/session')).toMatchObject({ status: 200, body: { username: ada } })
    await context.close()
  })

  /** The script of docs/front-ends.md, with the broker's address inserted. */
  async function runTenLines(page: Page): Promise<void> {
    const documentation = readFileSync(new URL('../../docs/front-ends.md', import.meta.url), 'utf8')
    const scriptOf = (heading: string) =>
      /```js\n(.*?)```/s.exec(documentation.slice(documentation.indexOf(heading)))?.[1] ?? ''
    const script = scriptOf('## A session front end, in ten lines')
    expect(script.trim().split('\n').length).toBeLessThanOrEqual(12)
    const module = `${script.replace('https://login.example.com', stack.url)}
      ${scriptOf('## Step-up and continuous access')}
      Object.assign(window, { session, token, signIn, signOut, callApi, ran: true })`
    await page.addScriptTag({ type: 'module', content: module })
    await page.waitForFunction(() => 'ran' in window)
  }

  async function ask(page: Page, path: string, body?: object): Promise<Answered | string> {
    return page.evaluate(
      async ([url, text]) => {
        const headers = { 'broker-request': '1', 'content-type': 'application/json' }
        const init = text === undefined ? {} : { method: 'POST', headers, body: text }
        try {
          const answer = await fetch(url, { credentials: 'include', ...init })
          return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
        } catch {
          return 'refused by the browser'
        }
      },
      [`${stack.url}${path}`, body && JSON.stringify(body)] as const,
    )
  }
})
