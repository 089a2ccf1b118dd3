/** A local identity provider with one application, and that application's side of the protocol, over real HTTP. */
import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import https from 'node:https'
import { createLocalJWKSet, jwtVerify, SignJWT } from 'jose'
import type { JSONWebKeySet, JWTPayload } from 'jose'
import { createCertificateAuthority } from '../../../local/certificate-authority.ts'
import { startIdentityProvider } from '../../../local/identity-provider/identity-provider.ts'
import type { IdentityProvider, ProviderSettings } from '../../../local/identity-provider/identity-provider.ts'
import { createVisitor } from '../../../local/identity-provider/browser.ts'
import type { SignInAnswer, Visitor, VisitOptions } from '../../../local/identity-provider/browser.ts'
import { makeRsaKeyPair } from '../../../local/rsa-key-pair.ts'
import type { MakeKeyPair } from '../../../local/rsa-key-pair.ts'
import { makeSelfSigned } from '../../../local/vault/self-signed.ts'
import { lendKeyPairs } from '../../setup/key-pairs.ts'

export const tenantId = '11111111-1111-4111-8111-111111111111'
export const clientId = '22222222-2222-4222-8222-222222222222'
export const redirectUri = 'http://localhost:7071/callback'
export const signedOutUri = 'http://localhost:7071/logout/done'
export const ordersRead = 'api://demo/orders.read'
export const billsRead = 'api://bills/read'

interface ClientCertificate {
  readonly pem: string
  readonly der: Buffer
  readonly privateKey: KeyObject
}

/** A self-signed certificate with its key, as a vault would hold it. */
export async function makeCertificate(
  validFrom = -1,
  validUntil = 1,
  makeKeyPair: MakeKeyPair = makeRsaKeyPair,
): Promise<ClientCertificate> {
  const { publicKey, privateKey } = await makeKeyPair(2048)
  const day = 24 * 3600 * 1000
  const der = await makeSelfSigned({
    publicKey,
    privateKey,
    subject: 'CN=broker',
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.2'],
    notBefore: new Date(Date.now() + validFrom * day),
    notAfter: new Date(Date.now() + validUntil * day),
  })
  return { pem: new X509Certificate(der).toString(), der, privateKey }
}

interface AssertionChanges {
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
}

function signAssertion(
  audience: string,
  { der, privateKey }: ClientCertificate,
  { header, claims }: AssertionChanges = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const x5t = createHash('sha256').update(der).digest('base64url')
  return new SignJWT({
    iss: clientId,
    sub: clientId,
    aud: audience,
    iat: now,
    nbf: now,
    exp: now + 600,
    jti: randomBytes(16).toString('hex'),
    ...claims,
  })
    .setProtectedHeader({ alg: 'PS256', typ: 'JWT', 'x5t#S256': x5t, ...header })
    .sign(privateKey)
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: Record<string, unknown>
}

type Form = Readonly<Record<string, string>>

/** https by the local authority, which a test's own `fetch` does not trust. */
export function send(url: string, ca: string, form?: Form): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}
    const request = https.request(url, { ca, agent: false, method: form ? 'POST' : 'GET', headers }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => (text += part))
      response.on('error', reject)
      response.on('end', () => {
        const json = text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {}
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
      })
    })
    request.on('error', reject)
    request.end(form && new URLSearchParams(form).toString())
  })
}

interface Begun {
  readonly url: string
  readonly codeVerifier: string
  readonly nonce: string
  readonly state: string
}

/** The application's side of the protocol. */
export interface World {
  readonly provider: IdentityProvider
  readonly ca: string
  readonly certificate: ClientCertificate
  get(url: string): Promise<Answer>
  post(form: Form): Promise<Answer>
  begin(changes?: Readonly<Record<string, string | undefined>>): Begun
  /** Signs in, by default as Ada, and returns the answer together with the request that began it. */
  signIn(
    changes?: Readonly<Record<string, string | undefined>>,
    options?: VisitOptions & { readonly as?: string; readonly visitor?: Visitor },
  ): Promise<Begun & { readonly answer: SignInAnswer }>
  redeem(signedIn: Begun & { readonly answer: SignInAnswer }, form?: Form): Promise<Answer>
  refresh(refreshToken: unknown, form?: Form): Promise<Answer>
  signOutUrl(parameters: Readonly<Record<string, string>>): string
  assertion(changes?: AssertionChanges, certificate?: ClientCertificate): Promise<string>
  /** Verifies a token by the published keys. @returns its claims */
  verify(token: unknown, audience: string): Promise<JWTPayload>
  /** Restores people, settings and answers that a test has changed. */
  reset(): void
  close(): Promise<void>
}

