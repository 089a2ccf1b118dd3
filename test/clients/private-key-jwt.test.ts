/**
 * Clients with a server, which prove themselves by `private_key_jwt`: unmodified libraries, their public keys at a
 * `jwksUri` that the broker reads by https.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { closeVisitors, describeInBrowser, openBrowser } from '../browser/chromium.ts'
import { newVisitor, signInAtProvider } from '../browser/visitor.ts'
import { ada } from '../setup/person.ts'
import { hasDotnet } from '../setup/programs.ts'
import { sendJson, startSecureServer, trustedAuthority } from '../setup/secure-server.ts'
import type { SecureServer } from '../setup/secure-server.ts'
import { startStack } from '../setup/stack.ts'
import type { Stack } from '../setup/stack.ts'
import { startApplication } from './application-process.ts'
import type { ApplicationProcess } from './application-process.ts'
import { visitAuthJs } from './auth-js-application.ts'
import { application, client as registration, followSignIn, followSignOut, scope } from './person.ts'
import { ownPort } from '../setup/own-port.ts'

const makeKey = () => crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])

let stack: Stack
/** Serves the public keys of the applications. */
let keys: SecureServer
let folder: string
let own: CryptoKeyPair
/** The address of the ASP.NET Core application. */
let aspNet: string
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'broker-clients-'))
  ;[keys, own, aspNet] = await Promise.all([
    startSecureServer(),
    makeKey(),
    ownPort().then((port) => `http://127.0.0.1:${port}`),
  ])
  const jwk = await crypto.subtle.exportKey('jwk', own.publicKey)
  keys.answer((request, response) => {
    if (request.url === '/jwks.json') sendJson(response, { keys: [{ ...jwk, kid: 'one', alg: 'ES256', use: 'sig' }] })
    else
      void fetch(`${aspNet}/keys`)
        .then((answer) => answer.json())
        .then(
          (set) => sendJson(response, set),
          () => response.destroy(),
        )
  })
  stack = await startStack({
    frontEnds: [
      { ...registration, jwksUri: `${keys.url}/jwks.json` },
      {
        ...registration,
        id: 'asp-net',
        origins: [aspNet],
        redirectUris: [`${aspNet}/signin-oidc`],
        signedOutUrls: [`${aspNet}/signout-callback-oidc`],
        jwksUri: `${keys.url}/asp-net.json`,
      },
    ],
    provider: async (cloud) => {
      const file = path.join(folder, 'ca.pem')
      const { certificatePem } = await trustedAuthority()
      await writeFile(file, `${await readFile(cloud.caFile, 'utf8')}\n${certificatePem}`)
      return { settings: { NODE_EXTRA_CA_CERTS: file }, close: () => Promise.resolve() }
    },
  })
})
afterAll(async () => {
  await Promise.all([stack.close(), keys.close(), rm(folder, { recursive: true, force: true })])
})

it('openid-client 6 signs in, renews and signs out by private_key_jwt, and not with a key that is not published', async () => {
  const configure = (method: client.ClientAuth) =>
    client.discovery(new URL(stack.url), 'app', undefined, method, { execute: [client.allowInsecureRequests] })
  const config = await configure(client.PrivateKeyJwt({ key: own.privateKey, kid: 'one' }))
  const code_verifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const person = stack.person()
  const answer = await followSignIn(
    person,
    client.buildAuthorizationUrl(config, {
      redirect_uri: `${application}/callback`,
      scope,
      code_challenge: await client.calculatePKCECodeChallenge(code_verifier),
      code_challenge_method: 'S256',
      state,
    }),
  )
  const redeem = (by: client.Configuration) =>
    client.authorizationCodeGrant(by, new URL(answer), { pkceCodeVerifier: code_verifier, expectedState: state })

  const { privateKey } = await makeKey()
  for (const other of [client.PrivateKeyJwt({ key: privateKey, kid: 'one' }), client.None()])
    await expect(redeem(await configure(other))).rejects.toMatchObject({ cause: { error: 'invalid_client' } })
  const tokens = await redeem(config)
  expect(tokens.claims()).toMatchObject({ aud: 'app', name: 'Ada Lovelace' })
  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token!)
  expect(renewed.claims()).toMatchObject({ name: 'Ada Lovelace' })
  const signOut = client.buildEndSessionUrl(config, {
    id_token_hint: renewed.id_token!,
    post_logout_redirect_uri: `${application}/`,
  })
  expect(await followSignOut(person, signOut)).toBe(`${application}/`)
  await expect(client.refreshTokenGrant(config, renewed.refresh_token!)).rejects.toMatchObject({
    error: 'invalid_grant',
  })
  // The second one is for the key that is not published: the client could have changed its key under the same id.
  expect(keys.requests.filter((one) => one === 'GET /jwks.json')).toHaveLength(2)
})

