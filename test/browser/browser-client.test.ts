/** The browser library for a session front end, in Chromium. The broker serves it to a page of the front end. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { build } from 'esbuild'
import type { Browser, JSHandle, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type * as library from '../../browser-client/src/index.ts'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { clientScript, integrityOf, oauthClientScript } from '../../tools/browser-client.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { encodeClaims, failure, lastState, navigationsTo, pageOf, refuseStorage } from './library-pages.ts'
import { serveApi, servePages, startClient, statesOf } from './library-pages.ts'
import type { LibraryPages } from './library-pages.ts'
import { newVisitor, signInAtProvider } from './visitor.ts'

const root = path.join(import.meta.dirname, '../..')

/** Each makes the page that runs a recipe of docs/browser-client.md. */
const recipes: Readonly<Record<string, (code: string) => string | Promise<string>>> = {
  'Plain page': (code) => code,
  React: (code) =>
    pageOfModule(`${code}
      import { createRoot } from 'react-dom/client'
      createRoot(document.querySelector('main')).render(<Account />)`),
  // The template of a component passes the event of the click in the same way.
  Vue: (code) =>
    pageOfModule(`${code}
      import { createApp, h } from 'vue'
      const setup = () => {
        const { state, signIn, signOut } = useSession()
        return () =>
          state.value.session
            ? h('p', [state.value.session.name, h('button', { onClick: signOut }, 'Sign out')])
            : h('button', { onClick: signIn }, 'Sign in')
      }
      createApp({ setup }).mount('main')`),
  // The package for rendering is not installed: a signal is read with each frame.
  Angular: (code) =>
    pageOfModule(`${code}
      import { Injector } from '@angular/core'
      const provider = { provide: SessionService, useFactory: () => new SessionService() }
      const service = Injector.create({ providers: [provider] }).get(SessionService)
      const [name, button] = ['p', 'button'].map((tag) => document.querySelector('main').appendChild(document.createElement(tag)))
      const show = () => {
        const { session } = service.state()
        name.textContent = session?.name ?? ''
        button.textContent = session ? 'Sign out' : 'Sign in'
        button.onclick = session ? service.signOut : service.signIn
        requestAnimationFrame(show)
      }
      show()`),
}

/** @returns the code of a section, for this broker */
function recipeOf(section: string, broker: string): string {
  const docs = readFileSync(path.join(root, 'docs/browser-client.md'), 'utf8')
  const code = new RegExp(`## ${section}\\n\\n\`\`\`\\w+\\n([^]*?)\`\`\``).exec(docs)?.[1] ?? ''
  expect(code).toContain('https://login.example.com')
  return code.replaceAll('https://login.example.com', broker)
}

