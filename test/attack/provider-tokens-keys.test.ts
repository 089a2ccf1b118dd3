import { createSign } from 'node:crypto'
import { decodeJwt } from 'jose'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import https from 'node:https'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { warmUp } from '../setup/warm-up.ts'
import { jwk, rsaKey } from '../unit/provider/provider-server.ts'
import type { KeyPair } from '../unit/provider/provider-server.ts'
import { attemptAnew, isSignedIn, toShop } from './hostile-request.ts'

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
  await warmUp(stack)
})
afterEach(() => {
  stack.identityProvider.changeTokenResponse()
  stack.identityProvider.transformKeys()
  stack.identityProvider.faults.clear()
  stack.identityProvider.resetRequests()
})
afterAll(() => stack.close())

const fetched = () => stack.identityProvider.requests.filter(({ endpoint }) => endpoint === 'keys').length

/** The provider signs with this key by RS256, under this key ID (or without one). */
function signWith({ privateKey }: KeyPair, kid: string | undefined): void {
  stack.identityProvider.changeTokenResponse(({ answer }) => {
    const [, claims = ''] = (answer.id_token as string).split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'RS256', kid })).toString('base64url')
    // By node:crypto: jose refuses to sign with a weak key.
    const signature = createSign('sha256').update(`${header}.${claims}`).sign(privateKey, 'base64url')
    return { ...answer, id_token: `${header}.${claims}.${signature}` }
  })
}

function signBySecret(secret: Buffer, kid: string): void {
  stack.identityProvider.changeTokenResponse(async ({ answer, signIdToken }) => ({
    ...answer,
    id_token: await signIdToken(decodeJwt(answer.id_token as string), { alg: 'HS256', kid }, secret),
  }))
}

/** An instance that has no key yet and cannot fetch one while it starts. */
async function coldInstance(): Promise<string> {
  stack.identityProvider.faults.add({ endpoint: 'keys', status: 503, times: 1 })
  const { url } = await stack.startInstance()
  await expect.poll(fetched).toBe(1)
  return url
}

describe('the keys of the provider', () => {
  it.each([true, false])('may change between sign-ins without a failure (the old key kept: %s)', async (keepOld) => {
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    stack.identityProvider.resetRequests()

    await stack.identityProvider.rotateKeys({ keepOld })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    expect(fetched()).toBe(1)
  })

  it('are fetched once for an unknown key ID, and the sign-in is rejected', async () => {
    const { url } = await stack.startInstance()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
    stack.identityProvider.resetRequests()

    signWith(rsaKey(), 'unknown')
    for (let i = 0; i < 3; i++) expect((await attemptAnew(stack, url)).json).toMatchObject({ code: 'id_token_refused' })

    expect(fetched()).toBe(1)
    stack.identityProvider.changeTokenResponse()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })

  it('need no key ID: the broker accepts any key that verifies the signature', async () => {
    const [known, strange] = [rsaKey(), rsaKey()]
    stack.identityProvider.transformKeys((keys) => [...keys, jwk(known)])
    const url = await coldInstance()

    signWith(strange, undefined)
    expect((await attemptAnew(stack, url)).json).toMatchObject({ code: 'id_token_refused' })
    signWith(known, undefined)
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })

  it('are used only if they are suitable: symmetric, encryption, private and weak keys are not used', async () => {
    const named: Readonly<Record<string, KeyPair>> = {
      fit: rsaKey(),
      encrypting: rsaKey(),
      exposed: rsaKey(),
      weak: rsaKey(1024),
    }
    const key = (name: string) => named[name]!
    const secret = Buffer.alloc(32, 'secret')
    stack.identityProvider.transformKeys((keys) => [
      ...keys,
      jwk(key('fit'), { kid: 'fit' }),
      jwk(key('encrypting'), { kid: 'encrypting', use: 'enc' }),
      { ...key('exposed').privateKey.export({ format: 'jwk' }), kid: 'exposed', use: 'sig' },
      jwk(key('weak'), { kid: 'weak' }),
      { kty: 'oct', k: secret.toString('base64url'), kid: 'symmetric', use: 'sig' },
      'not a key',
    ])
    const url = await coldInstance()

    for (const name of ['encrypting', 'exposed', 'weak', 'symmetric']) {
      if (name === 'symmetric') signBySecret(secret, name)
      else signWith(key(name), name)
      expect((await attemptAnew(stack, url)).json, name).toMatchObject({ code: 'id_token_refused' })
    }
    signWith(key('fit'), 'fit')
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
    stack.identityProvider.changeTokenResponse()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })

  it('that cannot be fetched at the first sign-in lead to a page with a link, and the failure is not cached', async () => {
    const url = await coldInstance()
    stack.identityProvider.faults.add({ endpoint: 'keys', status: 503 })

    const page = await stack.person().signIn(toShop, undefined, { at: url })

    expect(page.status).toBe(503)
    expect(page.text).toContain('provider_unavailable')
    expect(page.text).toContain('Try again')
    stack.identityProvider.faults.clear()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })

  it('that are cached are still used while the provider’s keys cannot be fetched', async () => {
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
    stack.identityProvider.faults.add({ endpoint: 'keys', dropConnection: true })

    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })

  it('that are all withdrawn sign no person in', async () => {
    stack.identityProvider.transformKeys(() => [])
    const url = await coldInstance()
    expect((await attemptAnew(stack, url)).json).toMatchObject({ code: 'id_token_refused' })

    stack.identityProvider.transformKeys()
    expect(isSignedIn(await attemptAnew(stack))).toBe(true)
  })
})

describe('metadata of the provider that names another party', () => {
  it('as its token endpoint is not used: no person can sign in, and readiness fails', async () => {
    const honest = await readJson(stack.identityProvider.discoveryUrl, stack.cloud.ca)
    const lie = { ...honest, token_endpoint: `${String(honest.token_endpoint)}2` }
    stack.identityProvider.faults.add({ endpoint: 'discovery', body: lie })
    const { url } = await stack.startInstance()
    const person = stack.person()

    const refused = await person.begin(toShop, { at: url, headers: { accept: 'application/json' } })
    expect(refused.status).toBe(503)
    expect(refused.json).toMatchObject({ code: 'provider_metadata_untrusted' })
    const ready = await person.open('/health/ready', { at: url })
    expect([ready.status, ready.text]).toEqual([503, 'provider'])

    stack.identityProvider.faults.clear()
    expect(isSignedIn(await attemptAnew(stack, url))).toBe(true)
  })
})

function readJson(url: string, ca: string): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    https
      .get(url, { ca, agent: false }, (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () => resolve(JSON.parse(text) as Record<string, unknown>))
      })
      .on('error', reject)
  })
}
