import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { KeyObject } from 'node:crypto'
import { createNetwork } from '../../../shared/http/network.ts'
import { entraProfile } from '../../../shared/provider/entra.ts'
import { openIdProfile } from '../../../shared/provider/openid.ts'
import type { IdentityProvider } from '../../../shared/provider/provider.ts'
import { ecKey, jwk, openProvider, rsaKey, startProviderServer, tenantId } from './provider-server.ts'
import type { ProviderServer } from './provider-server.ts'

const hour = 60 * 60 * 1000
const [one, two] = [rsaKey(), rsaKey()]
let server: ProviderServer
beforeAll(async () => {
  server = await startProviderServer()
})
afterAll(() => server.close())

describe('the provider’s metadata', () => {
  it('is fetched once for all requests, and kept', async () => {
    const provider = server.cold()
    const before = server.asked(server.paths.metadata)

    const [metadata] = await Promise.all([provider.metadata(), provider.metadata()])

    expect(metadata).toMatchObject({
      issuer: server.authority,
      tokenEndpoint: server.honest.token_endpoint,
      authorizationEndpoint: server.honest.authorization_endpoint,
      endSessionEndpoint: server.honest.end_session_endpoint,
      issuerInAnswers: false,
    })
    await provider.metadata()
    expect(server.asked(server.paths.metadata) - before).toBe(1)
  })

  it.each<[string, (honest: ProviderServer['honest']) => Readonly<Record<string, unknown>>]>([
    ['the issuer of another tenant', ({ issuer }) => ({ issuer: issuer.replace('1111', '9999') })],
    ['an issuer with a slash at its end', ({ issuer }) => ({ issuer: `${issuer}/` })],
    ['an issuer in other case', ({ issuer }) => ({ issuer: issuer.replace('localhost', 'LOCALHOST') })],
    ['no issuer', () => ({ issuer: undefined })],
    ['another token endpoint', ({ token_endpoint }) => ({ token_endpoint: `${token_endpoint}2` })],
    ['a token endpoint on another host', () => ({ token_endpoint: 'https://login.example/token' })],
    ['keys on another host', () => ({ jwks_uri: 'https://login.example/keys' })],
    ['no keys', () => ({ jwks_uri: undefined })],
    [
      'an authorization endpoint on another host',
      () => ({ authorization_endpoint: 'https://login.example/authorize' }),
    ],
    ['an authorization endpoint that is no URL', () => ({ authorization_endpoint: 'authorize' })],
    ['a sign-out endpoint on another host', () => ({ end_session_endpoint: 'https://login.example/logout' })],
  ])('is not used when it names %s', async (_what, lie) => {
    const provider = server.cold()
    server.saysOfItself(lie(server.honest))

    await expect(provider.metadata()).rejects.toMatchObject({ code: 'provider_metadata_untrusted' })

    // The document was not kept.
    server.saysOfItself({})
    await expect(provider.metadata()).resolves.toMatchObject({ issuer: server.authority })
  })

  it.each([
    [200, true],
    [203, false],
    [404, false],
  ])('with the status %i is read: %s', async (status, isRead) => {
    const provider = openProvider({
      profile: entraProfile({ instance: server.instance, tenantId }),
      network: () => Promise.resolve({ status, json: server.honest, headers: {} }),
    })

    const issuer = provider.metadata().then(({ issuer }) => issuer)

    if (isRead) expect(await issuer).toBe(server.authority)
    else
      await expect(issuer).rejects.toMatchObject({
        code: 'provider_answer_invalid',
        detail: `metadata: status ${status}`,
      })
  })

  it('may point away from the instance on the laptop alone', async () => {
    const elsewhere = { authorization_endpoint: 'http://127.0.0.1:7171/authorize' }
    const local = server.cold()
    server.saysOfItself(elsewhere)
    await expect(local.metadata()).resolves.toMatchObject({ authorizationEndpoint: elsewhere.authorization_endpoint })

    const inTheCloud = (more: object) => {
      const instance = 'https://login.microsoftonline.com/'
      const json = JSON.parse(
        JSON.stringify({ ...server.honest, ...more }).replaceAll(server.instance, instance),
      ) as Record<string, unknown>
      const network = () => Promise.resolve({ status: 200, headers: {}, json })
      return openProvider({ profile: entraProfile({ instance, tenantId }), network })
    }
    await expect(inTheCloud(elsewhere).metadata()).rejects.toMatchObject({ code: 'provider_metadata_untrusted' })
    const userInfo = { authorization_endpoint: 'https://x:y@login.microsoftonline.com/authorize' }
    await expect(inTheCloud(userInfo).metadata()).rejects.toMatchObject({ code: 'provider_metadata_untrusted' })
    await expect(inTheCloud({}).metadata()).resolves.toMatchObject({ endSessionEndpoint: expect.any(String) as string })
  })

  it('that is unavailable is requested again at once, and a kept document is still served', async () => {
    const provider = server.cold()
    server.isDown(server.paths.metadata)
    await expect(provider.metadata()).rejects.toMatchObject({ code: 'provider_unavailable' })

    server.isDown()
    await expect(provider.metadata()).resolves.toMatchObject({ issuer: server.authority })

    server.isDown(server.paths.metadata)
    server.later(25 * hour)
    await expect(provider.metadata()).resolves.toMatchObject({ issuer: server.authority })
    await expect.poll(() => server.faults).toMatchObject([{ code: 'provider_unavailable' }])
  })

  it('that becomes false later has no effect on an instance that has a good copy', async () => {
    const provider = server.cold()
    await provider.metadata()

    server.saysOfItself({ token_endpoint: 'https://login.example/token' })
    server.later(25 * hour)
    await provider.metadata()

    await expect.poll(() => server.faults).toMatchObject([{ code: 'provider_metadata_untrusted' }])
    expect(await provider.metadata()).toMatchObject({ tokenEndpoint: server.honest.token_endpoint })
  })

  it('announces the issuer in responses', async () => {
    const provider = server.cold()
    server.saysOfItself({ authorization_response_iss_parameter_supported: true })

    expect(await provider.metadata()).toMatchObject({ issuerInAnswers: true })
  })
})

