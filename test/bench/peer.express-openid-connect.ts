/**
 * The second peer: the same relying party by `express-openid-connect`, which brings the routes `/login` and `/callback`
 * and keeps the whole session, tokens included, encrypted in the browser's cookies. What isn't named is its default:
 * each answer writes the session's cookie again, since its sessions slide.
 */
import express from 'express'
import connect from 'express-openid-connect'

const setting = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing.`)
  return value
}
const sessionSeconds = 8 * 3600

/** It accepts no page on plain http from a provider whose issuer is https; the bench's browser knows to go by http. */
async function fetchWithHttpsPages(url: string, options: RequestInit): Promise<Response> {
  const response = await fetch(url, options)
  if (!url.endsWith('/.well-known/openid-configuration')) return response
  const metadata = (await response.json()) as Record<string, unknown>
  const page = String(metadata['authorization_endpoint']).replace(/^http:/, 'https:')
  return Response.json({ ...metadata, authorization_endpoint: page })
}

const app = express()
app.use(
  connect.auth({
    issuerBaseURL: setting('ISSUER'),
    baseURL: new URL(setting('REDIRECT_URI')).origin,
    clientID: setting('CLIENT_ID'),
    clientAuthMethod: 'private_key_jwt',
    clientAssertionSigningKey: setting('PRIVATE_KEY'),
    clientAssertionSigningAlg: 'PS256',
    secret: setting('SESSION_SECRET'),
    customFetch: fetchWithHttpsPages as never,
    // Of every route; `/session` answers scripts, which cannot use a redirect.
    authRequired: false,
    authorizationParams: { response_type: 'code', response_mode: 'form_post', scope: setting('SCOPE') },
    session: { absoluteDuration: sessionSeconds },
    // A header with the library's version, for the maker's own service.
    enableTelemetry: false,
  }),
)

app.get('/session', (request, response) => {
  const { user } = request.oidc
  if (!request.oidc.isAuthenticated() || !user) {
    response.status(401).json({ error: 'signed_out' })
    return
  }
  const claims = user as Record<string, unknown>
  response.json({
    subject: claims['sub'],
    object_id: claims['oid'],
    tenant_id: claims['tid'],
    name: claims['name'],
    username: claims['preferred_username'],
  })
})

const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  process.stdout.write(`${JSON.stringify({ url: `http://127.0.0.1:${port}` })}\n`)
})
