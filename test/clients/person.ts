/** The person's part in a sign-in by a client library: its links in, the address that the browser returns to out. */
import { CookieJar } from 'tough-cookie'
import type { Person } from '../setup/person.ts'
import type { Registration } from '../setup/stack.ts'

/** Origin of the application that uses the library. */
export const application = 'http://127.0.0.1:3000'
export const ordersRead = 'api://demo/orders.read'
export const scope = `openid profile email offline_access ${ordersRead}`

/** The application's registration at the broker. */
export const client: Registration = {
  id: 'app',
  kind: 'oauth',
  origins: [application],
  redirectUris: [
    `${application}/callback`,
    `${application}/auth/callback/broker`,
    `${application}/api/auth/callback/broker`,
    `${application}/api/auth/oauth2/callback/broker`,
  ],
  signedOutUrls: [`${application}/`],
  apis: [{ name: 'orders', scopes: [ordersRead] }],
}

/** Follows a library's sign-in link. @returns the redirect URI with the answer */
export async function followSignIn(person: Person, link: string | URL): Promise<URL> {
  const begun = await person.open(String(link))
  if (begun.location === null) throw new Error(`the broker answered ${begun.status}: ${begun.text}`)
  const done = await person.callback(await person.atProvider(begun.location))
  if (done.location === null) throw new Error(`the callback answered ${done.status}: ${done.text}`)
  return new URL(done.location)
}

/** Follows a library's sign-out link, through the provider. @returns where the browser ends */
export async function followSignOut(person: Person, link: string | URL): Promise<string | null> {
  const begun = await person.open(String(link))
  if (begun.location === null) throw new Error(`the broker answered ${begun.status}: ${begun.text}`)
  const back = await person.visitor.signOut(begun.location)
  return back === undefined ? null : (await person.open(back)).location
}

/** A browser at an application that is a function from request to response; redirects are not followed. */
export function visit(handler: (request: Request) => Promise<Response>) {
  const jar = new CookieJar()
  return async (path: string | URL, form?: Readonly<Record<string, string>>, json?: object): Promise<Response> => {
    const url = new URL(path, application).href
    const body = form ? new URLSearchParams(form) : json ? JSON.stringify(json) : undefined
    const response = await handler(
      new Request(url, {
        headers: {
          cookie: await jar.getCookieString(url),
          origin: application,
          host: new URL(application).host,
          ...(json ? { 'content-type': 'application/json' } : {}),
        },
        ...(body === undefined ? {} : { method: 'POST', body }),
      }),
    )
    for (const cookie of response.headers.getSetCookie()) await jar.setCookie(cookie, url)
    return response
  }
}
