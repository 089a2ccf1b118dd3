/** The browser library in Chromium, loaded from the broker by a page of a session front end. */
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type * as library from '../../browser-client/src/index.ts'
import { listen } from '../../local/http-server.ts'
import type { LocalServer } from '../../local/http-server.ts'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { clientScript, integrityOf } from '../../tools/browser-client.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { newVisitor, signInAtProvider } from './visitor.ts'

/** The names that the page's script defines. */
interface Names {
  readonly client: library.Client
  readonly states: library.State[]
}

describeInBrowser('the browser library', () => {
  let stack: Stack
  let browser: Browser
  let pages: LocalServer
  let page: string
  beforeAll(async () => {
    ;[pages, browser] = await Promise.all([servePages(), openBrowser()])
    page = `http://localhost:${pages.port}/`
    stack = await startStack({
      demo: true,
      frontEnds: [
        { id: 'shop', origins: [new URL(page).origin], apis: [{ name: 'orders', scopes: ['api://demo/orders.read'] }] },
      ],
    })
  })
  afterAll(async () => {
    await closeVisitors(browser)
    await Promise.all([stack.close(), pages.close()])
  })

  it('loads from the broker under its integrity hash', async () => {
    const { context, tab } = await newVisitor(browser)
    const tag = (integrity: string) =>
      `<script type="module" crossorigin="anonymous" src="${stack.url}/client.js" integrity="${integrity}"
        onload="document.title='loaded'" onerror="document.title='refused'"></script>`

    const opened = await tab(`${page}?${encodeURIComponent(tag(integrityOf(clientScript())))}`)
    await opened.waitForFunction(() => document.title === 'loaded')
    const other = await tab(`${page}?${encodeURIComponent(tag(integrityOf('another script')))}`)
    await other.waitForFunction(() => document.title === 'refused')
    await context.close()
  })

  it('signs in and returns to the same address, gets a token for an API, and signs out', async () => {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(`${page}cart?size=2#item-7`)
    await start(opened)
    expect(await statuses(opened)).toEqual(['signed-out'])

    await signIn(opened)
    await opened.waitForURL(`${page}cart?size=2#item-7`)
    await start(opened)

    expect(await opened.evaluate(() => (window as unknown as Names).client.getState())).toMatchObject({
      status: 'signed-in',
      session: { username: ada },
      error: undefined,
    })
    const [called, requests] = await opened.evaluate(async (api) => {
      const { client } = window as unknown as Names
      const answers = await Promise.all([client.fetch('orders', api), client.fetch('orders', new Request(api))])
      const tokens = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/session/token'))
      return [answers.map(({ status }) => status), tokens.length] as const
    }, stack.cloud.demoApi!.url)
    expect(called).toEqual([200, 200])
    // A preflight is no resource entry: both calls share one token.
    expect(requests).toBe(1)

    await opened.evaluate(() => void (window as unknown as Names).client.signOut())
    await opened.waitForURL(page)
    await start(opened)
    expect(await statuses(opened)).toEqual(['signed-out'])
    await context.close()
  })

  it('synchronizes tabs: a sign-out in one tab signs the other out', async () => {
    const { context, tab } = await newVisitor(browser)
    const first = await tab(page)
    await start(first)
    await signIn(first)
    await first.waitForURL(page)
    const second = await tab(page)
    await Promise.all([start(first), start(second)])

    await first.evaluate(() => void (window as unknown as Names).client.signOut())
    await second.waitForFunction(() => (window as unknown as Names).client.getState().status === 'signed-out')

    const last = await second.evaluate(() => (window as unknown as Names).states.at(-1))
    expect(last).toMatchObject({ reason: 'other-tab' })
    await context.close()
  })

  it('keeps the person while the broker does not answer, and recovers', async () => {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(page)
    await start(opened)
    await signIn(opened)
    await opened.waitForURL(page)
    await start(opened)

    await context.route(`${stack.url}/session**`, (route) => route.abort())
    const session = await opened.evaluate(() => (window as unknown as Names).client.getSession())
    expect(session).toMatchObject({ username: ada })
    const state = await opened.evaluate(() => {
      const { error, ...rest } = (window as unknown as Names).client.getState()
      return { ...rest, code: error?.code, answered: error?.status }
    })
    expect(state).toMatchObject({ status: 'degraded', reason: 'unreachable', code: 'unreachable', answered: 0 })

    await context.unroute(`${stack.url}/session**`)
    await opened.evaluate(() => dispatchEvent(new Event('online')))
    await opened.waitForFunction(() => (window as unknown as Names).client.getState().status === 'signed-in')
    await context.close()
  })

  it('starts no redirect loop if each return finds no session: the second automatic sign-in is rejected', async () => {
    const { context, tab } = await newVisitor(browser)
    await context.route(`${stack.url}/session**`, (route) =>
      route.fulfill({
        status: 401,
        headers: { 'access-control-allow-origin': new URL(page).origin, 'access-control-allow-credentials': 'true' },
        json: { code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` },
      }),
    )
    let visits = 0
    context.on('request', (request) => {
      if (request.isNavigationRequest() && request.url().startsWith(`${stack.url}/login`)) visits += 1
    })
    const failed = failure(context)
    const opened = await tab(`${page}?${encodeURIComponent(automatic())}`)
    // A locator that polls the front end's page evaluates there, and that counts as a click.
    await opened.waitForURL(({ origin }) => origin !== new URL(page).origin)
    await signInAtProvider(opened, ada)

    expect(await failed).toBe('failed sign_in_loop')
    expect(visits).toBe(1)
    await context.close()
  })

  it('starts a sign-in for a claims challenge of an API, and no second one if the first changed nothing', async () => {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(page)
    await start(opened)
    await signIn(opened)
    await opened.waitForURL(page)
    const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: 'c1' } } })
    const api = 'https://challenging.example/'
    await context.route(api, (route) =>
      route.fulfill({
        status: route.request().method() === 'OPTIONS' ? 204 : 401,
        headers: {
          'access-control-allow-origin': '*',
          'access-control-allow-headers': 'authorization',
          'access-control-expose-headers': 'www-authenticate',
          'www-authenticate': `Bearer error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`,
        },
      }),
    )
    // The sign-in is not followed: the test looks at its address.
    const login = new Promise<URL>((resolve) => {
      void context.route(`${stack.url}/login**`, (route) => {
        resolve(new URL(route.request().url()))
        return route.fulfill({ status: 204 })
      })
    })
    // The page's own script does this: a call by the test would count as a click.
    const calling = `${page}?${encodeURIComponent(`<script type="module">
      import { createClient } from '${stack.url}/client.js'
      const client = createClient({ broker: '${stack.url}', frontEnd: 'shop' })
      await client.getSession()
      client.fetch('orders', '${api}').catch(({ code }) => console.log('failed', code))
    </script>`)}`

    await opened.goto(calling)
    expect((await login).searchParams.get('claims')).toBe(claims)
    expect((await login).searchParams.get('frontend')).toBe('shop')
    const failed = failure(context)
    await opened.goto(calling)

    expect(await failed).toBe('failed sign_in_loop')
    await context.close()
  })

  it('rejects after an abort signal, and the shared request continues for the other callers', async () => {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(page)
    await start(opened)

    const outcomes = await opened.evaluate(async () => {
      const { client } = window as unknown as Names
      const reasons = [
        client.getSession({ signal: AbortSignal.abort(new Error('stopped')) }),
        client.getSession(),
      ] as const
      const settled = await Promise.allSettled(reasons)
      return settled.map((one) => (one.status === 'rejected' ? (one.reason as Error).message : one.status))
    })

    expect(outcomes).toEqual(['stopped', 'fulfilled'])
    await context.close()
  })

  /** The page reports through its console: a call by the test would count as a click. */
  async function failure(context: BrowserContext): Promise<string> {
    const message = await context.waitForEvent('console', (one) => one.text().startsWith('failed'))
    return message.text()
  }

  /** Loads the library into the page, subscribes, and waits for the broker's answer. */
  async function start(opened: Page): Promise<void> {
    await opened.addScriptTag({ type: 'module', content: script() })
    await opened.waitForFunction(() => {
      const { client } = window as unknown as Partial<Names>
      return client !== undefined && client.getState().status !== 'loading'
    })
  }

  function script(): string {
    return `import { createClient } from '${stack.url}/client.js'
      const client = createClient({ broker: '${stack.url}' })
      const states = []
      client.subscribe((state) => states.push(state))
      Object.assign(window, { client, states })`
  }

  function automatic(): string {
    return `<script type="module">
      import { createClient } from '${stack.url}/client.js'
      const client = createClient({ broker: '${stack.url}' })
      const session = await client.getSession()
      if (!session) client.signIn().catch(({ code }) => console.log('failed', code))
    </script>`
  }

  async function statuses(opened: Page): Promise<readonly string[]> {
    return opened.evaluate(() => (window as unknown as Names).states.map(({ status }) => status))
  }

  async function signIn(opened: Page): Promise<void> {
    await opened.evaluate(() => void (window as unknown as Names).client.signIn())
    await signInAtProvider(opened, ada)
  }
})

/** Pages whose body is their own query, so that a test writes the page that it needs. */
function servePages(): Promise<LocalServer> {
  const handler = (
    request: { url?: string | undefined },
    response: { setHeader(name: string, value: string): void; end(text: string): void },
  ) => {
    const body = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').search.slice(1))
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(
      `<!doctype html><title>page</title><link rel="icon" href="data:," />${body.startsWith('<') ? body : ''}`,
    )
  }
  return listen({ name: 'front end', port: 0, handler })
}
