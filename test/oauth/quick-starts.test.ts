/**
 * Requests as further client libraries send them, written by hand: their default scopes, parameters beyond those of the
 * specification, headers, and the forms in which they name the client. test/clients/ runs libraries themselves.
 */
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { app, authorizationRequest, newPkce, ordersRead, redirectUri } from '../setup/client.ts'
import type { Registration, Stack } from '../setup/stack.ts'
import { startStack } from '../setup/stack.ts'

const origin = new URL(redirectUri).origin
const client: Registration = {
  ...app,
  redirectUris: [redirectUri, `${origin}/`, 'http://localhost/'],
  signedOutUrls: [`${origin}/`, 'http://localhost/signed-out'],
}

interface QuickStart {
  /** Beside `client_id`, `redirect_uri`, `response_type`, `scope`, `state` and the challenge. */
  readonly authorization?: Readonly<Record<string, string>>
  /** Beside the fields of RFC 6749 §4.1.3. The value undefined removes one. */
  readonly token?: Readonly<Record<string, string | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  readonly userinfo?: { readonly query?: string; readonly headers?: Readonly<Record<string, string>> }
  /** Beside `id_token_hint`. */
  readonly logout?: Readonly<Record<string, string>>
}

const basic = (id: string) => `Basic ${Buffer.from(`${id}:`).toString('base64')}`
const form = 'application/x-www-form-urlencoded'
const aText = expect.any(String) as string

const quickStarts: Readonly<Record<string, QuickStart>> = {
  'an application that was written for Keycloak': {
    authorization: {
      response_mode: 'fragment',
      kc_idp_hint: 'google',
      ui_locales: 'en',
      claims: '{"id_token":{"acr":{"values":["silver"],"essential":false}}}',
    },
    userinfo: { headers: { authorization: 'bearer {token}', accept: 'application/json' } },
    logout: { client_id: 'app', post_logout_redirect_uri: `${origin}/` },
  },
  'Spring Security': {
    authorization: { scope: 'openid profile email address phone' },
    headers: { accept: 'application/json;charset=UTF-8', 'content-type': `${form};charset=UTF-8` },
    logout: { post_logout_redirect_uri: origin },
  },
  'AppAuth for Android and iOS': {
    authorization: {
      prompt: 'login consent',
      login_hint: 'ada@contoso.example',
      display: 'touch',
      ui_locales: 'de_CH en',
    },
    headers: { accept: 'application/json' },
    logout: { post_logout_redirect_uri: `${origin}/`, state: 's', ui_locales: 'de' },
  },
  Authlib: {
    authorization: { scope: 'openid profile email' },
    token: { state: 'state-of-the-client' },
    headers: { accept: 'application/json', 'content-type': `${form};charset=UTF-8` },
  },
  'go-oidc with golang.org/x/oauth2': {
    authorization: { scope: 'openid profile email groups', access_type: 'offline', prompt: 'consent' },
    token: { client_id: undefined },
    headers: { authorization: basic('app') },
    userinfo: { headers: { authorization: 'Bearer {token}', 'accept-encoding': 'gzip' } },
  },
  'oidc-client-ts with every option': {
    authorization: {
      ...{ scope: 'openid', display: 'popup', max_age: '3600', ui_locales: 'de-CH en', id_token_hint: 'e30.e30.e30' },
      ...{
        acr_values: '',
        resource: 'api://demo',
        response_mode: 'query',
        request_type: 'si:r',
        prompt: 'select_account',
      },
    },
    token: { resource: 'api://demo' },
    logout: {
      client_id: 'app',
      post_logout_redirect_uri: `${origin}/`,
      state: 's',
      logout_hint: 'ada',
      id_token_hint: '',
    },
  },
  'MSAL.js, as a generic OpenID client': {
    authorization: {
      scope: 'openid profile offline_access',
      ...{ client_info: '1', 'x-client-SKU': 'msal.js.browser', 'x-client-VER': '5.30.0', 'client-request-id': 'c-1' },
      ...{ haschrome: '1', instance_aware: 'false', clidata: '1', response_mode: 'fragment' },
      claims: '{"access_token":{"xms_cc":{"values":["CP1"]}}}',
    },
    token: {
      client_info: '1',
      scope: 'openid profile offline_access',
      'X-AnchorMailbox': 'Oid:1@2',
      client_secret: '',
    },
    logout: { post_logout_redirect_uri: `${origin}/`, 'client-request-id': 'c-2', logout_hint: 'ada@contoso.example' },
  },
  'MSAL for .NET and Node, as a native application on a port of the system': {
    authorization: {
      redirect_uri: 'http://localhost:36075',
      scope: `${ordersRead} openid profile offline_access`,
      prompt: 'select_account',
      ...{ 'client-request-id': 'c-1', 'x-client-sku': 'MSAL.NetCore', client_info: '1', clidata: '1' },
    },
    token: { redirect_uri: 'http://localhost:36075', client_info: '1', scope: `${ordersRead} openid profile` },
    headers: { 'x-client-ver': '4.92.0.0', 'x-ms-lib-capability': 'retry-after, h429', accept: 'application/json' },
    logout: { client_id: 'app', post_logout_redirect_uri: 'http://localhost:49152/signed-out', state: 's' },
  },
  'oidc-agent on the command line': {
    authorization: {
      redirect_uri: 'http://localhost:4242',
      ...{ access_type: 'offline', prompt: 'consent', state: '0:bZs:32:L3RtcC9vaWRjLWFnZW50' },
    },
    token: { redirect_uri: 'http://localhost:4242', client_secret: '' },
  },
  'Auth0 and Okta samples': {
    authorization: {
      audience: 'https://api.example.com',
      scope: 'openid  profile   email',
      connection: 'db',
      auth0Client: 'e30',
    },
    token: { audience: 'https://api.example.com' },
    headers: { accept: '*/*' },
    logout: { client_id: 'app', returnTo: origin },
  },
  'league/oauth2-client and jumbojett/openid-connect-php': {
    authorization: { approval_prompt: 'auto', scope: 'openid' },
    token: { client_secret: '' },
    userinfo: { query: '?schema=openid' },
  },
  'Argo CD and kubelogin': {
    authorization: {
      scope: 'openid profile email groups offline_access',
      claims: '{"id_token":{"groups":{"essential":true}},"userinfo":null}',
    },
    token: { client_id: undefined },
    headers: { authorization: basic('app'), accept: '*/*' },
  },
  'an application whose redirect URI is its origin': {
    authorization: { redirect_uri: origin, scope: 'openid profile email' },
    token: { redirect_uri: origin },
    logout: { post_logout_redirect_uri: origin },
  },
  'Grafana, which keeps no ID token for the sign-out': {
    authorization: { scope: 'openid profile email' },
    token: { client_id: undefined },
    headers: { authorization: basic('app') },
    logout: { id_token_hint: '', post_logout_redirect_uri: `${origin}/` },
  },
  'libraries that pass lists of the browser on': {
    authorization: {
      ui_locales: 'en-US,en;q=0.9',
      acr_values: ' phr  urn:mace:incommon:iap:silver ',
      claims_locales: 'de',
    },
  },
}

