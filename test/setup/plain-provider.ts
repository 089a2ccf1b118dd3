/**
 * oidc-provider without the emulation of Entra: a certified OpenID provider with `iss` in its responses, form_post,
 * PS256, single-use refresh tokens, only with prompt=consent (OpenID Connect Core §11), a fixed list of scopes, opaque
 * access tokens, and sign-out notifications. It fetches the broker's keys from the URL where the broker publishes them.
 */
import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import Provider from 'oidc-provider'
import type { Configuration } from 'oidc-provider'
import { CookieJar } from 'tough-cookie'
import type { Cloud } from '../../local/cloud.ts'
import { listen } from '../../local/http-server.ts'
import { unescapeHtml } from '../../local/identity-provider/posted-form.ts'
import type { SignInAnswer } from '../../local/identity-provider/browser.ts'
import { allowLoopback } from '../../local/identity-provider/identity-provider.ts'
import { lendKeyPairs } from './key-pairs.ts'
import { withoutEntra } from './mock-provider.ts'
import type { BesideProvider } from './stack.ts'
import { trust } from './trust.ts'

const plainClientId = 'the-broker'

/** Claims of every person, for the scopes `phone` and `address` (OpenID Connect Core §5.4). */
export const phoneAndAddress = {
  phone_number: '+41 31 000 00 00',
  phone_number_verified: true,
  address: { locality: 'Bern', country: 'CH' },
}

export interface PlainProvider extends BesideProvider {
  readonly issuer: string
  /** The errors of the provider, with its own messages. */
  readonly refusals: readonly string[]
  /** A new browser of a person at this provider. */
  visitor(): PlainVisitor
}

export interface PlainVisitor {
  /** Goes through the sign-in as this person. */
  signIn(authorizationUrl: string, accountId: string): Promise<SignInAnswer>
  /** Opens a sign-out URL and confirms. @returns the address of the redirect */
  signOut(url: string): Promise<string | undefined>
}

export function plainProvider(scopes: readonly string[]) {
  let started: PlainProvider | undefined
  const start = async (cloud: Cloud, brokerUrl: string) => (started = await startPlain(cloud, brokerUrl, scopes))
  return { start, get: () => started! }
}

async function startPlain(cloud: Cloud, brokerUrl: string, scopes: readonly string[]): Promise<PlainProvider> {
  trust(cloud.ca)
  let serve: (request: IncomingMessage, response: ServerResponse) => void = () => undefined
  const server = await listen({
    name: 'plain identity provider',
    port: 0,
    tls: cloud.tls,
    handler: (request, response) => serve(request, response),
  })
  const issuer = `https://localhost:${server.port}`
  const refusals: string[] = []
  const keyPairs = lendKeyPairs()
  const { privateKey } = await keyPairs.makeKeyPair(2048)
  const configuration: Configuration = {
    clients: [
      {
        client_id: plainClientId,
        redirect_uris: [`${brokerUrl}/callback`],
        post_logout_redirect_uris: [`${brokerUrl}/logout/done`],
        backchannel_logout_uri: `${brokerUrl}/logout/backchannel`,
        backchannel_logout_session_required: true,
        grant_types: ['authorization_code', 'refresh_token', 'implicit'],
        response_types: ['code', 'code id_token'],
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'PS256',
        // It fetches keys over https only, and the broker has http here: the code below forwards the request.
        jwks_uri: `${issuer}/broker-keys`,
      },
    ],
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'RS256', use: 'sig' }] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    clientAuthMethods: ['private_key_jwt'],
    enabledJWA: { clientAuthSigningAlgValues: ['PS256', 'RS256', 'ES256'] },
    scopes: ['openid', 'offline_access', 'profile', ...scopes],
    claims: {
      openid: ['sub', 'sid'],
      profile: ['name'],
      phone: ['phone_number', 'phone_number_verified'],
      address: ['address'],
    },
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `Name of ${id}`, ...phoneAndAddress }) }),
    // Its default dispatcher allows no request to loopback.
    fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined } as RequestInit),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: false },
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true },
    },
  }
  const provider = new Provider(issuer, configuration)
  allowLoopback(provider)
  const note = (error: Error) =>
    refusals.push(`${error.message} ${(error as { error_detail?: string }).error_detail ?? ''}`)
  provider.on('grant.error', (_, error) => note(error))
  provider.on('authorization.error', (_, error) => note(error))
  provider.on('server_error', (_, error) => note(error))
  provider.on('backchannel.error', (_, error) => note(error))
  const callback = provider.callback()
  serve = (request, response) => {
    const [path, query] = (request.url ?? '').split('?')
    if (path?.startsWith('/interaction/')) {
      const account = new URLSearchParams(query).get('account') ?? ''
      void interact(provider, request, response, account)
    } else if (path === '/broker-keys') {
      void fetch(`${brokerUrl}/.well-known/jwks.json`)
        .then((keys) => keys.text())
        .then((keys) => response.writeHead(200, { 'content-type': 'application/json' }).end(keys))
    } else void callback(request, response)
  }

  return {
    issuer,
    refusals,
    visitor: () => createVisitor(issuer),
    settings: {
      Broker__Authority: issuer,
      Broker__ResponseMode: 'form_post',
      AzureAd__ClientId: plainClientId,
      ...withoutEntra,
    },
    close: async () => {
      await server.close()
      keyPairs.release()
    },
  }
}

