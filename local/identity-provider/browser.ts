/** Walks the provider's pages as a browser would, without one: cookies, redirects, forms. For tests and benchmarks. */
import { CookieJar } from 'tough-cookie'
import { loopbackFetch } from '../loopback-fetch.ts'
import { readForm, unescapeHtml } from './posted-form.ts'

/** The response with which the provider sends the browser back to the application. */
export interface SignInAnswer {
  /** `form_post`: POST `fields` to `url`. `redirect`: GET `url`; `fields` are the parameters of its query. */
  readonly mode: 'form_post' | 'redirect'
  readonly url: string
  readonly fields: Readonly<Record<string, string>>
  /** The pages that a person saw on the way: `sign-in`, `second-factor`, `consent`. */
  readonly pages: readonly string[]
}

export interface VisitOptions {
  /** Presses "Cancel" on this page instead of going on. */
  readonly cancelAt?: 'sign-in' | 'second-factor' | 'consent'
}

/** One browser, with the cookies it keeps between visits. */
export interface Visitor {
  readonly jar: CookieJar
  /**
   * Opens an authorization URL and goes through to the answer.
   *
   * @throws when the provider shows an error page, with the text of that page
   */
  signIn(authorizationUrl: string, username: string, options?: VisitOptions): Promise<SignInAnswer>
  /** Opens a sign-out URL; returns where it leads, or undefined when it ends on the provider's own page. */
  signOut(url: string): Promise<string | undefined>
  /** True where the provider has a session of this browser. */
  isSignedIn(browserUrl: string): Promise<boolean>
}

const mostSteps = 15

export function createVisitor(): Visitor {
  const jar = new CookieJar()

  const open = async (url: string, form?: URLSearchParams): Promise<Response> => {
    const response = await loopbackFetch(url, {
      headers: { cookie: await jar.getCookieString(url), accept: 'text/html' },
      ...(form && { method: 'POST', body: form }),
    })
    for (const cookie of response.headers.getSetCookie()) await jar.setCookie(cookie, url, { ignoreError: true })
    return response
  }

  const walk = async (start: string, fill: (page: Page) => URLSearchParams | undefined): Promise<Walked> => {
    const { origin } = new URL(start)
    const pages: string[] = []
    let url = start
    let form: URLSearchParams | undefined
    for (let step = 0; step < mostSteps; step++) {
      const response = await open(url, form)
      form = undefined
      const location = response.headers.get('location')
      if (location !== null) {
        url = new URL(location, url).href
        if (new URL(url).origin !== origin) {
          return { mode: 'redirect', url, fields: Object.fromEntries(new URL(url).searchParams), pages }
        }
        continue
      }
      const page = readPage(await response.text(), url)
      if (page.name === 'form-post') {
        url = page.action
        if (new URL(url).origin !== origin) return { mode: 'form_post', url, fields: page.fields, pages }
        form = new URLSearchParams(page.fields)
        continue
      }
      if (page.alert !== undefined) throw new Error(`The identity provider says: ${page.alert}`)
      pages.push(page.name)
      form = fill(page)
      if (!form) return { mode: 'page', url, fields: {}, pages }
      url = page.action
    }
    throw new Error(`The identity provider sends us round and round: ${url}`)
  }

  return {
    jar,
    signIn: async (authorizationUrl, username, { cancelAt } = {}) => {
      const walked = await walk(authorizationUrl, ({ name }) => {
        if (name === cancelAt) return new URLSearchParams({ cancel: 'yes' })
        if (name === 'sign-in') return new URLSearchParams({ username })
        if (name === 'second-factor') return new URLSearchParams({ approve: 'yes' })
        return name === 'consent' ? new URLSearchParams({ consent: 'yes' }) : undefined
      })
      if (walked.mode === 'page') throw new Error(`The sign-in ended on the page ${walked.pages.at(-1) ?? ''}.`)
      return { ...walked, mode: walked.mode }
    },
    signOut: async (url) => {
      const walked = await walk(url, ({ name, fields }) =>
        name === 'sign-out' ? new URLSearchParams({ ...fields, logout: 'yes' }) : undefined,
      )
      return walked.mode === 'redirect' ? walked.url : undefined
    },
    isSignedIn: async (browserUrl) => (await jar.getCookies(browserUrl)).some(({ key }) => key === 'ESTSAUTH'),
  }
}

interface Walked extends Omit<SignInAnswer, 'mode'> {
  readonly mode: SignInAnswer['mode'] | 'page'
}

interface Page {
  readonly name: string
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
  readonly alert?: string
}

/** Reads the provider's own pages: the first form, its hidden fields, and the text for the person. */
function readPage(html: string, url: string): Page {
  const name = /<body data-page="([^"]*)"/.exec(html)?.[1]
  if (name === undefined) throw new Error(`Not a page of the identity provider at ${url}: ${html.slice(0, 200)}`)
  const { action = '', fields = {} } = readForm(html) ?? {}
  const alert = /role="alert"[^>]*>([^<]*)</.exec(html)?.[1]
  return {
    name,
    action: new URL(action, url).href,
    fields,
    ...(alert === undefined ? {} : { alert: unescapeHtml(alert) }),
  }
}