describe('the provider’s keys', () => {
  const fingerprints = (keys: readonly KeyObject[]) => keys.map((key) => key.export({ format: 'jwk' }).n)
  const modulus = (pair: typeof one) => pair.publicKey.export({ format: 'jwk' }).n

  it('are found by their id, and all of a family where a token names none', async () => {
    server.publishes(jwk(one, { kid: 'one' }), jwk(two, { kid: 'two' }), jwk(ecKey(), { kid: 'curve' }))
    const provider = server.cold()

    expect(fingerprints(await provider.keysFor('two', 'RS256'))).toEqual([modulus(two)])
    expect(fingerprints(await provider.keysFor(undefined, 'PS256'))).toEqual([modulus(one), modulus(two)])
    expect(await provider.keysFor('curve', 'ES256')).toHaveLength(1)
    expect(await provider.keysFor('curve', 'RS256')).toEqual([])
    expect(await provider.keysFor('one', 'ES256')).toEqual([])
    expect(await provider.keysFor('three', 'RS256')).toEqual([])
  })

  it.each<[string, readonly unknown[]]>([
    ['a key for encryption', [jwk(two, { kid: 'bad', use: 'enc' })]],
    ['a key for other operations', [jwk(two, { kid: 'bad', use: undefined, key_ops: ['encrypt'] })]],
    ['a symmetric key', [{ kty: 'oct', k: Buffer.alloc(32).toString('base64url'), kid: 'bad', use: 'sig' }]],
    ['a key with its private part', [{ ...two.privateKey.export({ format: 'jwk' }), kid: 'bad', use: 'sig' }]],
    ['a key of 512 bits', [jwk(rsaKey(512), { kid: 'bad' })]],
    ['a key of 1024 bits', [jwk(rsaKey(1024), { kid: 'bad' })]],
    ['a key for another algorithm', [jwk(two, { kid: 'bad', alg: 'RS512' })]],
    ['a key that is none', [{ kty: 'RSA', n: '!', e: 'AQAB', kid: 'bad', use: 'sig' }, 'bad', null, 7]],
    ['a kind of key that is not supported', [{ kty: 'AKP', kid: 'bad' }]],
    ['a key whose entry names another tenant', [jwk(two, { kid: 'bad', issuer: 'https://login.example/v2.0' })]],
    ['a key whose issuer is no text', [jwk(two, { kid: 'bad', issuer: 7 })]],
    ['a name that is no text', [jwk(two, { kid: 7 })]],
  ])('leave out %s, and the good ones are used', async (_what, bad) => {
    server.publishes(...bad, jwk(one, { kid: 'good' }))
    const provider = server.cold()

    expect(await provider.keysFor('bad', 'RS256')).toEqual([])
    expect(fingerprints(await provider.keysFor(undefined, 'RS256'))).toEqual([modulus(one)])
    expect(fingerprints(await provider.keysFor('good', 'RS256'))).toEqual([modulus(one)])
  })

  it('may share a name with a key for encryption', async () => {
    server.publishes(jwk(two, { kid: 'same', use: 'enc' }), jwk(one, { kid: 'same' }))

    expect(fingerprints(await server.cold().keysFor('same', 'RS256'))).toEqual([modulus(one)])
  })

  it('are used where their entry names this tenant, or every tenant of the cloud', async () => {
    server.publishes(
      jwk(one, { kid: 'ours', issuer: server.authority }),
      jwk(two, { kid: 'shared', issuer: server.authority.replace(tenantId, '{tenantid}') }),
    )
    const provider = server.cold()

    expect(await provider.keysFor('ours', 'RS256')).toHaveLength(1)
    expect(await provider.keysFor('shared', 'RS256')).toHaveLength(1)
  })

  it.each(['https://{tenantid}.ciamlogin.com/{tenantid}/v2.0', 'https://login.example/', 'Contoso'])(
    'are used at any other provider, where `issuer` of a key has no meaning (RFC 7517 §4), and not at Entra ID: %j',
    async (issuer) => {
      const entra = server.cold()
      const profile = openIdProfile({ authority: server.authority })
      const other = openProvider({ profile, network: createNetwork() })
      server.publishes(jwk(one, { kid: 'one', issuer }))

      expect(fingerprints(await other.keysFor('one', 'RS256', server.authority))).toEqual([modulus(one)])
      expect(await entra.keysFor('one', 'RS256', server.authority)).toEqual([])
    },
  )

  it('on a curve are used for the algorithm of that curve only', async () => {
    server.publishes(jwk(ecKey('P-256'), { kid: 'c256' }), jwk(ecKey('P-384'), { kid: 'c384' }))
    const provider = server.cold()

    expect(await provider.keysFor('c256', 'ES384')).toEqual([])
    expect(await provider.keysFor('c384', 'ES256')).toEqual([])
    expect(await provider.keysFor('c384', 'ES384')).toHaveLength(1)
  })

  it('are fetched once for all, once more for a name that is unknown, a few names in half a minute', async () => {
    server.publishes(jwk(one, { kid: 'one' }))
    const provider = server.cold()
    const before = server.asked(server.paths.keys)
    const fetched = () => server.asked(server.paths.keys) - before
    await Promise.all([provider.keysFor('one', 'RS256'), provider.keysFor('one', 'RS256')])
    expect(fetched()).toBe(1)

    for (let i = 0; i < 5; i++) expect(await provider.refetchKeys('unknown', 'RS256', 'token endpoint')).toEqual([])
    expect(fetched()).toBe(2)
    // A made-up id does not hide a rotation, and a flood of them causes no flood of fetches.
    for (let i = 0; i < 20; i++)
      expect(await provider.refetchKeys(`made-up-${i}`, 'RS256', 'token endpoint')).toEqual([])
    expect(fetched()).toBe(4)

    server.publishes(jwk(two, { kid: 'two' }))
    server.later(31_000)
    expect(fingerprints(await provider.refetchKeys('two', 'RS256', 'token endpoint'))).toEqual([modulus(two)])
    expect(fetched()).toBe(5)
  })

  it('of unauthenticated tokens do not use up the fetches of sign-ins', async () => {
    server.publishes(jwk(one, { kid: 'one' }))
    const provider = server.cold()
    await provider.keysFor('one', 'RS256')
    for (let i = 0; i < 20; i++) {
      expect(await provider.refetchKeys(`made-up-${i}`, 'RS256', 'anybody')).toEqual([])
    }
    expect(await provider.refetchKeys('two', 'RS256', 'anybody')).toEqual([])

    server.publishes(jwk(two, { kid: 'two' }))

    expect(fingerprints(await provider.refetchKeys('two', 'RS256', 'token endpoint'))).toEqual([modulus(two)])
  })

  it('that cannot be fetched do not count as fetched, nor does a clock that jumps back', async () => {
    server.publishes(jwk(one, { kid: 'one' }))
    const provider = server.cold()
    await provider.keysFor('one', 'RS256')
    server.publishes(jwk(two, { kid: 'two' }))
    server.isDown(server.paths.keys)
    await expect(provider.refetchKeys('two', 'RS256', 'token endpoint')).rejects.toMatchObject({
      code: 'provider_unavailable',
    })

    server.isDown()
    expect(fingerprints(await provider.refetchKeys('two', 'RS256', 'token endpoint'))).toEqual([modulus(two)])

    server.publishes(jwk(one, { kid: 'three' }))
    server.later(-2 * hour)
    expect(fingerprints(await provider.refetchKeys('three', 'RS256', 'token endpoint'))).toEqual([modulus(one)])
  })

  it.each([
    ['within a day', 25 * hour],
    ['also where the clock was set back', -25 * hour],
  ])('stay in use when the provider is down, and withdrawn ones are gone %s', async (_, passed) => {
    server.publishes(jwk(one, { kid: 'one' }))
    const provider = server.cold()
    await provider.keysFor('one', 'RS256')

    server.isDown(server.paths.keys)
    server.later(passed)
    expect(await provider.keysFor('one', 'RS256')).toHaveLength(1)
    await expect.poll(() => server.faults).toMatchObject([{ code: 'provider_unavailable' }])

    server.isDown()
    server.publishes()
    server.later(6_000)
    await expect.poll(() => provider.keysFor('one', 'RS256')).toEqual([])
  })

  it('are a fault and not an empty set when the answer has no list', async () => {
    const provider = createProviderThatSays({ keys: 'none' })

    await expect(provider.keysFor('one', 'RS256')).rejects.toMatchObject({
      code: 'provider_answer_invalid',
      detail: 'keys: no list',
    })
  })
})