/** Signs in the person of the query, and consents to every requested scope. */
async function interact(
  provider: Provider,
  request: IncomingMessage,
  response: ServerResponse,
  account: string,
): Promise<void> {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response)
  if (prompt.name === 'login') {
    await provider.interactionFinished(request, response, { login: { accountId: account } })
    return
  }
  const grant =
    (grantId === undefined ? undefined : await provider.Grant.find(grantId)) ??
    new provider.Grant({ accountId: session!.accountId, clientId: params.client_id as string })
  grant.addOIDCScope(String(params.scope))
  await provider.interactionFinished(
    request,
    response,
    { consent: { grantId: await grant.save() } },
    { mergeWithLastSubmission: true },
  )
}

const mostSteps = 12

function createVisitor(issuer: string): PlainVisitor {
  const jar = new CookieJar()
  const open = async (url: string, form?: Readonly<Record<string, string>>): Promise<Response> => {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { cookie: await jar.getCookieString(url) },
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
    })
    for (const cookie of response.headers.getSetCookie()) await jar.setCookie(cookie, url, { ignoreError: true })
    return response
  }
  const walk = async (start: string, account: string): Promise<SignInAnswer> => {
    let url = start
    let form: Readonly<Record<string, string>> | undefined
    for (let step = 0; step < mostSteps; step++) {
      const requested = new URL(url)
      if (requested.pathname.startsWith('/interaction/')) requested.searchParams.set('account', account)
      const response = await open(requested.href, form)
      form = undefined
      const location = response.headers.get('location')
      if (location !== null) {
        url = new URL(location, url).href
        const fields = Object.fromEntries(new URL(url).searchParams)
        if (new URL(url).origin !== issuer) return { mode: 'redirect', url, fields, pages: [] }
        continue
      }
      const html = await response.text()
      const action = /<form[^>]* action="([^"]*)"/.exec(html)?.[1]
      if (action === undefined) throw new Error(`The plain provider shows: ${html.slice(0, 500)}`)
      const inputs = html.matchAll(/<input[^>]* name="([^"]*)" value="([^"]*)"/g)
      const fields = Object.fromEntries([...inputs].map(([, name, value]) => [unescapeHtml(name), unescapeHtml(value)]))
      url = new URL(unescapeHtml(action), url).href
      if (new URL(url).origin !== issuer) return { mode: 'form_post', url, fields, pages: [] }
      form = { ...fields, logout: 'yes' }
    }
    throw new Error(`The plain provider sends us round and round: ${url}`)
  }
  return {
    signIn: walk,
    signOut: async (url) => (await walk(url, '')).url,
  }
}
