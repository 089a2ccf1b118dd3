import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { HostProcess } from '../../local/functions-host/process.ts'
import { clockAhead } from '../setup/clock.ts'
import { shopPage } from '../setup/person.ts'
import type { Person, Reply } from '../setup/person.ts'
import { shop, startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'

const read = 'api://demo/orders.read'
const write = 'api://demo/orders.write'
const life = 300

describe('an access token', () => {
  let stack: Stack
  let person: Person
  /** Both are in the last minute of what lives five; a provider allows five minutes between clocks. */
  let ahead: [HostProcess, HostProcess]
  beforeAll(async () => {
    stack = await startStack({
      frontEnds: [{ ...shop, apis: [...shop.apis, { name: 'bills', scopes: ['api://bills/read'] }] }],
      settings: { Broker__SessionIdleSeconds: '600' },
    })
    await warmUp(stack)
    ahead = [await stack.startInstance(clockAhead(250)), await stack.startInstance(clockAhead(250))]
    await warmUp(stack, ahead)
    stack.identityProvider.settings.accessTokenSeconds = life
    // Warm the instance first: its first renewal sends more requests than a later one.
    for (const { url } of ahead) await (await signedIn()).sessionToken(shopPage, { api: 'orders' }, { at: url })
  })
  beforeEach(async () => {
    person = await signedIn()
    stack.store.resetRequests()
    stack.vault.resetRequests()
    stack.identityProvider.resetRequests()
  })
  afterAll(() => stack.close())

  const signedIn = async () => {
    const visitor = stack.person()
    await visitor.signIn({ frontend: 'shop', return_url: 'http://localhost:3000/' })
    return visitor
  }
  const ask = (body: object = {}, at?: HostProcess): Promise<Reply> =>
    person.sessionToken(shopPage, { api: 'orders', ...body }, at ? { at: at.url } : {})
  const tokenOf = ({ json }: Reply) => json.access_token as string
  const scopesOf = (reply: Reply) =>
    String(decodeJwt(tokenOf(reply)).scp)
      .split(' ')
      .sort()
  const refreshes = () => stack.identityProvider.requests.filter(({ grantType }) => grantType === 'refresh_token')
  const storeRequests = () => stack.store.requests.map(({ operation, table }) => `${operation} ${table}`)

  it('has the form of RFC 6749 §5.1, and no cache on the way stores it', async () => {
    const reply = await ask()

    expect(reply.status).toBe(200)
    expect(reply.headers.get('content-type')).toBe('application/json; charset=utf-8')
    expect(reply.headers.get('cache-control')).toBe('no-store')
    expect(reply.json).toEqual({
      access_token: expect.any(String) as string,
      token_type: 'Bearer',
      expires_in: expect.any(Number) as number,
      scope: `${read} ${write}`,
    })
    expect(reply.json.expires_in).toBeLessThanOrEqual(life)
    expect(reply.json.expires_in).toBeGreaterThan(life - 30)
    expect(decodeJwt(tokenOf(reply))).toMatchObject({ aud: 'api://demo', preferred_username: 'ada@contoso.example' })
  })

  it('of the sign-in is served with one read of the store, and without a request to the provider', async () => {
    const [one, two] = [await ask(), await ask()]

    expect(tokenOf(one)).toBe(tokenOf(two))
    expect(storeRequests()).toEqual(['find sessions', 'find sessions'])
    expect(stack.identityProvider.requests).toEqual([])
    expect(stack.vault.requests).toEqual([])
  })

  it('near its end is renewed: one request to the provider, three to the store, none to the vault', async () => {
    const old = tokenOf(await ask())
    stack.store.resetRequests()

    const renewed = await ask({}, ahead[0])

    expect(renewed.status).toBe(200)
    expect(tokenOf(renewed)).not.toBe(old)
    expect(refreshes()).toHaveLength(1)
    expect(stack.identityProvider.requests).toHaveLength(1)
    expect(storeRequests()).toEqual(['find sessions', 'replace sessions', 'replace sessions'])
    expect(stack.vault.requests).toEqual([])
  })

  it('that was renewed is served by every instance from then on', async () => {
    const renewed = tokenOf(await ask({}, ahead[0]))

    const others = [await ask(), await ask({}, ahead[1]), await ask({}, ahead[0])]

    expect(others.map(tokenOf)).toEqual([renewed, renewed, renewed])
    expect(refreshes()).toHaveLength(1)
  })

  it('is renewed once for ten calls at once', async () => {
    const replies = await Promise.all(Array.from({ length: 10 }, () => ask({}, ahead[0])))

    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200))
    expect(new Set(replies.map(tokenOf)).size).toBe(1)
    expect(refreshes()).toHaveLength(1)
  })

  it('is renewed once when two instances need it at once, and until then the old one is served', async () => {
    const old = tokenOf(await ask())

    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => ask({}, ahead[i % 2])))

    expect(refreshes()).toHaveLength(1)
    expect(replies.every(({ status }) => status === 200)).toBe(true)
    const renewed = tokenOf(await ask())
    for (const reply of replies) expect([old, renewed]).toContain(tokenOf(reply))
  })

  it('that is not stored yet is fetched once by two instances, and both serve the same one', async () => {
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => ask({ scope: read }, ahead[i % 2])))

    expect(refreshes()).toHaveLength(1)
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200))
    expect(new Set(replies.map(tokenOf)).size).toBe(1)
  })

  it('is renewed three times in a row where a refresh token can be used only once', async () => {
    stack.identityProvider.settings.singleUseRefreshTokens = true
    try {
      const used: (string | undefined)[] = []
      for (const body of [{ scope: read }, { scope: write }, { api: 'bills' }]) {
        const replies = await Promise.all(Array.from({ length: 10 }, (_, i) => ask(body, ahead[i % 2])))
        expect(new Set(replies.map(tokenOf)).size).toBe(1)
        expect(replies.every(({ status }) => status === 200)).toBe(true)
        used.push(...refreshes().map(({ form }) => form?.refresh_token))
        stack.identityProvider.resetRequests()
      }

      expect(used).toHaveLength(3)
      expect(new Set(used).size).toBe(3)
      expect((await person.script(shopPage, '/session')).status).toBe(200)
    } finally {
      stack.identityProvider.settings.singleUseRefreshTokens = false
    }
  })

  it('for fewer scopes is not the stored one for more scopes', async () => {
    const wide = await ask()
    const narrow = await ask({ scope: read })
    const again = await ask({ scope: read })

    expect(scopesOf(wide)).toEqual(['orders.read', 'orders.write'])
    expect(scopesOf(narrow)).toEqual(['orders.read'])
    expect(narrow.json.scope).toBe(read)
    expect(tokenOf(again)).toBe(tokenOf(narrow))
    expect(refreshes()).toHaveLength(1)
    expect(tokenOf(await ask())).toBe(tokenOf(wide))
  })

  it('for more scopes is not the stored one for fewer scopes', async () => {
    const one = await ask({ scope: write })
    const both = await ask({ scope: `${write} ${read}` })

    expect(scopesOf(one)).toEqual(['orders.write'])
    expect(scopesOf(both)).toEqual(['orders.read', 'orders.write'])
  })

  it('is the same for the same scopes in another order, or named twice', async () => {
    const replies = [
      await ask(),
      await ask({ scope: `${write} ${read}` }),
      await ask({ scope: `${read} ${write} ${read}` }),
    ]

    expect(new Set(replies.map(tokenOf)).size).toBe(1)
    expect(refreshes()).toEqual([])
  })

  it('for another API of the front end is issued for that API, and the first one stays stored', async () => {
    const orders = await ask()
    const bills = await ask({ api: 'bills' })

    expect(decodeJwt(tokenOf(bills)).aud).toBe('api://bills')
    expect(tokenOf(await ask({ api: 'bills' }))).toBe(tokenOf(bills))
    expect(tokenOf(await ask())).toBe(tokenOf(orders))
    expect(refreshes()).toHaveLength(1)
  })

  it('extends the session when it is requested, while a request to /session does not', async () => {
    const idleEnd = async () => (await person.script(shopPage, '/session')).json.idle_expires_at as number
    const first = await idleEnd()

    await person.script(shopPage, '/session', { at: ahead[0].url })
    expect(await idleEnd()).toBe(first)

    await ask({}, ahead[0])
    expect(await idleEnd()).toBeGreaterThanOrEqual(first + 240)
  })

  it('is not returned without a session', async () => {
    const reply = await stack.person().sessionToken(shopPage, { api: 'orders' })

    expect(reply.status).toBe(401)
    expect(reply.location).toBeNull()
    expect(reply.json).toMatchObject({ code: 'signed_out', sign_in_url: `${stack.url}/login?frontend=shop` })
  })

  it('is not returned when the request names no API', async () => {
    const reply = await person.sessionToken(shopPage, {})

    expect(reply.status).toBe(400)
    expect(reply.json).toMatchObject({ code: 'parameter_invalid', parameter: 'api' })
  })
})
