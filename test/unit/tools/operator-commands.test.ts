import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { directPolicy } from '../../../shared/outbound/proxy.ts'
import type { CommandParts } from '../../../tools/operator/operator-access.ts'
import { runSessionsCommand } from '../../../tools/sessions/sessions-command.ts'
import { runTenantsCommand } from '../../../tools/tenants/tenants-command.ts'

const tenant = 'f5a0b6a2-6e4f-4d0e-9a62-3c0d2b1e7c55'

describe('a command of operators', () => {
  let url: string
  let status = 200
  const empty = '{"sessions":[],"not_attributed":0}'
  let content = empty
  let received: (string | undefined)[] = []
  const server = http.createServer((request, response) => {
    received.push(request.headers['x-functions-key'] as string | undefined)
    if (status === 0) request.socket.destroy()
    else response.writeHead(status, { 'content-type': 'application/json' }).end(content)
  })
  beforeAll(async () => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  afterAll(() => server.close())

  const parts = (environment: Readonly<Record<string, string>>, azd: Readonly<Record<string, string>> = {}) => ({
    environment,
    settingsFile: () => Promise.resolve(undefined),
    azdValues: () => Promise.resolve(azd),
    readKey: () => Promise.resolve('key-of-az'),
    proxies: directPolicy,
    print: () => undefined,
  })
  const failure = async (command: typeof runSessionsCommand, args: readonly string[], given: CommandParts) =>
    command(args, given).then(
      (code) => `ended with ${code}`,
      (error: unknown) => (error as Error).message,
    )
  const sessions = (...args: string[]) =>
    failure(runSessionsCommand, args, parts({ BROKER_FUNCTION_KEY: 'key', Broker__BaseUrl: url }))
  const tenants = (...args: string[]) =>
    failure(runTenantsCommand, args, parts({ BROKER_FUNCTION_KEY: 'key', Broker__BaseUrl: url }))

  it.each([
    ['key\r\n', 'ended with 0'],
    ['a key', 'BROKER_FUNCTION_KEY contains white space or a character outside ASCII'],
    ['key–', 'BROKER_FUNCTION_KEY contains white space or a character outside ASCII'],
  ])('reads the function key %j, or names the variable', async (key, outcome) => {
    ;[status, received] = [200, []]
    const given = parts({ BROKER_FUNCTION_KEY: key, Broker__BaseUrl: url })

    expect(await failure(runSessionsCommand, ['list', '--front-end', 'spa'], given)).toContain(outcome)

    expect(received).toEqual(outcome === 'ended with 0' ? ['key'] : [])
  })

  it('reads the key of the broker that azd has deployed, however its URL is spelled, and of no other', async () => {
    ;[status, received] = [200, []]
    const azd = { BROKER_BASE_URL: url, BROKER_FUNCTION_APP_NAME: 'func-shop', AZURE_RESOURCE_GROUP: 'rg-shop' }
    const list = (named: string) =>
      failure(runSessionsCommand, ['list', '--front-end', 'spa', '--url', named], parts({}, azd))

    expect(await list(`${url}/`)).toBe('ended with 0')
    expect(await list('https://signin.example.com')).toContain('No function key is known')

    expect(received).toEqual(['key-of-az'])
  })

  it('treats an empty setting as one that is not set', async () => {
    const given = parts({ Broker__BaseUrl: '' }, { BROKER_BASE_URL: 'https://signin.example.com' })
    expect(await failure(runSessionsCommand, ['list', '--front-end', 'spa'], given)).toContain('No function key')
  })

  it.each([
    [500, true],
    [400, false],
    [0, true],
  ])('names the change that may have happened only after a change: status %i', async (answered, isInDoubt) => {
    status = answered
    const doubtOfSessions = 'Sessions may have ended'
    const doubtOfTenants = 'The change may have happened'

    expect((await sessions('end', '--front-end', 'spa')).includes(doubtOfSessions)).toBe(isInDoubt)
    expect((await tenants('suspend', tenant)).includes(doubtOfTenants)).toBe(isInDoubt)
    expect(await sessions('list', '--front-end', 'spa')).toMatch(
      /^(The broker answered \d+\.|.* does not answer .*\.)$/,
    )
    expect(await tenants('list')).toMatch(/^(The broker answered \d+\.|.* does not answer .*\.)$/)
  })

  it.each([
    [200, '<!doctype html>'],
    [302, ''],
  ])('names a URL that is no broker: %i %j', async (answered, page) => {
    ;[status, content] = [answered, page]

    const sentence = await sessions('end', '--front-end', 'spa')
    content = empty

    expect(sentence).toBe(`${url}/operator/sessions/end does not answer as a broker (${answered}): correct the URL.`)
  })

  it.each([
    ['list', '--domain', 'contoso.com'],
    ['suspend', tenant, '--domain', 'contoso.com'],
  ])('tenants refuses an option that has no effect: %j %j', async (action, ...args) => {
    expect(await tenants(action, ...args)).toBe(
      `${action} has no option --domain. For usage, run: npm run tenants -- --help`,
    )
  })
})
