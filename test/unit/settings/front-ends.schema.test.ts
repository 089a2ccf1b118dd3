import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frontEnd, problemsOf, refusalsOf, settingsWith } from './environment.ts'
import { webUrl } from '../../setup/arbitrary-text.ts'

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8'))
const schema = read('docs/front-ends.schema.json') as { examples: unknown[] }
const isPublished = new Ajv2020({ strict: true }).compile(schema)

const json = (...frontEnds: unknown[]) => ({ Broker__FrontEnds: JSON.stringify(frontEnds) })
const spa = (changes: object) => json({ ...frontEnd, ...changes })
const place = 'Broker__FrontEnds[0]'

describe('a front end', () => {
  it('is accepted with all its members', () => {
    const whole = {
      id: 'spa-2',
      kind: 'session',
      origins: [
        'https://app.example.com',
        'https://app.example.com:8443',
        'http://localhost:5173',
        'http://[::1]:5173',
      ],
      returnUrls: ['https://app.example.com/signed-in?from=broker', 'http://localhost:5173/'],
      signedOutUrls: ['https://www.example.com/goodbye'],
      prompts: ['login'],
      apis: [
        { name: 'orders', scopes: ['api://orders/orders.read', 'api://orders/orders.write'] },
        { name: 'graph', scopes: ['https://graph.microsoft.com/User.Read'] },
        { name: 'all', scopes: ['0c7d3f52-2a54-4b5e-8c0e-5a1f6d9be310/.default'] },
      ],
    }

    expect(settingsWith(json(whole)).frontEnds).toEqual([{ ...whole, redirectUris: [], singleSignOn: false }])
    expect(isPublished([whole])).toBe(true)
  })

  it('may have no API, and there may be no front end yet', () => {
    expect(settingsWith(json({ id: 'a', origins: ['https://a.example'] })).frontEnds[0]?.apis).toEqual([])
    expect(settingsWith(json()).frontEnds).toEqual([])
  })

  it.each([
    [{ id: 'SPA' }, `${place}.id is not a front end id`],
    [{ id: '' }, `${place}.id is not a front end id`],
    [{ id: 'a'.repeat(33) }, `${place}.id is not a front end id`],
    [{ id: 3 }, `${place}.id is not a string`],
    [{ kind: 'device' }, `${place}.kind is not a kind of front end`],
    [{ kind: 'cookie' }, `${place}.kind is not a kind of front end`],
    [{ way: 'oauth' }, `${place}.way has a new name`],
    [{ origins: [] }, `${place}.origins is empty`],
    [{ origins: undefined }, `${place}.origins is missing`],
    [{ origins: 'https://app.example.com' }, `${place}.origins is not an array`],
    [{ origins: Array.from({ length: 21 }, (_, n) => `https://a${n}.example`) }, `${place}.origins is too long`],
    [{ origins: ['https://a.example', 'https://a.example'] }, `${place}.origins[1] occurs twice`],
    [
      { returnUrls: ['https://app.example.com.evil.example/'] },
      `${place}.returnUrls[0] is on none of the front end’s origins`,
    ],
    [{ returnUrls: ['https://app.example.com/#done'] }, `${place}.returnUrls[0] has a fragment`],
    [{ returnUrls: ['https://app.example.com'] }, `${place}.returnUrls[0] is not written as a browser writes it`],
    [{ returnUrls: [`https://app.example.com/${'a'.repeat(1024)}`] }, `${place}.returnUrls[0] is too long`],
    [{ returnUrls: [] }, `${place}.returnUrls is empty`],
    [{ signedOutUrls: ['http://www.example.com/'] }, `${place}.signedOutUrls[0] is http outside loopback`],
    [{ signedOutUrls: ['javascript:alert(1)'] }, `${place}.signedOutUrls[0] is not a URL that begins with https://`],
    [{ prompts: ['none'] }, `${place}.prompts has none, which belongs to an OAuth client`],
    [{ prompts: ['login', 'login'] }, `${place}.prompts[1] occurs twice`],
    [{ apis: [{ name: 'a b', scopes: ['api://a/b'] }] }, `${place}.apis[0].name is not an API name`],
    [{ apis: [{ name: 'a', scopes: [] }] }, `${place}.apis[0].scopes is empty`],
    [{ apis: [{ name: 'a', scopes: ['openid'] }] }, `${place}.apis[0].scopes[0] is not a scope of an API`],
    [
      { apis: [{ name: 'a', scopes: ['api://a/b', 'offline_access'] }] },
      `${place}.apis[0].scopes[1] is not a scope of an API`,
    ],
    [{ apis: [{ name: 'a', scopes: ['User.Read'] }] }, `${place}.apis[0].scopes[0] names no resource`],
    [
      { apis: [{ name: 'a', scopes: ['api://a/b c'] }] },
      `${place}.apis[0].scopes[0] has characters that are not allowed in a scope`,
    ],
    [{ apis: [{ name: 'a', scopes: ['api://a/x', 'api://b/x'] }] }, `${place}.apis[0].scopes mix resources`],
    [
      { apis: [{ name: 'a', scopes: ['api://a/x', 'api://a/.default'] }] },
      `${place}.apis[0].scopes mix .default with other scopes`,
    ],
    [
      {
        apis: [
          { name: 'a', scopes: ['api://a/x'] },
          { name: 'a', scopes: ['api://b/x'] },
        ],
      },
      `${place}.apis[1].name occurs twice`,
    ],
    [{ apis: [{ name: 'a', scopes: ['api://a/x'], secrets: 1 }] }, `${place}.apis[0].secrets is unknown`],
  ])('is refused where a member is bad: %j', (changes, refusal) => expect(refusalsOf(spa(changes))).toEqual([refusal]))

  it.each(['session', 'oauth'])('of the kind %s may register claims of the identity provider', (kind) => {
    const claims = ['roles', 'groups', 'wids', 'email', 'given_name', 'amr', 'extn.department']
    const urls = ['https://app.example.com/roles', 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn']
    const one = {
      ...frontEnd,
      kind,
      ...(kind === 'oauth' ? { redirectUris: ['https://app.example.com/callback'] } : {}),
    }

    expect(settingsWith(json({ ...one, claims: [...claims, ...urls] })).frontEnds).toMatchObject([
      { claims: [...claims, ...urls] },
    ])
    expect(isPublished([{ ...one, claims }])).toBe(true)
    expect(settingsWith(json(one)).frontEnds[0]?.claims).toBeUndefined()
  })

  it.each<[unknown, string]>([
    [[], 'claims is empty'],
    ['roles', 'claims is not an array'],
    [[7], 'claims[0] is not a string'],
    [['roles', 'roles'], 'claims[1] occurs twice'],
    [Array.from({ length: 21 }, (_, n) => `claim${n}`), 'claims is too long'],
    ...'iss sub aud exp nbf iat jti nonce azp sid at_hash c_hash acr auth_time oid tid login_hint'
      .split(' ')
      .map((name): [unknown, string] => [[name], 'claims[0] is a claim of the protocol']),
    [['roles', 'Sub'], 'claims[1] is a claim of the protocol'],
    [['hasgroups'], 'claims[0] is a claim of the protocol'],
    [['claims_omitted'], 'claims[0] is a claim of the protocol'],
    [['groups_overage'], 'claims[0] is a claim of the protocol'],
    [['__proto__'], 'claims[0] is a name of JavaScript itself'],
    [['constructor'], 'claims[0] is a name of JavaScript itself'],
    [['prototype'], 'claims[0] is a name of JavaScript itself'],
    [['hasOwnProperty'], 'claims[0] is a name of JavaScript itself'],
    [['_claim_names'], 'claims[0] is not a name of a claim'],
    [[''], 'claims[0] is not a name of a claim'],
    [['a b'], 'claims[0] is not a name of a claim'],
    [['rôle'], 'claims[0] is not a name of a claim'],
    [['roles\n'], 'claims[0] is not a name of a claim'],
    [['"roles"'], 'claims[0] is not a name of a claim'],
    [['a'.repeat(129)], 'claims[0] is not a name of a claim'],
  ])('may not register the claims %j', (claims, refusal) =>
    expect(refusalsOf(spa({ claims }))).toEqual([`${place}.${refusal}`]),
  )

  it('of OAuth clients has redirect URIs, with or without APIs, and no member of session front ends', () => {
    const client = {
      id: 'app',
      kind: 'oauth',
      origins: ['https://app.example.net'],
      redirectUris: ['https://app.example.net/callback', 'http://127.0.0.1/callback'],
      apis: [{ name: 'orders', scopes: ['api://orders/orders.read'] }],
    }

    expect(settingsWith(json(client)).frontEnds).toMatchObject([
      { ...client, singleSignOn: false, prompts: ['login', 'select_account', 'consent', 'none'] },
    ])
    const refused = (changes: object, refusal: string) =>
      expect(refusalsOf(json({ ...client, ...changes }))).toEqual([refusal])
    refused({ redirectUris: undefined }, `${place}.redirectUris is missing`)
    refused({ idTokenAlgorithm: 'HS256' }, `${place}.idTokenAlgorithm is not an accepted value`)
    expect(settingsWith(json({ ...client, apis: [] })).frontEnds).toMatchObject([{ apis: [] }])
    expect(settingsWith(json({ ...client, idTokenAlgorithm: 'ES256' })).frontEnds).toMatchObject([
      { idTokenAlgorithm: 'ES256' },
    ])
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwks = { keys: [publicKey.export({ format: 'jwk' })] }
    expect(settingsWith(json({ ...client, jwks })).frontEnds).toMatchObject([{ jwks }])
    const jwksUri = 'https://app.example.net/jwks.json'
    expect(settingsWith(json({ ...client, jwksUri })).frontEnds).toMatchObject([{ jwksUri }])
    refused({ jwks, jwksUri }, `${place}.jwksUri is beside jwks`)
    expect(settingsWith(json({ ...client, jwksUri, allowAssertionReuse: true })).frontEnds).toMatchObject([
      { allowAssertionReuse: true },
    ])
    refused({ allowAssertionReuse: true }, `${place}.allowAssertionReuse has no effect without jwks or jwksUri`)
    refused({ jwksUri: 'http://127.0.0.1/jwks.json' }, `${place}.jwksUri is not https`)
    refused(
      { jwks: { keys: [privateKey.export({ format: 'jwk' })] } },
      'Broker__FrontEnds contains a private key or a certificate as text',
    )
    refused({ jwks: { keys: [{ kty: 'RSA', p: 'AQAB' }] } }, `${place}.jwks.keys[0] has the private part of a key`)
    refused({ jwks: { keys: [{ kty: 'EC' }] } }, `${place}.jwks.keys[0] is not a key that the broker accepts`)
    refused({ returnUrls: ['https://app.example.net/'] }, `${place}.returnUrls belongs to a session front end`)
    refused({ redirectUris: ['http://app.example.net/'] }, `${place}.redirectUris[0] is http outside loopback`)
    refused({ kind: 'session' }, `${place}.redirectUris belongs to an OAuth client`)
    const native = ['com.example.app:/callback', 'com.example.my-app://oauth/callback']
    expect(settingsWith(json({ ...client, redirectUris: native })).frontEnds).toMatchObject([{ redirectUris: native }])
    // Without a dot, any application may claim the scheme (RFC 8252 §8.4); and schemes that run code have none.
    for (const scheme of ['myapp:/callback', 'javascript:/alert(1)', 'data:/text', 'COM.example.app:/callback'])
      refused({ redirectUris: [scheme] }, `${place}.redirectUris[0] is not a URL that begins with https://`)
    refused(
      { redirectUris: ['com.example.app:/callback#a'] },
      `${place}.redirectUris[0] is not a URL that begins with https://`,
    )
    refused(
      { redirectUris: ['com.example.app:/a/../b'] },
      `${place}.redirectUris[0] is not a URL that begins with https://`,
    )
    const fixOf = (redirectUri: string) => problemsOf(json({ ...client, redirectUris: [redirectUri] }))[0]?.fix
    expect(fixOf('myapp://callback')).toContain('has a dot: com.example.app:/callback')
    expect(fixOf('https://App.example.net/')).not.toContain('com.example.app')
    const origins = [...client.origins, 'capacitor://localhost', `chrome-extension://${'abcdefgh'.repeat(4)}`]
    expect(settingsWith(json({ ...client, origins })).frontEnds).toMatchObject([
      { origins, signedOutUrls: ['https://app.example.net/'] },
    ])
    expect(isPublished([{ ...client, origins }])).toBe(true)
    for (const other of [
      'htps://app.example.net',
      'file://localhost',
      'capacitor://',
      'capacitor:/localhost',
      'a://b/',
    ])
      refused({ origins: [...client.origins, other] }, `${place}.origins[1] is not a URL that begins with https://`)
    refused({ origins: ['capacitor://localhost'] }, `${place}.origins begins with the origin of a packaged application`)
    refused(
      { kind: 'session', redirectUris: undefined, origins: [...client.origins, 'ionic://localhost'] },
      `${place}.origins[1] is the origin of a packaged application, which belongs to an OAuth client`,
    )
    const signedOutUrls = ['https://app.example.net/', 'com.example.app:/bye']
    expect(settingsWith(json({ ...client, signedOutUrls })).frontEnds).toMatchObject([{ signedOutUrls }])
    refused(
      { signedOutUrls: ['https://app.example.net/', 'myapp:/bye'] },
      `${place}.signedOutUrls[1] is not a URL that begins with https://`,
    )
    refused(
      { kind: 'session', redirectUris: undefined, signedOutUrls },
      `${place}.signedOutUrls[1] has a private scheme, which belongs to an OAuth client`,
    )
  })

  it('with an unknown member is refused, and the error suggests the right one', () => {
    expect(problemsOf(spa({ returnUrl: ['https://app.example.com/'] }))).toEqual([
      { setting: `${place}.returnUrl`, problem: 'is unknown', fix: 'Did you mean returnUrls?' },
    ])
  })

  it('has an id of its own, and may share an origin', () => {
    expect(refusalsOf(json(frontEnd, frontEnd))).toEqual(['Broker__FrontEnds[1].id occurs twice'])
    expect(settingsWith(json(frontEnd, { ...frontEnd, id: 'other' })).frontEnds).toHaveLength(2)
  })

  it('is reported with all its problems at once, those between members too', () => {
    const changes = spa({ id: 'A', kind: 'x', colour: 1, returnUrls: ['https://other.example/'], apis: 'none' })

    expect(problemsOf(changes).map(({ setting }) => setting)).toEqual([
      `${place}.id`,
      `${place}.kind`,
      `${place}.apis`,
      `${place}.colour`,
      `${place}.returnUrls[0]`,
    ])
  })

  it.each([
    ['[{"id":"spa",}]', /^Broker__FrontEnds is not JSON/],
    ["[{'id':'spa'}]", /^Broker__FrontEnds is not JSON/],
    ['{"id":"spa"}', /^Broker__FrontEnds is not an array$/],
    ['["spa"]', /^Broker__FrontEnds\[0\] is not an object$/],
    ['[null]', /^Broker__FrontEnds\[0\] is not an object$/],
  ])('is an element of one JSON array, and not of: %s', (value, refusal) => {
    const [found, ...more] = refusalsOf({ Broker__FrontEnds: value })

    expect(found).toMatch(refusal)
    expect(more).toEqual([])
  })
})

describe('an origin', () => {
  it.each([
    ['https://app.example.com/', 'has a slash at the end'],
    ['https://App.example.com', 'is not written as a browser writes an origin'],
    ['https://app.example.com:443', 'is not written as a browser writes an origin'],
    ['https://bücher.example', 'is not written as a browser writes an origin'],
    ['https://app．example.com', 'is not written as a browser writes an origin'],
    ['https://app.example.com/path', 'has a path, a query or a fragment'],
    ['https://app.example.com?', 'has a path, a query or a fragment'],
    ['https://app.example.com.', 'has a host with characters that host names do not have'],
    ['https://*.example.com', 'is a pattern; only exact addresses are accepted'],
    ['https://a@app.example.com', 'contains a user name or a password'],
    ['https://@app.example.com', 'contains a user name or a password'],
    ['http://app.example.com', 'is http outside loopback'],
    ['http://localhost.example.com', 'is http outside loopback'],
    ['https://app.exa\tmple.com', 'contains white space or a backslash'],
    ['https://app.example.com\\@evil.example', 'contains white space or a backslash'],
    ['//app.example.com', 'is not a URL that begins with https://'],
    ['null', 'is not a URL that begins with https://'],
    ['*', 'is not a URL that begins with https://'],
    ['data:text/html,x', 'is not a URL that begins with https://'],
  ])('is written exactly as a browser sends it, and not: %s', (value, problem) =>
    expect(refusalsOf(spa({ origins: [value] }))).toEqual([`${place}.origins[0] ${problem}`]),
  )

  it('that is accepted is always its own serialization, and the published schema accepts it too', () => {
    const host = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.constantFrom('localhost', '[::1]', '[2001:db8::1]', 'xn--bcher-kva.example'),
    )
    const port = fc.oneof(
      fc.constant(''),
      fc.integer({ min: 0, max: 70_000 }).map((number) => `:${number}`),
    )
    const tail = fc.constantFrom('', '', '', '/', '/a', '?', '#', '\\', '@x')
    const written = fc
      .tuple(fc.constantFrom('https://', 'http://', 'HTTPS://', 'ftp://', '//'), host, port, tail)
      .map((parts) => parts.join(''))

    fc.assert(
      fc.property(fc.oneof(written, webUrl, fc.string()), (origin) => {
        const changes = spa({ origins: [origin] })
        let isTaken = true
        try {
          settingsWith(changes)
        } catch {
          isTaken = false
        }
        if (!isTaken) return

        expect(new URL(origin).origin).toBe(origin)
        expect(isPublished(JSON.parse(changes.Broker__FrontEnds))).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

describe('the published schema', () => {
  const { Values } = read('local.settings.example.json') as { Values: Record<string, string> }

  it('accepts the example, and the broker accepts the example of the schema', () => {
    expect(isPublished(JSON.parse(Values['Broker__FrontEnds']!))).toBe(true)
    expect(schema.examples.length).toBeGreaterThan(0)
    for (const example of schema.examples) {
      expect(isPublished(example)).toBe(true)
      expect(() => settingsWith({ Broker__FrontEnds: JSON.stringify(example) })).not.toThrow()
    }
  })

  it.each([
    { id: 'SPA' },
    { kind: 'device' },
    { origins: ['https://app.example.com/'] },
    { origins: ['http://app.example.com'] },
    { origins: ['https://*.example.com'] },
    { origins: [] },
    { returnUrls: ['https://app.example.com/#x'] },
    { prompts: ['silent'] },
    { apis: [{ name: 'a', scopes: ['openid'] }] },
    { clientSecret: 'x' },
  ])('refuses the faults that a schema can describe: %j', (changes) => {
    expect(isPublished([{ ...frontEnd, ...changes }])).toBe(false)
    expect(isPublished([frontEnd])).toBe(true)
  })
})
