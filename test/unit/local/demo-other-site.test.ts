import { readFileSync } from 'node:fs'
import vm from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startOtherSiteDemo } from '../../../local/demo/other-site.ts'
import type { OtherSiteDemo } from '../../../local/demo/other-site.ts'

let demo: OtherSiteDemo

beforeAll(async () => {
  demo = await startOtherSiteDemo({
    port: 0,
    brokerUrl: () => 'http://localhost:7071',
    apiUrl: 'http://localhost:7176/orders',
    clientId: 'demo"',
    scope: 'api://demo/orders.read',
  })
})
afterAll(() => demo.close())

describe('the demo front end on another site', () => {
  it('is one page, at its root and at its redirect URI, and on 127.0.0.1', async () => {
    const [page, callback] = await Promise.all(
      [demo.url, demo.redirectUri].map(async (url) => (await fetch(url)).text()),
    )

    expect(new URL(demo.url).hostname).toBe('127.0.0.1')
    expect(page).toBe(callback)
    expect(page).toContain('data-broker="http://localhost:7071"')
    expect(page).toContain('data-client-id="demo&quot;"')
    for (const id of ['status', 'expires', 'scopes', 'sign-in', 'call-api', 'renew', 'sign-out', 'api-answer']) {
      expect(page).toContain(`id="${id}"`)
    }
  })

  it('serves the library as it was published', async () => {
    const served = await (await fetch(new URL('/oidc-client-ts.js', demo.url))).text()

    const published = '../../../node_modules/oidc-client-ts/dist/browser/oidc-client-ts.min.js'
    expect(served).toBe(readFileSync(new URL(published, import.meta.url), 'utf8'))
  })

  it('allows script from itself only, and only itself to frame it', async () => {
    const policy = (await fetch(demo.url)).headers.get('content-security-policy')

    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).toContain("frame-ancestors 'self'")
    expect(policy).toContain('connect-src http://localhost:7071 http://localhost:7176')
    expect(policy).not.toContain('unsafe')
  })

  it('serves its script with the types removed, and answers no other path', async () => {
    const script = await (await fetch(new URL('/page.js', demo.url))).text()

    expect(() => new vm.Script(`(async () => {${script}})`)).not.toThrow()
    expect(script).not.toContain('import')
    for (const path of ['/other', '/constructor', '/../package.json']) {
      expect((await fetch(new URL(path, demo.url))).status).toBe(404)
    }
  })
})