export const everyScope = `openid profile offline_access ${ordersRead}`

export async function startWorld(
  settings: Partial<ProviderSettings> = {},
  registered?: (own: ClientCertificate) => readonly (string | Uint8Array)[],
): Promise<World> {
  const authority = await createCertificateAuthority()
  const ca = authority.certificatePem
  const keyPairs = lendKeyPairs()
  const certificate = await makeCertificate(-1, 1, keyPairs.makeKeyPair)
  const provider = await startIdentityProvider({
    port: 0,
    tls: await authority.issue(['localhost', '127.0.0.1']),
    tenantId,
    clients: [
      {
        clientId,
        name: 'The broker',
        redirectUris: [redirectUri],
        postLogoutRedirectUris: () => [signedOutUri],
        certificates: () => (registered ? registered(certificate) : [certificate.pem]),
      },
    ],
    apis: [
      { audience: 'api://demo', scopes: ['orders.read', 'orders.write'] },
      { audience: 'api://bills', scopes: ['read'] },
    ],
    settings,
    makeKeyPair: keyPairs.makeKeyPair,
  })

  const original = { ...provider.settings }

  const assertion = (changes?: AssertionChanges, by = certificate) => signAssertion(provider.tokenUrl, by, changes)
  const proven = async (form: Form): Promise<Form> => ({
    client_id: clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await assertion(),
    ...form,
  })
  const post = (form: Form) => send(provider.tokenUrl, ca, form)

  const begin: World['begin'] = (changes = {}) => {
    const codeVerifier = randomBytes(32).toString('base64url')
    const [nonce, state] = [randomBytes(8).toString('hex'), randomBytes(8).toString('hex')]
    const parameters = {
      client_id: clientId,
      redirect_uri: redirectUri,
      response_type: 'code',
      response_mode: 'form_post',
      scope: everyScope,
      code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
      code_challenge_method: 'S256',
      nonce,
      state,
      ...changes,
    }
    const url = new URL(`${provider.browserUrl}/${tenantId}/oauth2/v2.0/authorize`)
    for (const [name, value] of Object.entries<string | undefined>(parameters)) {
      if (value !== undefined) url.searchParams.set(name, value)
    }
    return { url: url.href, codeVerifier, nonce, state }
  }

  return {
    provider,
    ca,
    certificate,
    get: (url) => send(url, ca),
    post,
    begin,
    signIn: async (changes, { as = 'ada@contoso.example', visitor = createVisitor(), ...options } = {}) => {
      const begun = begin(changes)
      return { ...begun, answer: await visitor.signIn(begun.url, as, options) }
    },
    redeem: async ({ answer, codeVerifier }, form = {}) =>
      post(
        await proven({
          grant_type: 'authorization_code',
          code: answer.fields['code'] ?? '',
          code_verifier: codeVerifier,
          redirect_uri: redirectUri,
          ...form,
        }),
      ),
    refresh: async (refreshToken, form = {}) =>
      post(await proven({ grant_type: 'refresh_token', refresh_token: String(refreshToken), ...form })),
    signOutUrl: (parameters) =>
      `${provider.browserUrl}/${tenantId}/oauth2/v2.0/logout?${new URLSearchParams(parameters).toString()}`,
    assertion,
    verify: async (token, audience) => {
      const keys = createLocalJWKSet((await send(provider.jwksUrl, ca)).json as unknown as JSONWebKeySet)
      return (await jwtVerify(String(token), keys, { issuer: provider.issuer, audience })).payload
    },
    reset: () => {
      provider.faults.clear()
      provider.changeTokenResponse()
      provider.transformKeys()
      provider.enablePerson('ada@contoso.example')
      Object.assign(provider.settings, original)
    },
    close: async () => {
      await provider.close()
      keyPairs.release()
    },
  }
}
