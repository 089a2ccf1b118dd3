import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { createPerson, shopPage } from '../setup/person.ts'
import { expectSafeHeaders, unescapeHtml } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const secret = 'Zz8Q~very-secret-value.that_nobody-may-see'
const settings = {
  AzureAd__ClientSecret: secret,
  AzureAd__TenantId: 'not-a-tenant-Qx7',
  Broker__SignInSecond: '300-Qx7',
  AzureWebJobsStorage:
    'DefaultEndpointsProtocol=https;AccountName=a;AccountKey=QxQxQxQxQxQx7w==;EndpointSuffix=core.windows.net',
}
const named = Object.keys(settings)
const values = [secret, 'Qx7', 'QxQx']

describe('a broker whose settings cannot be used', () => {
  let stack: Stack
  let broken: HostProcess
  beforeAll(async () => {
    stack = await startStack()
    await warmUp(stack)
    broken = await stack.startInstance(settings)
  })
  afterAll(() => stack.close())

  const open = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    createPerson(broken.url).open(path, { headers: { ...headers, 'x-functions-key': broken.functionKey }, method })

  function expectNoValue(text: string): void {
    for (const value of values) expect(text).not.toContain(value)
  }

  it('logs the problems before any request comes', async () => {
    await expect.poll(() => stack.log()).toContain(`The settings have ${named.length} problems`)
  })

  it('serves every route that a valid one serves, so that no route answers 404 without an explanation', () => {
    const routes = (of: HostProcess) => of.functions.map(({ name, route }) => `${name} ${route}`).sort()

    expect(routes(broken)).toEqual(routes(stack.brokers[0]!))
  })

  it('answers on each route with all problems at once, by name, without a value', async () => {
    const routes = broken.functions.filter(({ trigger, name }) => trigger === 'httpTrigger' && name !== 'health')
    expect(routes.length).toBeGreaterThan(8)
    for (const { route = '', methods = [] } of routes) {
      const path = route.startsWith('{') ? '/' : `/${route}`
      for (const method of methods) {
        const reply = await open(path, { accept: 'text/html' }, method)
        expect(reply.status, `${method} ${path}`).toBe(503)
        expectSafeHeaders(reply)
        expect(reply.cookies).toEqual([])
        expectNoValue(reply.text + JSON.stringify([...reply.headers]))
        // A monitor gets one word, since any caller can pretend to be a monitor.
        if (method === 'HEAD' || path === '/health/ready') continue
        expect(reply.headers.get('retry-after')).toMatch(/^\d+$/)
        for (const name of named) expect(reply.text, `${method} ${path}`).toContain(name)
      }
    }
  })

  it('shows a person a page with the problem and the correction', async () => {
    const page = await open('/login?frontend=shop')

    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    const text = unescapeHtml(page.text.replace(/<[^>]+>/g, ''))
    expect(text).toContain('AzureAd__ClientSecret: contains a secret')
    expect(text).toContain('Delete it, and revoke the secret')
    expect(text).toMatch(/Broker__SignInSecond: .*Broker__SignInSeconds/)
    expect(text).toContain('Code: settings_invalid')
    expect(text).toContain(`Reference: ${page.headers.get('broker-reference')}`)
  })

  it('answers a program with problem details', async () => {
    const reply = await createPerson(broken.url).script(shopPage, '/session')

    expect(reply.status).toBe(503)
    expect(reply.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(reply.json).toMatchObject({ code: 'settings_invalid', responsible: 'operator' })
    const problems = reply.json.settings as { setting: string; problem: string; fix: string }[]
    expect(problems.map(({ setting }) => setting).sort()).toEqual([...named].sort())
    for (const { problem, fix } of problems) {
      expect(problem).not.toBe('')
      expect(fix).not.toBe('')
    }
  })

  it('reports that it is alive and not ready, with one word each', async () => {
    const alive = await open('/health')
    const ready = await open('/health/ready')

    expect([alive.status, alive.text]).toEqual([200, 'alive'])
    expect([ready.status, ready.text]).toEqual([503, 'settings'])
    expect((await open('/health/ready', {}, 'HEAD')).status).toBe(503)
  })

  it('logs the problem at error level, once and without a value', () => {
    const loud = stack
      .log()
      .split('\n')
      .filter((line) => line.includes('AzureAd__ClientSecret') && !line.includes('"event"'))

    expect(loud).toHaveLength(1)
    expectNoValue(stack.log())
  })

  it('sends no request to the vault, the store or the provider', async () => {
    stack.store.resetRequests()
    stack.vault.resetRequests()
    stack.identityProvider.resetRequests()
    for (const path of ['/login?frontend=shop', '/callback?state=a&code=a', '/health/ready']) await open(path)

    expect(stack.store.requests).toEqual([])
    expect(stack.vault.requests).toEqual([])
    expect(stack.identityProvider.requests).toEqual([])
  })

  it('keeps the operators’ routes closed to every other caller, as before', async () => {
    expect((await createPerson(broken.url).call('/health/detail')).status).toBe(401)
  })

  it('does not affect a valid broker beside it, which serves the same requests', async () => {
    const person = stack.person()

    expect((await person.signIn({ frontend: 'shop' })).status).toBe(303)
    expect((await person.script(shopPage, '/session')).status).toBe(200)
    expect((await person.call('/health/ready')).text).toBe('ready')
  })
})