describe('userinfo', () => {
  it.each(['header.payload.signature', 'a+/b==', "00D5e000000Ab!AQ.~(x)'"])(
    'is requested with the access token %s',
    async (accessToken) => {
      const { provider, sent } = providerWithUserinfo()

      expect(await provider.userInfo(accessToken)).toEqual({ sub: 'person-1' })
      expect(sent).toEqual([`Bearer ${accessToken}`])
    },
  )

  it.each(['a b', 'a\r\nx-other: 1', 'ä', '\u0000', ''])(
    'is not requested with the access token %j, which no header can carry',
    async (accessToken) => {
      const { provider, sent } = providerWithUserinfo()

      expect(await provider.userInfo(accessToken)).toBeUndefined()
      expect(sent).toEqual([])
    },
  )
})

function providerWithUserinfo() {
  const authority = 'https://login.example.com'
  const [metadata, userinfo] = [`${authority}/.well-known/openid-configuration`, `${authority}/userinfo`]
  const endpoints = { authorization_endpoint: authority, token_endpoint: authority, jwks_uri: authority }
  const documents: Readonly<Record<string, object>> = {
    [metadata]: { issuer: authority, ...endpoints, userinfo_endpoint: userinfo },
    [userinfo]: { sub: 'person-1' },
  }
  const sent: (string | undefined)[] = []
  const provider = openProvider({
    profile: openIdProfile({ authority }),
    network: ({ url, headers }) => {
      if (url === userinfo) sent.push(headers?.authorization)
      return Promise.resolve({ status: 200, headers: {}, json: { ...documents[url] } })
    },
  })
  return { provider, sent }
}

function createProviderThatSays(keys: Readonly<Record<string, unknown>>): IdentityProvider {
  const real = createNetwork()
  return openProvider({
    profile: entraProfile({ instance: server.instance, tenantId }),
    network: (request) =>
      request.url.endsWith('/keys') ? Promise.resolve({ status: 200, headers: {}, json: keys }) : real(request),
  })
}
