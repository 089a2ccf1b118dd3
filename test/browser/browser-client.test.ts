/** The browser library in Chromium, loaded from the broker by a page of a session front end. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type * as library from '../../browser-client/src/index.ts'
import type { OAuthClient, OAuthSession } from '../../browser-client/src/oauth.ts'
import { listen } from '../../local/http-server.ts'
import type { LocalServer } from '../../local/http-server.ts'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { clientScript, integrityOf, oauthClientScript } from '../../tools/browser-client.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { newVisitor, signInAtProvider } from './visitor.ts'

/** The names that the page's script defines. */
interface Names {
  readonly client: library.Client
  readonly states: library.State[]
}

/** The same on a page of the OAuth client. */
interface OAuthNames {
  readonly client: OAuthClient
  readonly states: library.State<OAuthSession>[]
}

describeInBrowser('the browser library', () => {
  let stack: Stack
  let browser: Browser
  const written = new Map<string, string>()
  let pages: LocalServer
  let page: string
  /** The same server under another site. */
  let otherSite: string
  beforeAll(async () => {
    ;[pages, browser] = await Promise.all([servePages(written), openBrowser()])
    page = `http://localhost:${pages.port}/`
    otherSite = `http://127.0.0.1:${pages.port}/`
    const orders = { name: 'orders', scopes: ['api://demo/orders.read'] }
    stack = await startStack({
      demo: true,
      frontEnds: [
        { id: 'shop', origins: [new URL(page).origin], apis: [orders] },
        {
          id: 'app',
          kind: 'oauth',
          origins: [new URL(otherSite).origin],
          redirectUris: [`${otherSite}callback`],
          signedOutUrls: [otherSite],
          prompts: ['none'],
          apis: [orders, { name: 'bills', scopes: ['api://bills/read'] }],
        },
      ],
    })
  })
  afterAll(async () => {
    await closeVisitors(browser)
    await Promise.all([stack.close(), pages.close()])
  })

  it('loads from the broker under its integrity hash', async () => {
    const { context, tab } = await newVisitor(browser)
    const tag = (file: string, integrity: string) =>
      `<script type="module" crossorigin="anonymous" src="${stack.url}/${file}" integrity="${integrity}"
        onload="document.title='loaded'" onerror="document.title='refused'"></script>`

    for (const [file, script] of [
      ['client.js', clientScript()],
      ['client-oauth.js', oauthClientScript()],
    ] as const) {
      const opened = await tab(`${page}?${encodeURIComponent(tag(file, integrityOf(script)))}`)
      await opened.waitForFunction(() => document.title === 'loaded')
      const other = await tab(`${page}?${encodeURIComponent(tag(file, integrityOf('another script')))}`)
      await other.waitForFunction(() => document.title === 'refused')
    }
    await context.close()
  })

  it('runs the plain page of docs/browser-client.md: signed out, signed in by name, signed out again', async () => {
    const { context, tab } = await newVisitor(browser)
    const docs = readFileSync(path.join(import.meta.dirname, '../../docs/browser-client.md'), 'utf8')
    const recipe = /## Plain page\n\n```html\n([^]*?)```/.exec(docs)?.[1] ?? ''
    expect(recipe).toContain('https://login.example.com')
    written.set('/plain', recipe.replaceAll('https://login.example.com', stack.url))
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
    expect(await opened.locator('#person').textContent()).toBe('signed-out')
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
    expect((await login).searchParams.get('claims')).toContain('"c1"')
    expect((await login).searchParams.get('scope')).toBe('api://demo/orders.read')
    expect((await login).searchParams.get('frontend')).toBe('shop')
    const failed = failure(context)
    await opened.goto(calling)

    expect(await failed).toBe('failed sign_in_loop')
    await context.close()
  })

  it('steps up for an API: the person approves a second factor once, and the call succeeds, also with a body', async () => {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(page)
    await start(opened)
    await signIn(opened)
    await opened.waitForURL(page)
    await start(opened)
    const approvals = `${stack.cloud.demoApi!.url}/approvals`
    const call = (url: string) =>
      opened.evaluate(async (api) => (await (window as unknown as Names).client.fetch('orders', api)).status, url)
    expect(await call(stack.cloud.demoApi!.url)).toBe(200)

    await opened.evaluate((api) => {
      void (window as unknown as Names).client.fetch('orders', api)
    }, approvals)
    await opened.getByRole('button', { name: 'Approve' }).click()
    await opened.waitForURL(page)
    await start(opened)

    expect(await call(approvals)).toBe(200)
    // The request is sent again with its body.
    const posted = await opened.evaluate(async (api) => {
      const { client } = window as unknown as Names
      return (await client.fetch('orders', api, { method: 'POST', body: '{"id":1}' })).status
    }, approvals)
    expect(posted).toBe(403)
    await context.close()
  })

  it('gets a new token without the person where the sign-in has satisfied the challenge', async () => {
    const { context, tab } = await newVisitor(browser)
    const claims = encodeURIComponent('{"access_token":{"acrs":{"essential":true,"value":"c1"}}}')
    const opened = await tab(`${stack.url}/login?frontend=shop&return_url=${encodeURIComponent(page)}&claims=${claims}`)
    await signInAtProvider(opened, ada)
    await opened.getByRole('button', { name: 'Approve' }).click()
    await opened.waitForURL(page)
    const api = 'https://evaluating.example/'
    const challenge = Buffer.from('{"access_token":{"nbf":{"essential":true,"value":"1"}}}').toString('base64')
    const bodies: (string | null)[] = []
    await context.route(api, (route) => {
      if (route.request().method() === 'POST') bodies.push(route.request().postData())
      const isFirst = bodies.length === 1 && route.request().method() === 'POST'
      return route.fulfill({
        status: isFirst ? 401 : 200,
        headers: {
          'access-control-allow-origin': '*',
          'access-control-allow-headers': 'authorization',
          'access-control-expose-headers': 'www-authenticate',
          ...(isFirst ? { 'www-authenticate': `Bearer claims="${challenge}"` } : {}),
        },
      })
    })
    await start(opened)

    const status = await opened.evaluate(async (url) => {
      const { client } = window as unknown as Names
      return (await client.fetch('orders', url, { method: 'POST', body: 'an order' })).status
    }, api)

    expect([status, bodies]).toEqual([200, ['an order', 'an order']])
    expect(opened.url()).toBe(page)
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

  describe('for an OAuth client on another site', () => {
    let oauthScript: string
    beforeAll(() => {
      oauthScript = `const { createOAuthClient } = await import('${stack.url}/client-oauth.js')
        const client = createOAuthClient({
          broker: '${stack.url}',
          clientId: 'app',
          redirectUri: '${otherSite}callback',
          apis: { orders: 'api://demo/orders.read', bills: 'api://bills/read' },
        })
        const states = []
        client.subscribe((state) => states.push(state))
        Object.assign(window, { client, states })`
    })

    it('signs in and returns to the same address, calls an API, renews, and stores no token', async () => {
      const { context, tab } = await newVisitor(browser)
      const opened = await tab(`${otherSite}cart?size=2#item-7`)
      const used = refreshesOf(context)
      await startOAuth(opened)
      expect(await lastState(opened)).toMatchObject({ status: 'signed-out', reason: 'start' })

      await signInByOAuth(opened)

      expect(opened.url()).toBe(`${otherSite}cart?size=2#item-7`)
      expect(await lastState(opened)).toMatchObject({
        status: 'signed-in',
        session: { username: ada, name: 'Ada Lovelace', claims: { aud: 'app', iss: stack.url } },
      })
      expect(await callsOf(opened, 2)).toEqual([200, 200])
      expect(used).toEqual([])
      await passAnHour(opened)
      expect(await callsOf(opened, 5)).toEqual([200, 200, 200, 200, 200])
      expect(used).toHaveLength(1)

      const stored = await opened.evaluate(async () => {
        const [databases, keys] = [await indexedDB.databases(), await caches.keys()]
        const written = [localStorage, sessionStorage].flatMap((storage) => Object.values(storage) as string[])
        return [...written, ...databases.map(({ name }) => name), ...keys, document.cookie]
      })
      // The counts of automatic sign-ins.
      expect(stored.filter((one) => !/^\d?$/.test(String(one)))).toEqual([])
      await context.close()
    })

    it('uses each refresh token once, in whichever tab it is, and lends its tokens to the others', async () => {
      const { context, tab } = await newVisitor(browser)
      const used = refreshesOf(context)
      const first = await tab(otherSite)
      await startOAuth(first)
      await signInByOAuth(first)
      const [second, third] = [await tab(`${otherSite}second`), await tab(`${otherSite}third`)]

      for (const opened of [second, third]) {
        await startOAuth(opened)
        expect(await lastState(opened)).toMatchObject({ status: 'signed-in', reason: 'other-tab' })
        expect(opened.url()).not.toContain('?')
      }
      const tabs = [first, second, third]
      await Promise.all(tabs.map(passAnHour))
      const all = await Promise.all(tabs.map((opened) => callsOf(opened, 3)))
      expect(all.flat()).toEqual(Array(9).fill(200))
      expect(used).toHaveLength(1)

      // The refresh token goes to one of the two others. Both work on.
      await first.close({ runBeforeUnload: false })
      const ownsGrant = async (opened: Page) =>
        opened.evaluate(async () => (await navigator.locks.query()).held!.length)
      await expect.poll(() => ownsGrant(second)).toBe(1)
      await Promise.all([second, third].map(passAnHour))
      const left = await Promise.all([second, third].map((opened) => callsOf(opened, 3)))
      expect(left.flat()).toEqual(Array(6).fill(200))

      expect(used).toHaveLength(2)
      expect(new Set(used).size).toBe(2)
      await context.close()
    })

    it('signs in again without interaction after a reload, and once only where the browser is not known', async () => {
      const { context, tab } = await newVisitor(browser)
      let visits = 0
      context.on('request', (request) => {
        if (request.isNavigationRequest() && request.url().startsWith(`${stack.url}/login`)) visits += 1
      })
      const automatic = `${otherSite}page?size=2#item-7`
      await runInPages(
        context,
        `if (location.hash === '#item-7') sessionStorage.automatic = ''
        if (!('automatic' in sessionStorage)) return
        ${oauthScript}
        const session = await client.getSession()
        if (session) console.log('signed in', session.name)
        else client.signIn({ prompt: 'none' }).catch(({ code }) => console.log('failed', code, !client.getState().error))`,
      )
      const failed = failure(context)
      const opened = await tab(automatic)
      expect(await failed).toBe('failed sign_in_loop true')
      expect([visits, opened.url()]).toEqual([1, automatic])

      await opened.evaluate(() => sessionStorage.removeItem('automatic'))
      await opened.goto(otherSite)
      await startOAuth(opened)
      await signInByOAuth(opened)
      // A page that stays signed in for ten seconds starts the count again.
      await opened.clock.fastForward(11_000)
      const signedIn = context.waitForEvent('console', (one) => one.text().startsWith('signed in'))
      await opened.goto(automatic, { waitUntil: 'commit' })
      expect((await signedIn).text()).toBe('signed in Ada Lovelace')
      expect([visits, opened.url()]).toEqual([3, automatic])
      await context.close()
    })

    it('starts no redirect loop if the page leaves after each successful sign-in', async () => {
      const { context, tab } = await newVisitor(browser)
      const opened = await tab(otherSite)
      await startOAuth(opened)
      await signInByOAuth(opened)
      let visits = 0
      context.on('request', (request) => {
        if (request.isNavigationRequest() && request.url().startsWith(`${stack.url}/login`)) visits += 1
      })
      const failed = failure(context)
      await runInPages(
        context,
        `${oauthScript}
        if (await client.getSession()) location.assign('/')
        else client.signIn().catch(({ code }) => console.log('failed', code))`,
      )
      await opened.goto(otherSite, { waitUntil: 'commit' })

      expect(await failed).toBe('failed sign_in_loop')
      expect(visits).toBe(3)
      await context.close()
    })

    it('refuses an answer of another state or issuer, and an ID token of another nonce, issuer or audience', async () => {
      const { context, tab } = await newVisitor(browser)
      const opened = await tab(otherSite)
      await context.route(`${stack.url}/login**`, (route) => route.fulfill({ status: 204 }))
      let claims: Readonly<Record<string, unknown>> = {}
      let redeemed = 0
      await context.route(`${stack.url}/token`, (route) => {
        redeemed += 1
        const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
        const id_token = `${part({ alg: 'RS256' })}.${part(claims)}.c2lnbmF0dXJl`
        return route.fulfill({
          headers: { 'access-control-allow-origin': new URL(otherSite).origin },
          json: { access_token: 'a', token_type: 'Bearer', expires_in: 3600, id_token, refresh_token: 'r' },
        })
      })
      /** Begins a sign-in, and opens the redirect URI with this answer. */
      const outcomeOf = async (
        answer: Readonly<Record<string, string>>,
        changes: Readonly<Record<string, unknown>>,
      ) => {
        await startOAuth(opened)
        const login = opened.waitForRequest((request) => request.url().startsWith(`${stack.url}/login`))
        await opened.evaluate(() => void (window as unknown as OAuthNames).client.signIn())
        const { searchParams } = new URL((await login).url())
        expect(Object.fromEntries(searchParams)).toMatchObject({
          client_id: 'app',
          response_type: 'code',
          code_challenge_method: 'S256',
          scope: 'openid profile api://demo/orders.read',
        })
        const nonce = searchParams.get('nonce')
        claims = { iss: stack.url, aud: 'app', sub: 'ada', nonce, ...changes }
        const given = { code: 'c', state: searchParams.get('state')!, iss: stack.url, ...answer }
        await opened.goto(`${otherSite}callback?${new URLSearchParams(given).toString()}`)
        await startOAuth(opened)
        // The address is clean in every case.
        expect(new URL(opened.url()).search).toBe('')
        const { status, code } = await lastState(opened)
        return status === 'signed-in' ? status : code
      }

      expect(await outcomeOf({ state: 'another' }, {})).toBe('state_mismatch')
      expect(await outcomeOf({ iss: 'https://attacker.example' }, {})).toBe('issuer_mismatch')
      expect(await outcomeOf({ error: 'access_denied' }, {})).toBe('access_denied')
      expect(redeemed).toBe(0)
      for (const changes of [
        { nonce: 'another' },
        { nonce: undefined },
        { iss: 'https://attacker.example' },
        { aud: 'another' },
      ])
        expect([changes, await outcomeOf({}, changes)]).toEqual([changes, 'id_token_refused'])
      expect(await outcomeOf({}, {})).toBe('signed-in')
      await context.close()
    })

    it('keeps the person while the broker does not answer, repeats a lost request once, and recovers', async () => {
      const { context, tab } = await newVisitor(browser)
      const opened = await tab(otherSite)
      await startOAuth(opened)
      await signInByOAuth(opened)
      await passAnHour(opened)
      let lost = 0
      await context.route(`${stack.url}/token`, (route) => {
        lost += 1
        return route.abort()
      })

      const outcome = await opened.evaluate(async () => {
        const { client } = window as unknown as OAuthNames
        const code = await client.getToken('orders').catch((error: unknown) => (error as library.BrokerError).code)
        return [code, client.getState().status, client.getState().session?.name]
      })
      expect(outcome).toEqual(['unreachable', 'degraded', 'Ada Lovelace'])
      expect(lost).toBe(2)

      await context.unroute(`${stack.url}/token`)
      await opened.evaluate(() => dispatchEvent(new Event('online')))
      await opened.waitForFunction(() => (window as unknown as OAuthNames).client.getState().status === 'signed-in')
      await context.close()
    })

    it('is signed out in every tab if the session has ended, and leads to a sign-in for another API', async () => {
      const { context, tab } = await newVisitor(browser)
      const [first, second] = [await tab(otherSite), await tab(`${otherSite}second`)]
      await startOAuth(first)
      await signInByOAuth(first)
      await startOAuth(second)

      const login = first.waitForRequest((request) => request.url().startsWith(`${stack.url}/login`))
      await first.evaluate(async () => {
        const { client } = window as unknown as OAuthNames
        await client.getToken('bills').catch((thrown: unknown) => {
          const error = thrown as library.BrokerError
          if (error.code === 'interaction_required') void client.signIn({ error })
        })
      })
      expect(new URL((await login).url()).searchParams.get('scope')).toBe('openid profile api://bills/read')
      expect(new URL((await login).url()).searchParams.has('api')).toBe(false)
      await first.waitForURL(`${otherSite}callback?**`)
      await startOAuth(first)
      // The token for orders is in the second tab, which received the grant.
      const both = await first.evaluate(async (expected) => {
        const { client } = window as unknown as OAuthNames
        const tokens = await Promise.all(['orders', 'bills'].map((api) => client.getToken(api)))
        return new Set(tokens).size === expected
      }, 2)
      expect(both).toBe(true)

      await context.route(`${stack.url}/token`, (route) =>
        route.fulfill({
          status: 400,
          headers: { 'access-control-allow-origin': new URL(otherSite).origin },
          json: { error: 'invalid_grant', code: 'grant_invalid' },
        }),
      )
      await passAnHour(first)
      const code = await first.evaluate(() =>
        (window as unknown as OAuthNames).client
          .getToken('bills')
          .catch((error: unknown) => (error as library.BrokerError).code),
      )
      expect(code).toBe('signed_out')
      expect(await lastState(first)).toMatchObject({ status: 'signed-out', reason: 'checked' })
      // The second tab has a grant of its own.
      expect(await lastState(second)).toMatchObject({ status: 'signed-in' })
      await context.close()
    })

    it('signs out in every tab, at the broker and at the provider, and its tokens are over', async () => {
      const { context, tab } = await newVisitor(browser)
      const [first, second] = [await tab(otherSite), await tab(`${otherSite}second`)]
      await startOAuth(first)
      const answer = first.waitForResponse((response) => response.url() === `${stack.url}/token`)
      await signInByOAuth(first)
      const { refresh_token } = (await (await answer).json()) as { refresh_token: string }
      await startOAuth(second)

      const leaving = second.waitForRequest((request) => request.url().startsWith(`${stack.url}/end-session`))
      await second.evaluate(
        (returnUrl) => void (window as unknown as OAuthNames).client.signOut({ returnUrl }),
        otherSite,
      )
      expect(new URL((await leaving).url()).searchParams.has('id_token_hint')).toBe(true)
      await first.waitForFunction(() => (window as unknown as OAuthNames).client.getState().status === 'signed-out')

      expect(await lastState(first)).toMatchObject({ reason: 'other-tab', session: undefined })
      // The owner of the grant leaves it to /end-session, which finds the provider's own hint in it: the provider does not ask.
      await second.waitForURL(otherSite)
      const after = await fetch(`${stack.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'app', refresh_token }),
      })
      expect(await after.json()).toMatchObject({ error: 'invalid_grant' })
      await context.close()
    })

    it('answers a claims challenge by a new token, in the tab that owns the grant and in another one', async () => {
      const { context, tab } = await newVisitor(browser)
      const [first, second] = [await tab(otherSite), await tab(`${otherSite}second`)]
      await startOAuth(first)
      await signInByOAuth(first)
      await startOAuth(second)
      const used = refreshesOf(context)

      for (const [count, opened] of [first, second].entries()) {
        const { api, claims } = await challengingApi(context, 1)
        const renewal = context.waitForEvent('request', (request) => request.url() === `${stack.url}/token`)
        const answered = await opened.evaluate(async (url) => {
          const { client } = window as unknown as OAuthNames
          const response = await client.fetch('orders', new Request(url, { method: 'POST', body: 'the body' }))
          return [response.status, await response.text()]
        }, api)

        expect(answered).toEqual([200, 'the body'])
        expect(new URLSearchParams((await renewal).postData()!).get('claims')).toBe(claims)
        expect(used).toHaveLength(count + 1)
      }
      expect(new Set(used).size).toBe(2)
      await context.close()
    })

    it('starts a sign-in for a claims challenge once, where the provider requires the person', async () => {
      const { context, tab } = await newVisitor(browser)
      const opened = await tab(otherSite)
      await startOAuth(opened)
      await signInByOAuth(opened)
      const { api, claims } = await challengingApi(context, Infinity)
      await context.route(`${stack.url}/token`, (route) => {
        if (!new URLSearchParams(route.request().postData()!).has('claims')) return route.continue()
        const query = new URLSearchParams({ client_id: 'app', scope: 'api://demo/orders.read', claims })
        return route.fulfill({
          status: 400,
          headers: { 'access-control-allow-origin': new URL(otherSite).origin },
          json: {
            error: 'interaction_required',
            code: 'interaction_required',
            sign_in_url: `${stack.url}/login?${query.toString()}`,
          },
        })
      })
      await runInPages(
        context,
        `${oauthScript}
        if (!(await client.getSession())) await client.signIn()
        client.fetch('orders', '${api}').catch(({ code }) => console.log('failed', code))`,
      )
      const challenges: string[] = []
      context.on('request', (request) => {
        const url = new URL(request.url())
        if (request.isNavigationRequest() && url.pathname === '/login' && url.searchParams.has('claims'))
          challenges.push(url.searchParams.get('claims')!)
      })
      const failed = failure(context)
      await opened.goto(otherSite, { waitUntil: 'commit' })

      expect(await failed).toBe('failed sign_in_loop')
      expect(challenges).toEqual([claims])
      await context.close()
    })

    /** An API that answers so many requests with a challenge, and then repeats their body. */
    async function challengingApi(context: BrowserContext, count: number) {
      const api = `https://challenging.example/${count}`
      // The provider answers it without a page.
      const claims = JSON.stringify({ access_token: { nbf: { essential: true, value: '1' } } })
      let answered = 0
      await context.route(api, (route) => {
        const request = route.request()
        const headers = {
          'access-control-allow-origin': '*',
          'access-control-allow-headers': 'authorization',
          'access-control-expose-headers': 'www-authenticate',
        }
        if (request.method() === 'OPTIONS') return route.fulfill({ status: 204, headers })
        answered += 1
        if (answered > count) return route.fulfill({ headers, body: request.postData() ?? '' })
        const challenge = `Bearer error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`
        return route.fulfill({ status: 401, headers: { ...headers, 'www-authenticate': challenge } })
      })
      return { api, claims }
    }

    async function startOAuth(opened: Page): Promise<void> {
      await opened.clock.install()
      await opened.addScriptTag({ type: 'module', content: oauthScript })
      await opened.waitForFunction(() => {
        const { client } = window as unknown as Partial<OAuthNames>
        return client !== undefined && client.getState().status !== 'loading'
      })
    }

    /** Runs in every page of the front end, as its own script does: a call by the test would count as a click. */
    function runInPages(context: BrowserContext, script: string): Promise<unknown> {
      const { origin } = new URL(otherSite)
      return context.addInitScript(`void (async () => { if (location.origin === '${origin}') { ${script} } })()`)
    }

    /** From the page to the provider, and back to the page. */
    async function signInByOAuth(opened: Page): Promise<void> {
      await opened.evaluate(() => void (window as unknown as OAuthNames).client.signIn())
      await signInAtProvider(opened, ada)
      await opened.waitForURL(`${otherSite}callback?**`)
      await startOAuth(opened)
    }

    function lastState(opened: Page) {
      return opened.evaluate(() => {
        const { error, ...rest } = (window as unknown as OAuthNames).states.at(-1)!
        return { ...rest, code: error?.code }
      })
    }

    /** Statuses of parallel calls of the API. */
    function callsOf(opened: Page, count: number): Promise<readonly number[]> {
      return opened.evaluate(
        async ([api, times]) => {
          const { client } = window as unknown as OAuthNames
          const answers = await Promise.all(Array.from({ length: times }, () => client.fetch('orders', api)))
          return answers.map(({ status }) => status)
        },
        [stack.cloud.demoApi!.url, count] as const,
      )
    }

    /** For the clock of the page only: its tokens are over, the broker's are not. */
    function passAnHour(opened: Page): Promise<void> {
      return opened.clock.fastForward('59:30')
    }

    /** The refresh tokens that the pages send, in order. */
    function refreshesOf(context: BrowserContext): readonly string[] {
      const used: string[] = []
      context.on('request', (request) => {
        const token = new URLSearchParams(request.postData() ?? '').get('refresh_token')
        if (request.url() === `${stack.url}/token` && token !== null) used.push(token)
      })
      return used
    }
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

/** Pages whose body is their own query, so that a test writes the page that it needs; or text that was written for a path. */
function servePages(written: ReadonlyMap<string, string>): Promise<LocalServer> {
  const handler = (
    request: { url?: string | undefined },
    response: { setHeader(name: string, value: string): void; end(text: string): void },
  ) => {
    const { pathname, search } = new URL(request.url ?? '/', 'http://localhost')
    const body = written.get(pathname) ?? decodeURIComponent(search.slice(1))
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(
      `<!doctype html><title>page</title><link rel="icon" href="data:," />${body.startsWith('<') ? body : ''}`,
    )
  }
  return listen({ name: 'front end', port: 0, handler })
}