describe('the quick start of', () => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ frontEnds: [client] })
  })
  afterAll(() => stack.close())

  const send = async (path: string, fields: Readonly<Record<string, string | undefined>>, headers: object = {}) => {
    const body = new URLSearchParams(
      Object.entries(fields).filter((one): one is [string, string] => one[1] !== undefined),
    ).toString()
    const response = await fetch(`${stack.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': form, ...headers },
      body,
    })
    return { status: response.status, json: (await response.json()) as Record<string, string> }
  }

  it.each(Object.entries(quickStarts))('%s signs in, reads the person, renews and signs out', async (_, quickStart) => {
    const { authorization, token, headers, userinfo, logout } = quickStart
    const [person, pkce] = [stack.person(), newPkce()]
    const request = authorizationRequest(pkce, { scope: `openid profile ${ordersRead}`, nonce: 'n', ...authorization })

    const done = await person.signIn(request)
    expect(done.location, done.text).not.toBeNull()
    const at = new URL(done.location!)
    const answer = request.response_mode === 'fragment' ? new URLSearchParams(at.hash.slice(1)) : at.searchParams
    expect(Object.fromEntries(answer)).toEqual({ code: aText, state: request.state, iss: stack.url })

    const tokens = await send(
      '/token',
      {
        ...{ grant_type: 'authorization_code', code: answer.get('code')!, code_verifier: pkce.codeVerifier },
        ...{ client_id: 'app', redirect_uri: redirectUri, ...token },
      },
      headers,
    )
    expect(tokens.json).toMatchObject({ token_type: 'Bearer', id_token: aText })
    expect(decodeJwt(tokens.json.id_token!)).toMatchObject({ aud: 'app', nonce: 'n' })

    const bearer = tokens.json.access_token!
    const about = await fetch(`${stack.url}/userinfo${userinfo?.query ?? ''}`, {
      headers: Object.fromEntries(
        Object.entries(userinfo?.headers ?? { authorization: 'Bearer {token}' }).map(([name, value]) => [
          name,
          value.replace('{token}', bearer),
        ]),
      ),
    })
    expect(await about.json()).toMatchObject({ sub: decodeJwt(tokens.json.id_token!).sub })

    const renewed = await send(
      '/token',
      {
        ...{ grant_type: 'refresh_token', refresh_token: tokens.json.refresh_token, scope: request.scope },
        client_id: token && 'client_id' in token ? undefined : 'app',
      },
      headers,
    )
    expect(renewed.json).toMatchObject({ id_token: aText, scope: tokens.json.scope })

    const out = new URLSearchParams({ id_token_hint: renewed.json.id_token!, ...logout })
    const ended = await person.open(`/end-session?${out.toString()}`)
    expect([ended.status, ended.text]).toEqual([303, ''])
  })
})
