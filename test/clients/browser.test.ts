import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import path from 'node:path'
import { ProtocolMode, PublicClientApplication } from '@azure/msal-node'
import { build } from 'esbuild'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startPageServer } from '../../local/demo/page-server.ts'
import { listen } from '../../local/http-server.ts'
import type { LocalServer } from '../../local/http-server.ts'
import { describeInBrowser, launchBrowser } from '../browser/chromium.ts'
import { newVisitor, signInAtProvider } from '../browser/visitor.ts'
import { ada } from '../setup/person.ts'
import { trustedAuthority } from '../setup/secure-server.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { client, ordersRead } from './person.ts'

const libraries = [
  'oidc-client-ts',
  'react-oidc-context',
  'react-oauth2-code-pkce',
  'axa-fr-oidc-client',
  'axa-fr-oidc-client-service-worker',
  'oidc-spa',
  'appauth',
  'angular-oauth2-oidc',
  'angular-auth-oidc-client',
  'msal-browser',
]

const serviceWorker = readFileSync(
  path.join(import.meta.dirname, 'node_modules/@axa-fr/oidc-client-service-worker/dist/OidcServiceWorker.js'),
  'utf8',
)

describeInBrowser('client libraries in a browser', () => {
  let stack: Stack
  let browser: Browser
  let application: LocalServer
  /** The broker by https, as a deployed one has it. */
  let front: LocalServer
  let broker: string
  let here: string
  let script = ''
  /** Of `/token`, newest last. */
  let answers: { readonly status: number; readonly text: string }[] = []
  beforeAll(async () => {
    const page = () =>
      ({
        type: 'text/html',
        body: `<!doctype html><title>Application</title><link rel="icon" href="data:,"><body data-broker="${stack.url}"><script type="module" src="/app.js"></script>`,
      }) as const
    const files = {
      '/': page,
      '/callback': page,
      '/OidcServiceWorker.js': () => ({ type: 'text/javascript', body: serviceWorker }) as const,
      '/OidcTrustedDomains.js': () => ({ type: 'text/javascript', body: trustedDomains(stack.url) }) as const,
      '/app.js': () => ({ type: 'text/javascript', body: script }) as const,
    }
    application = await startPageServer({ name: 'application', port: 0, contentPolicy: () => "base-uri 'none'", files })
    here = `http://127.0.0.1:${application.port}`
    const frontEnd = {
      ...client,
      origins: [here],
      redirectUris: [`${here}/callback`, `${here}/`, 'http://localhost/'],
      signedOutUrls: [`${here}/`],
      prompts: ['none' as const],
      apis: [{ name: 'orders', scopes: [ordersRead] }],
    }
    front = await listen({
      name: 'https in front of the broker',
      port: 0,
      tls: await (await trustedAuthority()).issue(['localhost']),
      handler: (incoming, response) => {
        const { url = '/', method, headers } = incoming
        const outgoing = request(new URL(url, broker), { method, headers }, (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
          // Read here: a page that navigates forgets the bodies, and a service worker hides its own.
          if (method === 'POST' && url.split('?')[0] === '/token') {
            let text = ''
            answer.setEncoding('utf8').on('data', (part: string) => (text += part))
            answer.on('end', () => answers.push({ status: answer.statusCode!, text }))
          }
        })
        outgoing.on('error', () => response.destroy())
        incoming.pipe(outgoing)
      },
    })
    const baseUrl = (brokerUrl: string) => {
      broker = brokerUrl
      return Promise.resolve(`https://localhost:${front.port}`)
    }
    ;[stack, browser] = await Promise.all([
      startStack({ frontEnds: [frontEnd], baseUrl }),
      // A service worker's requests do not have the setting of the context.
      launchBrowser(['--ignore-certificate-errors']),
    ])
  })
  afterAll(async () => {
    await browser.close()
    await Promise.all([stack.close(), application.close(), front.close()])
  })

  it.each(libraries)('%s signs in, shows the name, renews and signs out', async (library) => {
    script = await bundle(library)
    const { context, tab } = await newVisitor(browser)
    const errors: string[] = []
    context.on('weberror', (error) => errors.push(error.error().stack ?? error.error().message))
    context.on('console', (message) => message.type() === 'error' && errors.push(message.text()))
    context.setDefaultTimeout(20_000)
    try {
      const page = await tab(`${here}/`)

      await page.getByRole('button', { name: 'Sign in' }).click()
      await signInAtProvider(page, ada)
      await page.locator('#name').filter({ hasText: 'Ada Lovelace' }).waitFor()

      answers = []
      await page.getByRole('button', { name: 'Renew' }).click()
      await expect.poll(() => answers.map(({ text }) => text)).toHaveLength(1)
      const [{ status, text }] = answers as [(typeof answers)[0]]
      expect(status, text).toBe(200)
      const { refresh_token } = JSON.parse(text) as { refresh_token: string }
      await page.locator('#name').filter({ hasText: 'Ada Lovelace' }).waitFor()
      if (library === 'axa-fr-oidc-client-service-worker') {
        const inPage = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))
        expect(inPage).not.toContain(refresh_token)
      }

      await page.getByRole('button', { name: 'Sign out' }).click()
      // The identity provider shows the person a page, where the library goes there.
      const goesOn = page.getByRole('button', { name: /^Sign in$/ })
      const asks = page.locator('[form="op.logoutForm"][value="yes"]')
      await goesOn.or(asks).first().waitFor()
      if (await asks.isVisible()) await asks.click()
      await goesOn.waitFor()
      const after = await fetch(`${stack.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({ grant_type: 'refresh_token', client_id: 'app', refresh_token }),
      })
      expect(await after.json()).toMatchObject({ error: 'invalid_grant' })
    } catch (error) {
      throw new Error(`${library}: the page reported ${JSON.stringify(errors)}`, { cause: error })
    } finally {
      await context.close()
    }
  })

  it('MSAL for Node signs in and renews as a native application, which receives a form at a port of the system', async () => {
    const native = new PublicClientApplication({
      auth: { clientId: 'app', authority: stack.url, knownAuthorities: [new URL(stack.url).host] },
      system: { protocolMode: ProtocolMode.OIDC },
    })
    const { context, tab } = await newVisitor(browser)

    const { account } = await native.acquireTokenInteractive({
      scopes: [ordersRead],
      successTemplate: 'Back in the application',
      openBrowser: async (url) => {
        const page = await tab(url)
        await signInAtProvider(page, ada)
        await page.getByText('Back in the application').waitFor()
      },
    })
    expect(account).toMatchObject({ username: ada, name: 'Ada Lovelace' })
    answers = []
    const renewed = await native.acquireTokenSilent({ account: account!, scopes: [ordersRead], forceRefresh: true })

    expect(renewed.fromCache).toBe(false)
    expect(answers.map(({ status }) => status)).toEqual([200])
    await context.close()
  })
})

/** The configuration of the service worker of @axa-fr/oidc-client: it keeps the tokens of this origin from the page. */
function trustedDomains(broker: string): string {
  return `const trustedDomains = { default: { oidcDomains: ['${broker}'], accessTokenDomains: ['https://api.example'] } }`
}

async function bundle(library: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [path.join(import.meta.dirname, 'pages', `${library}.ts`)],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    define: { 'process.env.NODE_ENV': '"production"' },
  })
  return outputFiles[0]!.text
}
