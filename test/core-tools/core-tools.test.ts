import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { localDefaults } from '../../local/local-defaults.ts'
import { ada, shopPage } from '../setup/person.ts'
import type { Reply } from '../setup/person.ts'
import { desk, shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { describeUnderCoreTools, startCoreTools } from './core-tools.ts'
import type { CoreTools } from './core-tools.ts'

describeUnderCoreTools('the broker under Core Tools', () => {
  let stack: Stack
  let coreTools: CoreTools
  beforeAll(async () => {
    stack = await startStack({ demo: true })
    coreTools = await startCoreTools(inject('dist'), {
      ...localDefaults,
      APPLICATIONINSIGHTS_CONNECTION_STRING: '',
      ...stack.cloud.settings,
      // The provider knows this broker by the address of the local host.
      Broker__BaseUrl: stack.url,
      Broker__FrontEnds: JSON.stringify([shop, desk]),
      Broker__TableServiceUri: stack.store.url,
      Broker__TablePrefix: `func${randomBytes(5).toString('hex')}`,
      AzureWebJobsStorage: undefined,
    })
  }, 180_000)
  afterAll(async () => {
    // The value is undefined only if it did not start.
    await (coreTools as CoreTools | undefined)?.close()
    await stack.close()
  })

  it('answers a sign-in exactly as on the local host: the same status, address and cookie, byte for byte', async () => {
    const onLocalHost = await walk(stack.url)
    const underCoreTools = await walk(coreTools.url)

    expect(underCoreTools).toEqual(onLocalHost)
    expect(onLocalHost.map(({ step, status, cookies }) => [step, status, cookies.length])).toEqual([
      ['GET /login', 303, 1],
      ['POST /callback', 303, 2],
      ['POST /callback, a second time', 303, 0],
      ['GET /session', 200, 0],
      ['POST /session/token', 200, 0],
      ['POST /logout', 200, 1],
      ['GET /session, signed out', 401, 0],
      ['PUT /session', 405, 0],
      ['GET /login, unknown front end', 400, 0],
    ])
  })

  it('returns an access token that the API accepts', async () => {
    const person = stack.person()
    const at = coreTools.url
    await person.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' }, ada, { at })

    const { json } = await person.sessionToken(shopPage, { api: 'orders' }, { at })

    const authorization = `Bearer ${String(json.access_token)}`
    expect((await fetch(stack.cloud.demoApi!.url, { headers: { authorization } })).status).toBe(200)
  })

  async function walk(at: string) {
    const person = stack.person()
    const steps: ReturnType<typeof seen>[] = []
    const keep = (step: string, reply: Reply) => {
      steps.push(seen(step, reply))
      return reply
    }
    const returnUrl = 'http://localhost:3000/orders?page=2#last'
    const begun = keep('GET /login', await person.begin({ frontend: 'shop', return_url: returnUrl }, { at }))
    const underWay = await person.cookies()
    const answer = await person.atProvider(begun.location ?? '', ada)
    keep('POST /callback', await person.callback(answer, { at }))
    const cookie = Object.entries(underWay).map((pair) => pair.join('='))
    const again = { at, headers: { cookie: cookie.join('; ') } }
    keep('POST /callback, a second time', await person.callback(answer, again))
    keep('GET /session', await person.script(shopPage, '/session', { at }))
    keep('POST /session/token', await person.sessionToken(shopPage, { api: 'orders' }, { at }))
    keep('POST /logout', await person.script(shopPage, '/logout', { method: 'POST', body: '{}', at }))
    keep('GET /session, signed out', await person.script(shopPage, '/session', { at }))
    keep('PUT /session', await person.script(shopPage, '/session', { method: 'PUT', at }))
    keep('GET /login, unknown front end', await person.begin({ frontend: 'nobody' }, { at }))
    return steps
  }
})

/** The parts of an answer that do not change. Random values are masked, but their length and alphabet stay. */
function seen(step: string, { status, cookies, headers, location, json }: Reply) {
  const own = ['cache-control', 'content-security-policy', 'content-type', 'allow', 'vary', 'x-content-type-options']
  return {
    step,
    status,
    cookies: cookies.map(withoutRandom),
    headers: own.map((name) => [name, headers.get(name)]),
    location: location?.replace(/((?:state|nonce|code_challenge)=)[\w-]+/g, '$1*'),
    members: Object.keys(json),
  }
}

/** Base64url becomes x, one for one; a value that was escaped or cut would show. */
function withoutRandom(cookie: string): string {
  const found = /^(__Host-[a-z]+-)([^=]*)=([^;]*)(;.*)$/.exec(cookie)
  const [, name = '', suffix = '', value = '', attributes = ''] = found ?? []
  const shownSuffix = name === '__Host-signin-' ? suffix.replace(/[\w-]/g, 'x') : suffix
  return `${name}${shownSuffix}=${value.replace(/[\w-]/g, 'x')}${attributes}`
}