async function pageOfModule(contents: string): Promise<string> {
  const library = path.join(root, 'browser-client/src')
  const { outputFiles } = await build({
    stdin: { contents, loader: 'tsx', resolveDir: root },
    alias: {
      'certificate-token-broker-client': path.join(library, 'index.ts'),
      'certificate-token-broker-client/react': path.join(library, 'react.ts'),
    },
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  return `<main></main><script type="module">${outputFiles[0]!.text}</script>`
}

describeInBrowser('the browser library', () => {
  let stack: Stack
  let browser: Browser
  let pages: LibraryPages
  let page: string
  beforeAll(async () => {
    ;[pages, browser] = await Promise.all([servePages(), openBrowser()])
    page = pages.sameSite
    const orders = { name: 'orders', scopes: ['api://demo/orders.read'] }
    stack = await startStack({
      demo: true,
      frontEnds: [{ id: 'shop', origins: [new URL(page).origin], apis: [orders] }],
    })
  })
  afterEach(() => closeVisitors(browser))
  afterAll(async () => {
    await Promise.all([stack.close(), pages.close()])
  })

  it('loads from the broker under its integrity hash', async () => {
    const { tab } = await newVisitor(browser)
    const tag = (file: string, integrity: string) =>
      `<script type="module" crossorigin="anonymous" src="${stack.url}/${file}" integrity="${integrity}"
        onload="document.title='loaded'" onerror="document.title='refused'"></script>`

    for (const [file, script] of [
      ['client.js', clientScript()],
      ['client-oauth.js', oauthClientScript()],
    ] as const) {
      const opened = await tab(pageOf(page, tag(file, integrityOf(script))))
      await opened.waitForFunction(() => document.title === 'loaded')
      const other = await tab(pageOf(page, tag(file, integrityOf('another script'))))
      await other.waitForFunction(() => document.title === 'refused')
    }
  })

  it.each(Object.keys(recipes))(
    'runs the recipe "%s" of its page: signed out, signed in by name, signed out again',
    async (name) => {
      const { tab } = await newVisitor(browser)
      pages.write('/plain', await recipes[name]!(recipeOf(name, stack.url)))
      const opened = await tab(`${page}plain`)

      await opened.getByRole('button', { name: 'Sign in' }).click()
      await signInAtProvider(opened, ada)
      await opened.waitForURL(`${page}plain`)
      await opened.getByText('Ada Lovelace').waitFor()
      expect(await opened.getByRole('button', { name: 'Sign in' }).isVisible()).toBe(false)

      await opened.getByRole('button', { name: 'Sign out' }).click()
      await opened.waitForURL(page)
      await opened.goto(`${page}plain`)
      await opened.getByRole('button', { name: 'Sign in' }).waitFor()
      expect(await opened.getByText('Ada Lovelace').count()).toBe(0)
    },
  )

  it('signs in and returns to the same address, gets a token for an API, and signs out', async () => {
    const { tab } = await newVisitor(browser)
    const address = `${page}cart?size=2#item-7`
    const opened = await tab(address)
    const before = await start(opened)
    expect(await statesOf(opened)).toMatchObject([{ status: 'signed-out' }])

    const client = await signIn(opened, before, address)

    expect(await client.evaluate((one) => one.getState())).toMatchObject({
      status: 'signed-in',
      session: { username: ada },
      error: undefined,
    })
    const [called, requests] = await client.evaluate(async (one, api) => {
      const answers = await Promise.all([one.fetch('orders', api), one.fetch('orders', new Request(api))])
      const tokens = performance.getEntriesByType('resource').filter(({ name }) => name.includes('/session/token'))
      return [answers.map(({ status }) => status), tokens.length] as const
    }, stack.cloud.demoApi!.url)
    expect(called).toEqual([200, 200])
    // A preflight is no resource entry: both calls share one token.
    expect(requests).toBe(1)

    await client.evaluate((one) => void one.signOut())
    await opened.waitForURL(page)
    await start(opened)
    expect(await statesOf(opened)).toMatchObject([{ status: 'signed-out' }])
  })

  it('synchronizes tabs: a sign-out in one tab signs the other out', async () => {
    const { tab, client: first } = await signedIn()
    const second = await tab(page)
    const client = await start(second)

    await first.evaluate((one) => void one.signOut())
    await second.waitForFunction((one) => one.getState().status === 'signed-out', client)

    expect(await lastState(second)).toMatchObject({ reason: 'other-tab' })
    // The broker has sent this tab no sign_in_url: the return URL names the front end, among several.
    await client.evaluate((one) => void one.signIn())
    await second.waitForURL(({ origin }) => origin === stack.identityProvider.browserUrl)
  })

  it('keeps the person while the broker does not answer, and recovers', async () => {
    const { context, tab, opened, client } = await signedIn()
    await opened.clock.install()

    await context.route(`${stack.url}/session**`, (route) => route.abort())
    expect(await client.evaluate((one) => one.getSession())).toMatchObject({ username: ada })
    const state = await client.evaluate((one) => {
      const { error, ...rest } = one.getState()
      return { ...rest, code: error?.code, answered: error?.status }
    })
    expect(state).toMatchObject({ status: 'degraded', reason: 'unreachable', code: 'unreachable', answered: 0 })

    // A page that opens now has no person, and recovers as well; neither page needs an event.
    const other = await tab(page)
    await other.clock.install()
    const later = await start(other)
    expect(await later.evaluate((one) => one.getState().status)).toBe('degraded')
    await context.unroute(`${stack.url}/session**`)
    for (const [waiting, one] of [
      [opened, client],
      [other, later],
    ] as const) {
      await waiting.clock.fastForward(31_000)
      await waiting.waitForFunction((each) => each.getState().status === 'signed-in', one)
    }
  })

  it('works in a browser that refuses its page channels, locks and storage', async () => {
    const { context, tab } = await newVisitor(browser)
    await refuseStorage(context)
    const requests: string[] = []
    context.on('request', (request) => {
      if (request.url().startsWith(`${stack.url}/session`)) requests.push(request.url())
    })
    const opened = await tab(page)

    const client = await signIn(opened, await start(opened), page)

    expect(await client.evaluate((one) => one.getState())).toMatchObject({
      status: 'signed-in',
      session: { username: ada },
    })
    expect(requests).toHaveLength(2)
    await context.route(`${stack.url}/session**`, (route) => route.abort())
    const lost = await tab(page).then(start)
    expect(
      await lost.evaluate((one) => one.getSession().catch((error: unknown) => (error as library.BrokerError).code)),
    ).toBe('unreachable')
  })

  it('requests the session also after the clock of the device was set back', async () => {
    const { context, opened, client } = await signedIn()
    await opened.clock.setSystemTime(Date.now() - 3 * 3_600_000)
    await context.clearCookies()

    expect(await client.evaluate((one) => one.getSession())).toBeUndefined()
    expect(await lastState(opened)).toMatchObject({ status: 'signed-out', reason: 'checked' })
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
    const visits = navigationsTo(context, `${stack.url}/login`)
    const failed = failure(context)
    const opened = await tab(
      pageOf(
        page,
        `<script type="module">
          import { createClient } from '${stack.url}/client.js'
          const client = createClient({ broker: '${stack.url}' })
          const session = await client.getSession()
          if (!session) client.signIn().catch(({ code }) => console.log('failed', code))
        </script>`,
      ),
    )
    // A locator that polls the front end's page evaluates there, and that counts as a click.
    await opened.waitForURL(({ origin }) => origin !== new URL(page).origin)
    await signInAtProvider(opened, ada)

    expect(await failed).toBe('failed sign_in_loop')
    expect(visits).toHaveLength(1)
  })

  it('starts a sign-in for a claims challenge of an API, and no second one if the first changed nothing', async () => {
    const { context, opened } = await signedIn()
    const claims = JSON.stringify({ access_token: { acrs: { essential: true, value: 'c1' } } })
    const api = 'https://challenging.example/'
    const challenge = `Bearer error="insufficient_claims", claims="${encodeClaims(claims)}"`
    await serveApi(context, api, () => ({ challenge }))
    // The sign-in is not followed: the test looks at its address.
    const login = new Promise<URL>((resolve) => {
      void context.route(`${stack.url}/login**`, (route) => {
        resolve(new URL(route.request().url()))
        return route.fulfill({ status: 204 })
      })
    })
    // The page's own script does this: a call by the test would count as a click.
    const calling = pageOf(
      page,
      `<script type="module">
        import { createClient } from '${stack.url}/client.js'
        const client = createClient({ broker: '${stack.url}', frontEnd: 'shop' })
        await client.getSession()
        client.fetch('orders', '${api}').catch(({ code }) => console.log('failed', code))
      </script>`,
    )

    await opened.goto(calling)
    expect((await login).searchParams.get('claims')).toContain('"c1"')
    expect((await login).searchParams.get('scope')).toBe('api://demo/orders.read')
    expect((await login).searchParams.get('frontend')).toBe('shop')
    const failed = failure(context)
    await opened.goto(calling)

    expect(await failed).toBe('failed sign_in_loop')
  })

  it('steps up for an API: the person approves a second factor once, and the call succeeds, also with a body', async () => {
    const { opened, client: before } = await signedIn()
    const approvals = `${stack.cloud.demoApi!.url}/approvals`
    const call = (client: JSHandle<library.Client>, url: string) =>
      client.evaluate(async (one, api) => (await one.fetch('orders', api)).status, url)
    expect(await call(before, stack.cloud.demoApi!.url)).toBe(200)

    await before.evaluate((one, api) => void one.fetch('orders', api), approvals)
    await opened.getByRole('button', { name: 'Approve' }).click()
    await opened.waitForURL(page)
    const after = await start(opened)

    expect(await call(after, approvals)).toBe(200)
    // The request is sent again with its body.
    const posted = await after.evaluate(
      async (one, api) => (await one.fetch('orders', api, { method: 'POST', body: '{"id":1}' })).status,
      approvals,
    )
    expect(posted).toBe(403)
  })

  it('gets a new token without the person where the sign-in has satisfied the challenge', async () => {
    const { context, tab } = await newVisitor(browser)
    const claims = encodeURIComponent('{"access_token":{"acrs":{"essential":true,"value":"c1"}}}')
    const opened = await tab(`${stack.url}/login?frontend=shop&return_url=${encodeURIComponent(page)}&claims=${claims}`)
    await signInAtProvider(opened, ada)
    await opened.getByRole('button', { name: 'Approve' }).click()
    await opened.waitForURL(page)
    const api = 'https://evaluating.example/'
    const challenge = `Bearer claims="${encodeClaims('{"access_token":{"nbf":{"essential":true,"value":"1"}}}')}"`
    const bodies: (string | null)[] = []
    await serveApi(context, api, (request) => {
      bodies.push(request.postData())
      return bodies.length === 1 ? { challenge } : { body: '' }
    })
    const client = await start(opened)

    const status = await client.evaluate(
      async (one, url) => (await one.fetch('orders', url, { method: 'POST', body: 'an order' })).status,
      api,
    )

    expect([status, bodies]).toEqual([200, ['an order', 'an order']])
    expect(opened.url()).toBe(page)
  })

  it('rejects after an abort signal, and the shared request continues for the other callers', async () => {
    const { tab } = await newVisitor(browser)
    const client = await start(await tab(page))

    const outcomes = await client.evaluate(async (one) => {
      const settled = await Promise.allSettled([
        one.getSession({ signal: AbortSignal.abort(new Error('stopped')) }),
        one.getSession(),
      ])
      return settled.map((each) => (each.status === 'rejected' ? (each.reason as Error).message : each.status))
    })

    expect(outcomes).toEqual(['stopped', 'fulfilled'])
  })

  /** A new person on the page, signed in. */
  async function signedIn() {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(page)
    return { context, tab, opened, client: await signIn(opened, await start(opened), page) }
  }

  /** From the page to the provider, and back to the page. */
  async function signIn(opened: Page, client: JSHandle<library.Client>, returnUrl: string) {
    // A page that writes `button.onclick = client.signIn` passes the event.
    await client.evaluate((one) => void one.signIn(new MouseEvent('click') as object))
    await signInAtProvider(opened, ada)
    await opened.waitForURL(returnUrl)
    return start(opened)
  }

  /** Loads the library into the page, subscribes, and waits for the broker's answer. */
  function start(opened: Page): Promise<JSHandle<library.Client>> {
    return startClient(
      opened,
      `import { createClient } from '${stack.url}/client.js'
      const client = createClient({ broker: '${stack.url}' })
      const states = []
      client.subscribe((state) => states.push(state))
      Object.assign(window, { client, states })`,
    )
  }
})
