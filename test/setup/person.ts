/** A person with a browser: it keeps cookies, posts forms and sends headers as a real browser does. */
import { CookieJar } from 'tough-cookie'
import { createVisitor } from '../../local/identity-provider/browser.ts'
import type { SignInAnswer, VisitOptions, Visitor } from '../../local/identity-provider/browser.ts'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body if it is JSON, and an empty object otherwise. */
  readonly json: Readonly<Record<string, unknown>>
  readonly location: string | null
  readonly cookies: readonly string[]
}

export interface Call {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | URLSearchParams
  /** The address of an instance. The default is the first one. */
  readonly at?: string
}

export interface FrontEndPage {
  readonly id: string
  readonly origin: string
}

export interface Person {
  readonly jar: CookieJar
  readonly visitor: Visitor
  /** One request with the cookies of this browser; redirects are not followed. */
  call(path: string, call?: Call): Promise<Reply>
  /** Opens a link. */
  open(path: string, call?: Call): Promise<Reply>
  /** Sends a request as a script on the front end's page does. */
  script(page: FrontEndPage, path: string, call?: Call): Promise<Reply>
  begin(query: Readonly<Record<string, string>> | URLSearchParams, call?: Call): Promise<Reply>
  /** Signs in at the provider. @returns the response that the browser carries back to the broker */
  atProvider(authorizationUrl: string, username?: string, options?: VisitOptions): Promise<SignInAnswer>
  /** Posts the provider's form to the broker. */
  callback(answer: Pick<SignInAnswer, 'fields' | 'mode'> & { readonly url?: string }, call?: Call): Promise<Reply>
  /** A complete sign-in, from `/login` to the return URL. */
  signIn(query: Readonly<Record<string, string>> | URLSearchParams, username?: string, call?: Call): Promise<Reply>
  /** The browser's cookies for the broker, by name. */
  cookies(): Promise<Readonly<Record<string, string>>>
  sessionToken(page: FrontEndPage, body: object, call?: Call): Promise<Reply>
}

export const ada = 'ada@contoso.example'
export const shopPage: FrontEndPage = { id: 'shop', origin: 'http://localhost:3000' }
export const deskPage: FrontEndPage = { id: 'desk', origin: 'http://localhost:4200' }

export function createPerson(brokerUrl: string): Person {
  const jar = new CookieJar(undefined, { prefixSecurity: 'strict' })
  const visitor = createVisitor()

  const call = async (
    path: string,
    { method = 'GET', headers = {}, body, at = brokerUrl }: Call = {},
  ): Promise<Reply> => {
    const cookie = await jar.getCookieString(brokerUrl, { sameSiteContext: sameSiteOf(method, headers) })
    const response = await fetch(new URL(path, at), {
      method,
      redirect: 'manual',
      headers: { ...(cookie === '' ? {} : { cookie }), ...headers },
      ...(body === undefined ? {} : { body }),
    })
    const cookies = response.headers.getSetCookie()
    for (const one of cookies) await jar.setCookie(one, brokerUrl)
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: parse(text),
      location: response.headers.get('location'),
      cookies,
    }
  }

  const person: Person = {
    jar,
    visitor,
    call,
    open: (path, options = {}) =>
      call(path, { ...options, headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', ...options.headers } }),
    script: (page, path, options = {}) =>
      call(`${path}${path.includes('?') ? '&' : '?'}frontend=${page.id}`, {
        ...options,
        headers: {
          origin: page.origin,
          'sec-fetch-site': 'same-site',
          accept: 'application/json',
          ...(options.method === 'POST' ? { 'broker-request': '1', 'content-type': 'application/json' } : {}),
          ...options.headers,
        },
      }),
    begin: (query, options) => person.open(`/login?${new URLSearchParams(query).toString()}`, options),
    atProvider: (authorizationUrl, username = ada, options = {}) => visitor.signIn(authorizationUrl, username, options),
    callback: ({ fields, mode, url = '' }, options = {}) =>
      mode === 'form_post'
        ? person.open(callbackPath(url), {
            method: 'POST',
            body: new URLSearchParams(fields),
            ...options,
            headers: { 'sec-fetch-site': 'cross-site', origin: 'http://127.0.0.1:1', ...options.headers },
          })
        : person.open(`${callbackPath(url)}?${new URLSearchParams(fields).toString()}`, options),
    signIn: async (query, username, options) => {
      const begun = await person.begin(query, options)
      if (begun.location === null) throw new Error(`/login answered ${begun.status}: ${begun.text}`)
      return person.callback(await person.atProvider(begun.location, username), options)
    },
    cookies: async () => Object.fromEntries((await jar.getCookies(brokerUrl)).map(({ key, value }) => [key, value])),
    sessionToken: (page, body, options = {}) =>
      person.script(page, '/session/token', { ...options, method: 'POST', body: JSON.stringify(body) }),
  }
  return person
}

/** The redirect URI of a provider beside the primary one has the id of the provider behind the usual path. */
function callbackPath(url: string): string {
  return /\/callback\/[a-z0-9-]+(?=$|\?)/.exec(url)?.[0] ?? '/callback'
}

/** The browser sends no Lax cookie with a form that another site posts. */
function sameSiteOf(method: string, headers: Readonly<Record<string, string>>): 'strict' | 'lax' | 'none' {
  if (headers['sec-fetch-site'] !== 'cross-site') return 'strict'
  return method === 'GET' && headers['sec-fetch-mode'] === 'navigate' ? 'lax' : 'none'
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(text) as Readonly<Record<string, unknown>>
  } catch {
    return {}
  }
}
