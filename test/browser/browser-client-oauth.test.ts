/** The browser library for an OAuth client, in Chromium. The client's page is on another site than the broker. */
import type { Browser, BrowserContext, JSHandle, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type * as library from '../../browser-client/src/index.ts'
import type { BrokerError, OAuthClient } from '../../browser-client/src/oauth.ts'
import { ada } from '../setup/person.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { closeVisitors, describeInBrowser, openBrowser } from './chromium.ts'
import { encodeClaims, failure, lastState, navigationsTo, refuseStorage } from './library-pages.ts'
import { serveApi, servePages, startClient } from './library-pages.ts'
import type { LibraryPages } from './library-pages.ts'
import { newVisitor, signInAtProvider } from './visitor.ts'

describeInBrowser('the browser library for an OAuth client on another site', () => {
  let stack: Stack
  let browser: Browser
  let pages: LibraryPages
  let page: string
  /** Creates the client of a page. */
  let script: string
  beforeAll(async () => {
    ;[pages, browser] = await Promise.all([servePages(), openBrowser()])
    page = pages.otherSite
    stack = await startStack({
      demo: true,
      frontEnds: [
        {
          id: 'app',
          kind: 'oauth',
          origins: [new URL(page).origin],
          redirectUris: [`${page}callback`],
          signedOutUrls: [page],
          prompts: ['none'],
          apis: [
            { name: 'orders', scopes: ['api://demo/orders.read'] },
            { name: 'bills', scopes: ['api://bills/read'] },
          ],
        },
      ],
    })
    script = `const { createOAuthClient } = await import('${stack.url}/client-oauth.js')
      const client = createOAuthClient({
        broker: '${stack.url}',
        clientId: 'app',
        redirectUri: '${page}callback',
        apis: { orders: 'api://demo/orders.read', bills: 'api://bills/read' },
      })
      const states = []
      client.subscribe((state) => states.push(state))
      Object.assign(window, { client, states })`
  })
  afterEach(() => closeVisitors(browser))
  afterAll(async () => {
    await Promise.all([stack.close(), pages.close()])
  })

  it('signs in and returns to the same address, calls an API, renews, and stores no token', async () => {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(`${page}cart?size=2#item-7`)
    const used = refreshesOf(context)
    const before = await start(opened)
    expect(await lastState(opened)).toMatchObject({ status: 'signed-out', reason: 'start' })

    const client = await signIn(opened, before)

    expect(opened.url()).toBe(`${page}cart?size=2#item-7`)
    expect(await lastState(opened)).toMatchObject({
      status: 'signed-in',
      session: { username: ada, name: 'Ada Lovelace', claims: { aud: 'app', iss: stack.url } },
    })
    expect(await callsOf(client, 2)).toEqual([200, 200])
    expect(used).toEqual([])
    await passAnHour(opened)
    expect(await callsOf(client, 5)).toEqual([200, 200, 200, 200, 200])
    expect(used).toHaveLength(1)

    const stored = await opened.evaluate(async () => {
      const [databases, keys] = [await indexedDB.databases(), await caches.keys()]
      const written = [localStorage, sessionStorage].flatMap((storage) => Object.values(storage) as string[])
      return [...written, ...databases.map(({ name }) => name), ...keys, document.cookie]
    })
    // The counts of automatic sign-ins.
    expect(stored.filter((one) => !/^\d?$/.test(String(one)))).toEqual([])
  })

  it('uses each refresh token once, in whichever tab it is, and lends its tokens to the others', async () => {
    const { context, tab } = await newVisitor(browser)
    const used = refreshesOf(context)
    const first = await tab(page)
    const lender = await signIn(first, await start(first))
    const [second, third] = [await tab(`${page}second`), await tab(`${page}third`)]

    const borrowers = []
    for (const opened of [second, third]) {
      borrowers.push(await start(opened))
      expect(await lastState(opened)).toMatchObject({ status: 'signed-in', reason: 'other-tab' })
      expect(opened.url()).not.toContain('?')
    }
    await Promise.all([first, second, third].map(passAnHour))
    const all = await Promise.all([lender, ...borrowers].map((client) => callsOf(client, 3)))
    expect(all.flat()).toEqual(Array(9).fill(200))
    expect(used).toHaveLength(1)

    // The refresh token goes to one of the two others. Both work on.
    await first.close({ runBeforeUnload: false })
    const ownsGrant = async (opened: Page) => opened.evaluate(async () => (await navigator.locks.query()).held!.length)
    await expect.poll(() => ownsGrant(second)).toBe(1)
    await Promise.all([second, third].map(passAnHour))
    const left = await Promise.all(borrowers.map((client) => callsOf(client, 3)))
    expect(left.flat()).toEqual(Array(6).fill(200))

    expect(used).toHaveLength(2)
    expect(new Set(used).size).toBe(2)
  })

  it('shows a tab that borrows tokens the failure of the tab with the grant, with its reference and its wait', async () => {
    const { context, tab, client } = await signedIn()
    const opened = await tab(`${page}second`)
    const borrower = await start(opened)
    const sign_in_url = `${stack.url}/login?client_id=app`
    await context.route(`${stack.url}/token`, (route) =>
      route.fulfill({
        status: 400,
        headers: {
          'access-control-allow-origin': new URL(page).origin,
          'access-control-expose-headers': 'Retry-After',
          'retry-after': '7',
        },
        json: { error: 'interaction_required', code: 'interaction_required', reference: 'r-1', sign_in_url },
      }),
    )

    for (const one of [borrower, client]) {
      const failed = await one.evaluate((oauth) =>
        oauth.getToken('bills').catch((thrown: unknown) => {
          const { code, status, reference, signInUrl, retryAfter, api } = thrown as BrokerError
          return { code, status, reference, signInUrl, retryAfter, api }
        }),
      )
      expect(failed).toEqual({
        ...{ code: 'interaction_required', status: 400, reference: 'r-1', signInUrl: sign_in_url },
        ...{ retryAfter: 7, api: 'bills' },
      })
    }
  })

  it('signs in again without interaction after a reload, and once only where the browser is not known', async () => {
    const { context, tab } = await newVisitor(browser)
    const visits = navigationsTo(context, `${stack.url}/login`)
    const automatic = `${page}page?size=2#item-7`
    await runInPages(
      context,
      `if (location.hash === '#item-7') sessionStorage.automatic = ''
      if (!('automatic' in sessionStorage)) return
      ${script}
      const session = await client.getSession()
      if (session) console.log('signed in', session.name)
      else client.signIn({ prompt: 'none' }).catch(({ code }) => console.log('failed', code, !client.getState().error))`,
    )
    const failed = failure(context)
    const opened = await tab(automatic)
    expect(await failed).toBe('failed sign_in_loop true')
    expect([visits.length, opened.url()]).toEqual([1, automatic])

    await opened.evaluate(() => sessionStorage.removeItem('automatic'))
    await opened.goto(page)
    await signIn(opened, await start(opened))
    // A page that stays signed in for ten seconds starts the count again.
    await opened.clock.fastForward(11_000)
    const signedIn = context.waitForEvent('console', (one) => one.text().startsWith('signed in'))
    await opened.goto(automatic, { waitUntil: 'commit' })
    expect((await signedIn).text()).toBe('signed in Ada Lovelace')
    expect([visits.length, opened.url()]).toEqual([3, automatic])
  })

  it('starts no redirect loop if the page leaves after each successful sign-in', async () => {
    const { context, opened } = await signedIn()
    const visits = navigationsTo(context, `${stack.url}/login`)
    const failed = failure(context)
    await runInPages(
      context,
      `${script}
      if (await client.getSession()) location.assign('/')
      else client.signIn().catch(({ code }) => console.log('failed', code))`,
    )
    await opened.goto(page, { waitUntil: 'commit' })

    expect(await failed).toBe('failed sign_in_loop')
    expect(visits).toHaveLength(3)
  })

  it('refuses an answer of another state or issuer, and an ID token of another nonce, issuer or audience', async () => {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(page)
    await context.route(`${stack.url}/login**`, (route) => route.fulfill({ status: 204 }))
    let claims: Readonly<Record<string, unknown>> = {}
    let redeemed = 0
    await context.route(`${stack.url}/token`, (route) => {
      redeemed += 1
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const id_token = `${part({ alg: 'RS256' })}.${part(claims)}.c2lnbmF0dXJl`
      return route.fulfill({
        headers: { 'access-control-allow-origin': new URL(page).origin },
        json: { access_token: 'a', token_type: 'Bearer', expires_in: 3600, id_token, refresh_token: 'r' },
      })
    })
    /** Begins a sign-in, and opens the redirect URI with this answer. */
    const outcomeOf = async (answer: Readonly<Record<string, string>>, changes: Readonly<Record<string, unknown>>) => {
      const client = await start(opened)
      const login = opened.waitForRequest((request) => request.url().startsWith(`${stack.url}/login`))
      await client.evaluate((one) => void one.signIn())
      const { searchParams } = new URL((await login).url())
      expect(Object.fromEntries(searchParams)).toMatchObject({
        client_id: 'app',
        response_type: 'code',
        code_challenge_method: 'S256',
        scope: 'openid profile api://demo/orders.read api://bills/read',
      })
      const nonce = searchParams.get('nonce')
      claims = { iss: stack.url, aud: 'app', sub: 'ada', nonce, ...changes }
      const given = { code: 'c', state: searchParams.get('state')!, iss: stack.url, ...answer }
      await opened.goto(`${page}callback?${new URLSearchParams(given).toString()}`)
      await start(opened)
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
  })

  it('shows why it is signed out in a browser that refuses its page channels, locks and storage', async () => {
    const { context, tab } = await newVisitor(browser)
    await refuseStorage(context)
    const client = await startClient<OAuthClient>(await tab(page), script)

    const { status, error } = await client.evaluate((one) => {
      const { status, error } = one.getState()
      return { status, error: error?.name }
    })

    expect({ status, error }).toEqual({ status: 'signed-out', error: 'SecurityError' })
  })

  it('keeps the person while the broker does not answer, repeats a lost request once, and recovers', async () => {
    const { context, opened, client } = await signedIn()
    await passAnHour(opened)
    let lost = 0
    await context.route(`${stack.url}/token`, (route) => {
      lost += 1
      return route.abort()
    })

    const outcome = await client.evaluate(async (one) => {
      const code = await one.getToken('orders').catch((error: unknown) => (error as library.BrokerError).code)
      return [code, one.getState().status, one.getState().session?.name]
    })
    expect(outcome).toEqual(['unreachable', 'degraded', 'Ada Lovelace'])
    expect(lost).toBe(2)

    await context.unroute(`${stack.url}/token`)
    await opened.evaluate(() => dispatchEvent(new Event('online')))
    await opened.waitForFunction((one) => one.getState().status === 'signed-in', client)
  })

  it('gets tokens of two APIs by one sign-in, one renewal after the other, in the tab of the grant and in another one', async () => {
    const { context, tab, opened, client: owner } = await signedIn()
    const used = refreshesOf(context)
    const second = await tab(`${page}second`)
    const other = await start(second)
    const tokensOf = (client: JSHandle<OAuthClient>) =>
      client.evaluate((one) => Promise.all(['orders', 'bills', 'bills', 'orders'].map((api) => one.getToken(api))))

    const first = await tokensOf(owner)
    expect(new Set(first).size).toBe(2)
    expect(await tokensOf(other)).toEqual(first)
    expect(used).toHaveLength(1)

    await passAnHour(opened)
    await Promise.all([tokensOf(owner), tokensOf(other)])
    expect(used).toHaveLength(3)
    expect(new Set(used).size).toBe(3)
    const unknown = await other.evaluate((one) =>
      one.getToken('toString').catch((error: unknown) => (error as library.BrokerError).code),
    )
    expect(unknown).toBe('api_unknown')
    const aborted = await other.evaluate((one) =>
      one.getToken('orders', { signal: AbortSignal.abort('stopped') }).catch((reason: unknown) => reason),
    )
    expect(aborted).toBe('stopped')
  })

  it('is signed out in every tab that lives on a session which has ended, and in no other one', async () => {
    const { context, tab, opened: first, client: owner } = await signedIn()
    const second = await tab(`${page}second`)
    await start(second)

    const login = first.waitForRequest((request) => request.url().startsWith(`${stack.url}/login`))
    await owner.evaluate((one) => void one.signIn({ api: 'bills' }))
    expect(new URL((await login).url()).searchParams.get('scope')).toBe(
      'openid profile api://bills/read api://demo/orders.read',
    )
    await first.waitForURL(`${page}callback?**`)
    const returned = await start(first)
    const third = await tab(`${page}third`)
    await start(third)

    await context.route(`${stack.url}/token`, (route) =>
      route.fulfill({
        status: 400,
        headers: { 'access-control-allow-origin': new URL(page).origin },
        json: { error: 'invalid_grant', code: 'grant_invalid' },
      }),
    )
    await passAnHour(first)
    const code = await returned.evaluate((one) =>
      one.getToken('bills').catch((error: unknown) => (error as library.BrokerError).code),
    )
    expect(code).toBe('signed_out')
    expect(await lastState(first)).toMatchObject({ status: 'signed-out', reason: 'checked' })
    expect(await lastState(third)).toMatchObject({ status: 'signed-out', reason: 'other-tab' })
    // The second tab has the grant of before.
    expect(await lastState(second)).toMatchObject({ status: 'signed-in' })
  })

  it('signs out in every tab, at the broker and at the provider, and its tokens are over', async () => {
    const { tab } = await newVisitor(browser)
    const [first, second] = [await tab(page), await tab(`${page}second`)]
    const before = await start(first)
    const answer = first.waitForResponse((response) => response.url() === `${stack.url}/token`)
    const owner = await signIn(first, before)
    const { refresh_token } = (await (await answer).json()) as { refresh_token: string }
    const other = await start(second)

    const leaving = second.waitForRequest((request) => request.url().startsWith(`${stack.url}/end-session`))
    await other.evaluate((one, returnUrl) => void one.signOut({ returnUrl }), page)
    expect(new URL((await leaving).url()).searchParams.has('id_token_hint')).toBe(true)
    await first.waitForFunction((one) => one.getState().status === 'signed-out', owner)

    expect(await lastState(first)).toMatchObject({ reason: 'other-tab', session: undefined })
    // The owner of the grant leaves it to /end-session, which finds the provider's own hint in it:
    // the provider does not ask.
    await second.waitForURL(page)
    const after = await fetch(`${stack.url}/token`, {
      method: 'POST',
      body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'app', refresh_token }),
    })
    expect(await after.json()).toMatchObject({ error: 'invalid_grant' })
  })

  it('answers a claims challenge by a new token, in the tab that owns the grant and in another one', async () => {
    const { context, tab, client: owner } = await signedIn()
    const other = await start(await tab(`${page}second`))
    const used = refreshesOf(context)

    for (const [count, client] of [owner, other].entries()) {
      const { api, claims } = await challengingApi(context, 1)
      const renewal = context.waitForEvent('request', (request) => request.url() === `${stack.url}/token`)
      const answered = await client.evaluate(async (one, url) => {
        const response = await one.fetch('orders', new Request(url, { method: 'POST', body: 'the body' }))
        return [response.status, await response.text()]
      }, api)

      expect(answered).toEqual([200, 'the body'])
      expect(new URLSearchParams((await renewal).postData()!).get('claims')).toBe(claims)
      expect(used).toHaveLength(count + 1)
    }
    expect(new Set(used).size).toBe(2)
  })

  it('starts a sign-in for a claims challenge once, where the provider requires the person', async () => {
    const { context, opened } = await signedIn()
    const { api, claims } = await challengingApi(context, Infinity)
    await context.route(`${stack.url}/token`, (route) => {
      if (!new URLSearchParams(route.request().postData()!).has('claims')) return route.continue()
      const query = new URLSearchParams({ client_id: 'app', scope: 'api://demo/orders.read', claims })
      return route.fulfill({
        status: 400,
        headers: { 'access-control-allow-origin': new URL(page).origin },
        json: {
          error: 'interaction_required',
          code: 'interaction_required',
          sign_in_url: `${stack.url}/login?${query.toString()}`,
        },
      })
    })
    await runInPages(
      context,
      `${script}
      if (!(await client.getSession())) await client.signIn()
      client.fetch('orders', '${api}').catch(({ code }) => console.log('failed', code))`,
    )
    const visits = navigationsTo(context, `${stack.url}/login?`)
    const failed = failure(context)
    await opened.goto(page, { waitUntil: 'commit' })

    expect(await failed).toBe('failed sign_in_loop')
    expect(visits.flatMap(({ searchParams }) => searchParams.getAll('claims'))).toEqual([claims])
  })

  /** A new person on the page, signed in. */
  async function signedIn() {
    const { context, tab } = await newVisitor(browser)
    const opened = await tab(page)
    return { context, tab, opened, client: await signIn(opened, await start(opened)) }
  }

  /** From the page to the provider, and back to the page. */
  async function signIn(opened: Page, client: JSHandle<OAuthClient>): Promise<JSHandle<OAuthClient>> {
    await client.evaluate((one) => void one.signIn())
    await signInAtProvider(opened, ada)
    await opened.waitForURL(`${page}callback?**`)
    return start(opened)
  }

  /** Stops the clock of the page for `passAnHour`, loads the library and waits for the first state. */
  async function start(opened: Page): Promise<JSHandle<OAuthClient>> {
    await opened.clock.install()
    return startClient(opened, script)
  }

  /** For the clock of the page only: its tokens are over, the broker's are not. */
  function passAnHour(opened: Page): Promise<void> {
    return opened.clock.fastForward('59:30')
  }

  /** Runs in every page of the front end, as its own script does: a call by the test would count as a click. */
  function runInPages(context: BrowserContext, text: string): Promise<unknown> {
    const { origin } = new URL(page)
    return context.addInitScript(`void (async () => { if (location.origin === '${origin}') { ${text} } })()`)
  }

  /** Statuses of parallel calls of the API. */
  function callsOf(client: JSHandle<OAuthClient>, count: number): Promise<readonly number[]> {
    return client.evaluate(
      async (one, [api, times]) => {
        const answers = await Promise.all(Array.from({ length: times }, () => one.fetch('orders', api)))
        return answers.map(({ status }) => status)
      },
      [stack.cloud.demoApi!.url, count] as const,
    )
  }

  /** An API that answers so many requests with a challenge, and then repeats their body. */
  async function challengingApi(context: BrowserContext, count: number) {
    const api = `https://challenging.example/${count}`
    // The provider answers it without a page.
    const claims = JSON.stringify({ access_token: { nbf: { essential: true, value: '1' } } })
    const challenge = `Bearer error="insufficient_claims", claims="${encodeClaims(claims)}"`
    let answered = 0
    await serveApi(context, api, (request) => {
      answered += 1
      return answered > count ? { body: request.postData() } : { challenge }
    })
    return { api, claims }
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
