/**
 * The same job as a team would write it on Azure Functions by the documentation of the libraries: `@azure/functions`,
 * `openid-client` with a key that Key Vault signs by `@azure/keyvault-keys`, sign-ins and sessions in
 * `@azure/data-tables`. It runs on the same host as the broker, with the same emulators.
 *
 * It does less than the broker: no row in the table is sealed, no ID token signature is checked (openid-client leaves
 * that to TLS), a session has no idle end, and there is one front end.
 */
import { randomBytes } from 'node:crypto'
import { app } from '@azure/functions'
import type { HttpHandler, HttpRequest } from '@azure/functions'
import { AzureNamedKeyCredential, RestError, TableClient } from '@azure/data-tables'
import { ManagedIdentityCredential } from '@azure/identity'
import { CertificateClient } from '@azure/keyvault-certificates'
import { CryptographyClient } from '@azure/keyvault-keys'
import * as client from 'openid-client'

const setting = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing.`)
  return value
}

const redirectUri = setting('REDIRECT_URI')
const returnUrl = setting('RETURN_URL')
const sessionSeconds = 8 * 3600
const signInSeconds = 600
/** The emulated vault has no domain name that belongs to Key Vault. */
const onLoopback = { disableChallengeResourceVerification: true }

// Made once for an instance, as the SDKs' documentation advises.
const credential = new ManagedIdentityCredential({ clientId: setting('AZURE_CLIENT_ID') })
const tables = new AzureNamedKeyCredential('devstoreaccount1', setting('TABLES_KEY'))
const table = (name: string) => new TableClient(setting('TABLES_URL'), name, tables, { allowInsecureConnection: true })
const signIns = table('peersignins')
const sessions = table('peersessions')

interface SignIn {
  readonly nonce: string
  readonly codeVerifier: string
  readonly expires: number
}

interface Session {
  readonly claims: string
  readonly accessToken: string
  readonly refreshToken: string
  readonly at: number
  readonly expires: number
}

const base64url = (value: string | Uint8Array) => Buffer.from(value).toString('base64url')

let ready: ReturnType<typeof prepare> | undefined
const prepared = () => (ready ??= prepare())

async function prepare() {
  const [certificate] = await Promise.all([
    new CertificateClient(setting('VAULT_URL'), credential, onLoopback).getCertificate(setting('CERTIFICATE_NAME')),
    ...[signIns, sessions].map((one) => one.createTable()),
  ])
  const { keyId, properties } = certificate
  if (keyId === undefined || !properties.x509Thumbprint) throw new Error('The certificate has no key.')
  const header = { alg: 'RS256', typ: 'JWT', x5t: base64url(properties.x509Thumbprint) }
  const signer = new CryptographyClient(keyId, credential, onLoopback)

  /** `private_key_jwt`, where the library's own signs with a key of the process. */
  // eslint-disable-next-line @typescript-eslint/no-misused-promises -- the library awaits it; its type omits that
  const authentication: client.ClientAuth = async (server, metadata, body) => {
    const now = Math.floor(Date.now() / 1000)
    const claims = {
      iss: metadata.client_id,
      sub: metadata.client_id,
      aud: server.token_endpoint,
      jti: client.randomState(),
      iat: now,
      nbf: now,
      exp: now + 60,
    }
    const input = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(claims))}`
    const { result } = await signer.signData('RS256', Buffer.from(input))
    body.set('client_id', metadata.client_id)
    body.set('client_assertion', `${input}.${base64url(result)}`)
    body.set('client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
  }
  return client.discovery(new URL(setting('ISSUER')), setting('CLIENT_ID'), undefined, authentication, {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- the local provider's pages are on loopback
    execute: [client.allowInsecureRequests],
  })
}

const cookieOf = (request: HttpRequest, name: string): string | undefined =>
  new RegExp(`(?:^|; )${name}=([^;]+)`).exec(request.headers.get('cookie') ?? '')?.[1]

const cookie = (name: string, value: string, maxAge: number, sameSite: 'Lax' | 'None') =>
  ({ name, value, maxAge, sameSite, secure: true, httpOnly: true, path: '/' }) as const

async function find<Row extends object>(from: TableClient, rowKey: string): Promise<Row | undefined> {
  try {
    return await from.getEntity<Row>('row', rowKey)
  } catch (error) {
    if (error instanceof RestError && error.statusCode === 404) return undefined
    throw error
  }
}

const login: HttpHandler = async () => {
  const config = await prepared()
  const codeVerifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  await signIns.createEntity({
    partitionKey: 'row',
    rowKey: state,
    nonce,
    codeVerifier,
    expires: Date.now() + signInSeconds * 1000,
  })
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    response_mode: 'form_post',
    scope: setting('SCOPE'),
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
  })
  // The provider's form comes from another site.
  return { status: 303, headers: { location: url.href }, cookies: [cookie('signin', state, signInSeconds, 'None')] }
}

const callback: HttpHandler = async (request) => {
  const config = await prepared()
  const state = cookieOf(request, 'signin')
  const begun = state === undefined ? undefined : await find<SignIn>(signIns, state)
  if (state === undefined || !begun || begun.expires < Date.now()) {
    return { status: 400, body: 'There is no sign-in under way.' }
  }
  // A sign-in is used once.
  await signIns.deleteEntity('row', state)
  const answer = new URL(redirectUri)
  answer.search = await request.text()
  const tokens = await client.authorizationCodeGrant(config, answer, {
    pkceCodeVerifier: begun.codeVerifier,
    expectedState: state,
    expectedNonce: begun.nonce,
    idTokenExpected: true,
  })
  const id = randomBytes(32).toString('base64url')
  const at = Math.floor(Date.now() / 1000)
  await sessions.createEntity({
    partitionKey: 'row',
    rowKey: id,
    claims: JSON.stringify(tokens.claims()),
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token ?? '',
    at,
    expires: at + sessionSeconds,
  })
  return {
    status: 303,
    headers: { location: returnUrl },
    cookies: [cookie('signin', '', 0, 'None'), cookie('session', id, sessionSeconds, 'Lax')],
  }
}

const session: HttpHandler = async (request) => {
  const id = cookieOf(request, 'session')
  const found = id === undefined ? undefined : await find<Session>(sessions, id)
  if (!found || found.expires < Date.now() / 1000) return { status: 401, jsonBody: { error: 'signed_out' } }
  const claims = JSON.parse(found.claims) as Record<string, unknown>
  return {
    headers: { 'cache-control': 'no-store' },
    jsonBody: {
      subject: claims.sub,
      object_id: claims.oid,
      tenant_id: claims.tid,
      name: claims.name,
      username: claims.preferred_username,
      signed_in_at: found.at,
      expires_at: found.expires,
    },
  }
}

app.http('login', { route: 'login', methods: ['GET'], authLevel: 'anonymous', handler: login })
app.http('callback', { route: 'callback', methods: ['POST'], authLevel: 'anonymous', handler: callback })
app.http('session', { route: 'session', methods: ['GET'], authLevel: 'anonymous', handler: session })
