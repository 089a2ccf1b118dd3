import vm from 'node:vm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDemoFrontEnd } from '../../../local/demo/front-end.ts'
import type { DemoFrontEnd } from '../../../local/demo/front-end.ts'

let frontEnd: DemoFrontEnd

beforeAll(async () => {
  frontEnd = await startDemoFrontEnd({
    port: 0,
    brokerUrl: () => 'http://localhost:7071',
    apiUrl: 'http://localhost:7176/orders',
    frontEndId: 'demo"',
    apiName: 'orders',
  })
})
afterAll(() => frontEnd.close())

describe('the demo front end', () => {
  it('is a page with the elements that browser stories hold on to', async () => {
    const page = await (await fetch(frontEnd.url)).text()

    for (const id of ['status', 'name', 'sign-in', 'call-api', 'api-answer', 'sign-out']) {
      expect(page).toContain(`id="${id}"`)
    }
    expect(page).toContain('name="viewport"')
  })

  it('passes the URLs of broker and API to its script, escaped', async () => {
    const page = await (await fetch(frontEnd.url)).text()

    expect(page).toContain('data-broker="http://localhost:7071"')
    expect(page).toContain('data-api="http://localhost:7176/orders"')
    expect(page).toContain('data-frontend="demo&quot;"')
    expect(page).toContain('data-api-name="orders"')
  })

  it('allows script from itself and connections to broker and API, and no other source', async () => {
    const policy = (await fetch(frontEnd.url)).headers.get('content-security-policy')

    expect(policy).toContain("default-src 'none'")
    expect(policy).toContain("script-src 'self'")
    expect(policy).toContain('connect-src http://localhost:7071 http://localhost:7176')
    expect(policy).not.toContain('unsafe')
  })

  it('serves its script with the types removed', async () => {
    const answer = await fetch(new URL('/page.js', frontEnd.url))
    const script = await answer.text()

    expect(answer.headers.get('content-type')).toContain('text/javascript')
    expect(() => new vm.Script(`(async () => {${script}})`)).not.toThrow()
    expect(script).not.toContain('interface')
  })

  it('answers no other path', async () => {
    expect((await fetch(new URL('/other', frontEnd.url))).status).toBe(404)
    expect((await fetch(new URL('/page.css', frontEnd.url))).status).toBe(200)
  })
})
