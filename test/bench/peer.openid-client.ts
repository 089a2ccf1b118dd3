/**
 * What the broker is measured against: a bare relying party, as one writes it with express and openid-client. It has
 * its own key in the process and its sessions in memory; state, nonce and PKCE as the libraries' examples have them.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import express from 'express'
import session from 'express-session'
import * as client from 'openid-client'

declare module 'express-session' {
  interface SessionData {
    signIn: { state: string; nonce: string; codeVerifier: string }
    signedIn: {
      claims: client.IDToken
      accessToken: string
      refreshToken: string | undefined
      at: number
      expires: number
    }
  }
}

const setting = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing.`)
  return value
}

const issuer = new URL(setting('ISSUER'))
const redirectUri = setting('REDIRECT_URI')
const returnUrl = setting('RETURN_URL')
const scope = setting('SCOPE')
const sessionSeconds = 8 * 3600

const config = await client.discovery(issuer, setting('CLIENT_ID'), undefined, clientAuthentication(), {
  // The local provider's pages are on plain http; everything that costs something here goes over https.
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so that it is noticed
  execute: [client.allowInsecureRequests],
})

function clientAuthentication(): client.ClientAuth {
  const { fingerprint256 } = new X509Certificate(setting('CERTIFICATE'))
  const thumbprint = Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
  const key = createPrivateKey(setting('PRIVATE_KEY'))
  return client.PrivateKeyJwt(key.toCryptoKey({ name: 'RSA-PSS', hash: 'SHA-256' }, false, ['sign']) as CryptoKey, {
    // As Entra wants it: the certificate is named by its thumbprint, the audience is the token endpoint.
    [client.modifyAssertion]: (header, payload) => {
      header['x5t#S256'] = thumbprint
      payload['aud'] = config.serverMetadata().token_endpoint ?? null
    },
  })
}

const app = express()
app.use(
  session({
    secret: setting('SESSION_SECRET'),
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'lax', maxAge: sessionSeconds * 1000 },
  }),
)

app.get('/login', async (request, response) => {
  const codeVerifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const nonce = client.randomNonce()
  request.session.signIn = { state, nonce, codeVerifier }
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    response_mode: 'form_post',
    scope,
    state,
    nonce,
    code_challenge: await client.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
  })
  response.redirect(303, url.href)
})

app.post('/callback', express.urlencoded({ extended: false }), async (request, response) => {
  const { signIn } = request.session
  if (!signIn) {
    response.status(400).send('Nobody began this sign-in.')
    return
  }
  const answer = new URL(redirectUri)
  answer.search = new URLSearchParams(request.body as Record<string, string>).toString()
  const tokens = await client.authorizationCodeGrant(config, answer, {
    pkceCodeVerifier: signIn.codeVerifier,
    expectedState: signIn.state,
    expectedNonce: signIn.nonce,
    idTokenExpected: true,
  })
  const claims = tokens.claims()
  if (!claims) throw new Error('No ID token came.')

  // A new id for who is signed in now, as against session fixation everywhere.
  await new Promise<void>((resolve, reject) => {
    request.session.regenerate((error: unknown) => (error instanceof Error ? reject(error) : resolve()))
  })
  const at = Math.floor(Date.now() / 1000)
  request.session.signedIn = {
    claims,
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
    at,
    expires: at + sessionSeconds,
  }
  response.redirect(303, returnUrl)
})

app.get('/session', (request, response) => {
  const { signedIn } = request.session
  if (!signedIn) {
    response.status(401).json({ error: 'signed_out' })
    return
  }
  const { claims, at, expires } = signedIn
  response.json({
    subject: claims.sub,
    object_id: claims['oid'],
    tenant_id: claims['tid'],
    name: claims['name'],
    username: claims['preferred_username'],
    signed_in_at: at,
    expires_at: expires,
  })
})

const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`)
})
