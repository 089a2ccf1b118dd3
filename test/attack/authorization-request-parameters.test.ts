import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Reply } from '../setup/person.ts'
import { expectBegun, expectNothingBegun } from '../setup/refusals.ts'
import { startStack } from '../setup/stack.ts'
import type { Registration, Stack } from '../setup/stack.ts'

const orders = ['api://demo/orders.read', 'api://demo/orders.write']
const shop: Registration = {
  id: 'shop',
  origins: ['http://localhost:3000'],
  prompts: ['select_account'],
  apis: [
    { name: 'orders', scopes: orders },
    { name: 'bills', scopes: ['api://bills/read'] },
  ],
}
const desk: Registration = {
  id: 'desk',
  origins: ['http://localhost:4200'],
  prompts: [],
  apis: [{ name: 'mail', scopes: ['api://mail/read'] }],
}

let stack: Stack
beforeAll(async () => {
  stack = await startStack({ frontEnds: [shop, desk] })
})
afterAll(() => stack.close())
afterEach(() => {
  // For any input, a start calls no other part and stores nothing.
  expect(stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([])
  expect(stack.store.requests.filter(({ table }) => /^(states|sessions)$/.test(table))).toEqual([])
})

/** `/login` for the shop, with more parameters. */
function start(...more: [string, string][]): Promise<Reply> {
  const query = new URLSearchParams([
    ['frontend', 'shop'],
    ['return_url', 'http://localhost:3000/a'],
  ])
  for (const [name, value] of more) query.append(name, value)
  return stack.person().open(`/login?${query.toString()}`)
}

describe('a parameter of /login', () => {
  it.each([
    ['frontend', 'shop'],
    ['return_url', 'http://localhost:3000/a'],
    ['prompt', 'select_account'],
    ['login_hint', 'ada@contoso.example'],
    ['domain_hint', 'contoso.example'],
    ['claims', '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'],
    ['ui_locales', 'de en'],
    ['scope', orders[0]!],
  ])(
    '%s is accepted once, and rejected when it occurs twice, with the same value or with another',
    async (name, value) => {
      const isGiven = name === 'frontend' || name === 'return_url'
      const once: [string, string][] = isGiven ? [] : [[name, value]]

      expectBegun(await start(...once))
      for (const second of [value, 'other', '']) {
        const refused = await start(...once, [name, second])
        expectNothingBegun(refused, 'parameter_repeated')
        expect(refused.text).toContain(`<strong>${name}</strong>`)
      }
    },
  )

  it('is accepted in its exact spelling only', async () => {
    for (const name of ['Return_Url', 'return_url[]', 'return_url ', 'return%5furl', 'FRONTEND']) {
      expectNothingBegun(await start([name, 'http://localhost:3000/a']), 'parameter_invalid')
    }
    expectBegun(await start())
  })

  it.each([
    ['response_type', 'token'],
    ['response_mode', 'fragment'],
    ['redirect_uri', 'https://evil.example/'],
    ['state', 'chosen'],
    ['nonce', 'chosen'],
    ['code_challenge', 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'],
    ['code_challenge_method', 'plain'],
    ['request', 'eyJhbGciOiJub25lIn0.e30.'],
    ['request_uri', 'https://evil.example/request'],
    ['id_token_hint', 'eyJhbGciOiJub25lIn0.e30.'],
    ['resource', 'https://graph.microsoft.com'],
    ['code', 'a'],
    ['_method', 'POST'],
    ['__proto__', 'a'],
    ['constructor', 'a'],
  ])('%s is not a parameter: the error names it, and no other part is called', async (name, value) => {
    const refused = await start([name, value])

    expectNothingBegun(refused, 'parameter_invalid')
    expect(refused.text).toContain(`<strong>${name}</strong>`)
    expect(refused.text).not.toContain('evil')
    expectBegun(await start())
  })

  it.each([
    'utm_source',
    'utm_id',
    '_gl',
    '_ga',
    'gclid',
    'fbclid',
    'msclkid',
    'mc_eid',
    '_hsenc',
    'mkt_tok',
    'pk_campaign',
  ])('%s, which other parties add to links, is ignored, once and twice', async (name) => {
    expect([...expectBegun(await start([name, 'a'])).keys()]).toEqual([...expectBegun(await start()).keys()])
    expectBegun(await start([name, 'a'], [name, '"><script>']))
    expectNothingBegun(await start([`${name}.`, 'a']), 'parameter_invalid')
  })

  it('client_id makes the request an OAuth request, for which a session front end is an unknown client', async () => {
    for (const clientId of ['shop', 'desk', '22222222-2222-4222-8222-222222222222', 'evil']) {
      expectNothingBegun(await start(['client_id', clientId]), 'client_unknown')
    }
    const nameless = await start(['client_id', ''])
    expectNothingBegun(nameless, 'parameter_invalid')
    expect(nameless.text).toContain('<strong>client_id</strong>: missing')
    expectBegun(await start())
  })

  it('that is markup is rejected, and the answer does not repeat it', async () => {
    const refused = await start(['"><script>alert(1)</script>', 'a'])

    expectNothingBegun(refused, 'parameter_invalid')
    expect(refused.text).not.toContain('alert')
    expect(stack.log()).not.toContain('alert')
  })

  it.each(['login_hint', 'domain_hint', 'ui_locales', 'prompt', 'scope', 'claims', 'frontend'])(
    '%s of 7 KB is rejected, and the error names it',
    async (name) => {
      const query = new URLSearchParams({ frontend: 'shop', [name]: 'a'.repeat(7168) })
      const refused = await stack.person().open(`/login?${query.toString()}`)

      expectNothingBegun(refused, 'parameter_invalid')
      expect(refused.text).toContain(`<strong>${name}</strong>: too long`)
      expectBegun(await start())
    },
  )

  it('of 8,000 characters is rejected because of its size, and the Functions host rejects a longer one', async () => {
    expectNothingBegun(await start(['login_hint', 'a'.repeat(8_000)]), 'query_too_large')

    for (const length of [8_192, 16 * 1024, 64 * 1024]) {
      const refused = await start(['login_hint', 'a'.repeat(length)])
      expect([414, 431]).toContain(refused.status)
      expect([refused.text, refused.cookies]).toEqual(['', []])
    }
    expectBegun(await start(['login_hint', 'a'.repeat(512)]))
  })

  it('among 200 others is rejected because of their number', async () => {
    const many = Array.from({ length: 200 }, (_, i): [string, string] => [`p${i}`, '1'])

    expectNothingBegun(await start(...many), 'query_too_large')
  })

  it('with a control character is rejected, the error names it, and no raw line break reaches the log', async () => {
    for (const name of ['login_hint', 'domain_hint', 'ui_locales', 'prompt', 'scope', 'claims', 'frontend']) {
      for (const character of ['\r\nSet-Cookie: a=b', '\n[error] forged', '\0', '\t', '\u001b[31m', '\u0085']) {
        const query = new URLSearchParams({ frontend: 'shop', [name]: `a${character}` })
        const refused = await stack.person().open(`/login?${query.toString()}`)
        expectNothingBegun(refused, 'parameter_invalid')
        expect(refused.text).toContain(`<strong>${name}</strong>`)
      }
    }
    expect(stack.log()).not.toMatch(/^\[error\] forged/m)
    expect(stack.log()).not.toContain('\u001b')
    expect(stack.log()).not.toContain('\0')
    expectBegun(await start(['login_hint', 'a b']))
  })
})

describe('the provider’s URL', () => {
  it('has each parameter once, with the broker’s values, for any content of the hints', async () => {
    const inside = '&prompt=none&redirect_uri=https://evil.example/&state=chosen&nonce=chosen#&client_id=evil'

    const requested = expectBegun(
      await start(
        ['login_hint', `ada@contoso.example${inside}`],
        ['claims', `{"access_token":{"acrs":{"value":"c1${inside}"}}}`],
      ),
    )

    expect(requested.get('login_hint')).toBe(`ada@contoso.example${inside}`)
    expect(requested.get('claims')).toBe(
      `{"access_token":{"acrs":{"value":"c1${inside}"},"xms_cc":{"values":["cp1"]}}}`,
    )
    expect(requested.get('redirect_uri')).toBe(`${stack.url}/callback`)
    expect(requested.get('client_id')).toBe('22222222-2222-4222-8222-222222222222')
    expect(requested.has('prompt')).toBe(false)
    expect(requested.get('state')).toMatch(/^[\w-]{43}\.shop$/)
    expect(requested.get('nonce')).toMatch(/^[\w-]{43}$/)
  })

  it('keeps a value that is encoded twice as it is', async () => {
    const requested = expectBegun(await start(['login_hint', 'ada%26prompt%3Dnone%23']))

    expect(requested.get('login_hint')).toBe('ada%26prompt%3Dnone%23')
    expect(requested.has('prompt')).toBe(false)
  })

  it('requests a code by form_post with PKCE and the scopes of the first API, and nothing else', async () => {
    const requested = expectBegun(await start())

    expect(Object.fromEntries(requested)).toEqual({
      client_id: '22222222-2222-4222-8222-222222222222',
      response_type: 'code',
      response_mode: 'form_post',
      redirect_uri: `${stack.url}/callback`,
      claims: '{"access_token":{"xms_cc":{"values":["cp1"]}}}',
      scope: `openid profile offline_access ${orders.join(' ')}`,
      state: expect.any(String) as string,
      nonce: expect.any(String) as string,
      code_challenge: expect.stringMatching(/^[\w-]{43}$/) as string,
      code_challenge_method: 'S256',
    })
  })

  it('is different for each start', async () => {
    const [one, other] = [expectBegun(await start()), expectBegun(await start())]

    for (const name of ['state', 'nonce', 'code_challenge']) expect(one.get(name)).not.toBe(other.get(name))
  })
})

describe('a hint', () => {
  it('about the domain is one domain name, and about languages a list of language tags', async () => {
    for (const domain of ['a b', 'a&b=c', 'evil.example/path', 'a@b', '', 'ä.example']) {
      const refused = await start(['domain_hint', domain])
      expectNothingBegun(refused, 'parameter_invalid')
      expect(refused.text).toContain('<strong>domain_hint</strong>')
    }
    for (const locales of ['de;en', 'de&prompt=none', '<b>', '']) {
      const refused = await start(['ui_locales', locales])
      expectNothingBegun(refused, 'parameter_invalid')
      expect(refused.text).toContain('<strong>ui_locales</strong>')
    }

    const requested = expectBegun(await start(['domain_hint', 'contoso.example'], ['ui_locales', 'de_CH fr']))
    expect(requested.get('domain_hint')).toBe('contoso.example')
    expect(requested.get('ui_locales')).toBe('de-CH fr')
  })

  it.each([
    ...['none', 'login', 'consent', 'create', 'SELECT_ACCOUNT', 'select_account login', 'none select_account', '', ' '],
    ...['select_account,login', 'select_account+login', 'select_account\u00a0select_account'],
  ])('prompt=“%s” is rejected when the front end has not registered it', async (prompt) => {
    expectNothingBegun(await start(['prompt', prompt]), 'prompt_not_registered')
    for (const same of ['select_account', ' select_account ', 'select_account select_account']) {
      expect(expectBegun(await start(['prompt', same])).get('prompt'), same).toBe('select_account')
    }
  })

  it('about the scope is rejected unless the scope is registered for this front end', async () => {
    for (const scope of [
      'api://mail/read', // the other front end's
      'api://demo/orders.delete',
      'API://demo/orders.read',
      'api://demo/.default',
      'https://graph.microsoft.com/Directory.ReadWrite.All',
      'openid email',
      `${orders[0]} api://mail/read`,
      `${orders[0]}\u00a0${orders[1]}`,
    ]) {
      expectNothingBegun(await start(['scope', scope]), 'scope_not_registered')
    }

    const requested = expectBegun(await start(['scope', orders[0]!]))
    expect(requested.get('scope')).toBe(`openid profile offline_access ${orders[0]}`)
  })

  it('about scopes names the scopes of one API only, since an access token is for one API', async () => {
    const mixed = await start(['scope', `${orders[0]} api://bills/read`])

    expectNothingBegun(mixed, 'parameter_invalid')
    expect(mixed.text).toContain('<strong>scope</strong>')
    expect(expectBegun(await start(['scope', 'api://bills/read'])).get('scope')).toContain('api://bills/read')
    expect(expectBegun(await start(['scope', orders.join(' ')])).get('scope')).toContain(orders.join(' '))
  })

  it.each([
    ['acr_values', 'c1 "'],
    ['acr_values', 'a b c d e f g h i j k'],
    ['acr_values', 'a'.repeat(129)],
    ['max_age', '-1'],
    ['max_age', '1e3'],
    ['max_age', '60s'],
    ['max_age', '9'.repeat(10)],
  ])('about the authentication, %s, is rejected as %j', async (name, value) => {
    const refused = await start([name, value])

    expectNothingBegun(refused, 'parameter_invalid')
    expect(refused.text).toContain(`<strong>${name}</strong>`)
    const requested = expectBegun(await start(['acr_values', 'c1 urn:mfa'], ['max_age', '300']))
    expect([requested.get('acr_values'), requested.get('max_age')]).toEqual(['c1 urn:mfa', '300'])
  })

  it('about the API names one of the front end, and scopes of it', async () => {
    expectNothingBegun(await start(['api', 'letters']), 'api_unknown')
    expectNothingBegun(await start(['api', 'orders'], ['scope', 'api://bills/read']), 'scope_not_registered')
    expect(expectBegun(await start(['api', 'orders'])).get('scope')).toContain(orders.join(' '))
    const narrow = expectBegun(await start(['api', 'orders'], ['scope', orders[0]!]))
    expect(narrow.get('scope')).toBe(`openid profile offline_access ${orders[0]}`)
  })

  it('about claims claims no capability for the broker, and keeps none of it from the provider', async () => {
    for (const capability of ['{"values":["cp2"]}', '{"essential":true,"value":"cp9"}', 'null']) {
      const requested = expectBegun(await start(['claims', `{"access_token":{"xms_cc":${capability}}}`]))
      expect(requested.get('claims')).toBe('{"access_token":{"xms_cc":{"values":["cp1"]}}}')
    }
  })

  it.each([
    ['not JSON', '{'],
    ['a list', '[]'],
    ['a text', '"a"'],
    ['about the ID token', '{"id_token":{"email":null}}'],
    ['about the person', '{"userinfo":{"email":null}}'],
    ['about a claim that no claims challenge requests', '{"access_token":{"email":{"essential":true}}}'],
    ['with an unknown member', '{"access_token":{"acrs":{"essential":true,"evil":1}}}'],
    ['with a value that is no text', '{"access_token":{"acrs":{"value":{"a":1}}}}'],
    ['with a long value', `{"access_token":{"acrs":{"value":"${'a'.repeat(513)}"}}}`],
    ['with 21 values', `{"access_token":{"acrs":{"values":${JSON.stringify(Array(21).fill('c1'))}}}}`],
    ['with a prototype', '{"access_token":{"__proto__":{"essential":true}}}'],
  ])('about claims is rejected when it is %s', async (_, claims) => {
    const refused = await start(['claims', claims])

    expectNothingBegun(refused, 'claims_not_allowed')
    expect(refused.text).not.toContain(claims.length > 2 ? claims : 'no such text')
    const challenge = '{"access_token":{"acrs":{"essential":true,"value":"c1"},"xms_cc":{"values":["cp1"]}}}'
    expect(expectBegun(await start(['claims', challenge])).get('claims')).toBe(challenge)
  })
})