it('Auth.js signs in by private_key_jwt', async () => {
  const browser = visitAuthJs(stack.url, {
    client: { token_endpoint_auth_method: 'private_key_jwt' },
    token: { clientPrivateKey: { key: own.privateKey, kid: 'one' } },
  })

  const begun = await browser('/auth/signin/broker', {})
  const done = await browser(await followSignIn(stack.person(), begun.headers.get('location')!))

  expect([done.status, done.headers.get('location')]).toEqual([302, application])
  expect(await (await browser('/auth/session')).json()).toMatchObject({ user: { name: 'Ada Lovelace' } })
})

describe.skipIf(!hasDotnet())('ASP.NET Core', () => {
  describeInBrowser('with its OpenID Connect handler', () => {
    let application: ApplicationProcess | undefined
    /** The reason why NuGet does not supply the package of the handler. */
    let missing: string | undefined
    beforeAll(async () => {
      const env = { ...process.env, DOTNET_CLI_TELEMETRY_OPTOUT: '1', DOTNET_NOLOGO: '1' }
      const project = path.join(import.meta.dirname, 'aspnet-core')
      const build = ['build', project, '--configuration', 'Release', '--output', folder, '--disable-build-servers']
      try {
        await promisify(execFile)('dotnet', [...build, `-p:BaseIntermediateOutputPath=${folder}/obj/`], { env })
      } catch (error) {
        const { stdout } = error as { stdout: string }
        missing = /error NU1[13]01: .*/.exec(stdout)?.[0]
        if (missing !== undefined) return
        throw new Error(`dotnet build failed:\n${stdout}`, { cause: error })
      }
      const run = [path.join(folder, 'application.dll'), '--urls', aspNet, '--broker', stack.url]
      application = await startApplication(['dotnet', ...run], { env, cwd: folder }, 'Application started')
    })
    afterAll(async () => {
      application?.end()
      await closeVisitors(await openBrowser())
    })

    it('signs in by private_key_jwt and form_post, knows the name, renews and signs out', async ({ skip }) => {
      skip(missing !== undefined, missing)
      const { context, tab } = await newVisitor(await openBrowser())
      const page = await tab(aspNet)
      await signInAtProvider(page, ada)
      await page.waitForURL(`${aspNet}/`)
      expect(await page.textContent('body'), application!.log()).toBe('Ada Lovelace')

      const renewed = await (await page.goto(`${aspNet}/renew`))!.json()
      expect(renewed).toMatchObject({ idToken: expect.any(String) as string })
      const again = (await (await page.goto(`${aspNet}/renew`))!.json()) as { refreshToken: string }
      expect(again.refreshToken).not.toBe((renewed as { refreshToken: string }).refreshToken)

      await page.goto(`${aspNet}/sign-out`, { waitUntil: 'commit' })
      const asks = page.locator('[form="op.logoutForm"][value="yes"]')
      const end = page.getByText('signed out')
      await asks.or(end).first().waitFor()
      if (await asks.isVisible()) await asks.click()
      await end.waitFor()
      expect(page.url()).toBe(`${aspNet}/signed-out`)
      await page.goto(aspNet)
      // The provider shows its form again.
      await page.getByLabel('Username').waitFor()
      await context.close()
    })
  })
})
