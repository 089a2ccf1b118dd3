/**
 * Pages for people: one style, which suits a phone, a strict CSP that permits this style by its hash, and no script
 * except the one line of `postingPage`.
 */
import { createHash } from 'node:crypto'
import { errorCatalogue } from '../errors/catalogue.ts'
import type { BrokerError, Destination, Link, PostedAnswer } from '../errors/errors.ts'
import { seeOther } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Cookie } from './cookies.ts'
import { Html, html } from './html.ts'
import { retryAfter } from './problem.ts'

const style = `
:root { color-scheme: light dark; --text: #1b1f24; --quiet: #57606a; --back: #f6f8fa; --card: #fff; --line: #d0d7de; --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --quiet: #9da7b1; --back: #0d1117; --card: #161b22; --line: #30363d; --link: #79b8ff; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(34rem, 100% - 2rem); margin: 8vh auto; padding: 2rem 1.5rem; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 .75rem; }
p { margin: 0 0 1rem; }
a { color: var(--link); }
ul { padding-left: 1.25rem; }
li { margin-bottom: .5rem; }
.ways { display: flex; flex-wrap: wrap; gap: .75rem; }
.way { flex: 1 1 auto; min-height: 2.75rem; padding: .6rem 1.1rem; border: 1px solid var(--link); border-radius: .5rem; text-align: center; text-decoration: none; font: inherit; font-weight: 600; }
.ways .way:first-child, button.way { background: var(--link); color: var(--card); }
.choices { list-style: none; padding: 0; }
.choices .way { display: block; }
.quiet { color: var(--quiet); font-size: .875rem; margin: 1.5rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); }
:focus-visible { outline: 3px solid #e07b00; outline-offset: 2px; }
pre { white-space: pre-wrap; padding: .75rem; background: var(--back); border: 1px solid var(--line); border-radius: .5rem; font-size: .85rem; }
`
const styleHash = createHash('sha256').update(style).digest('base64')
const styleElement = new Html(`<style>${style}</style>`)

export function page(
  status: number,
  title: string,
  body: Html,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  const text = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        ${styleElement}
      </head>
      <body>
        <main>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html>`
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
      ...headers,
    },
    body: text.text,
  }
}

/**
 * An error as a person sees it: title, a sentence for the person, the remedy, links, and the reference for support. A
 * remedy for an engineer comes second and names its reader.
 */
export function errorPage(error: BrokerError, reference: string): Answer {
  const { title } = errorCatalogue[error.code]
  const { registration, parameter, problem, settings } = error.members
  const body = html`
    ${remedyParagraphs(error)}
    ${typeof parameter === 'string' ? html`<p>Parameter: <strong>${parameter}</strong>${typeof problem === 'string' ? `: ${problem}` : ''}</p>` : undefined}
    ${
      typeof registration === 'string'
        ? html`<p>To register it, add this to the list in <strong>Broker__FrontEnds</strong>:</p>
            <pre>${registration}</pre>`
        : undefined
    }
    ${Array.isArray(settings) ? settingsList(settings) : undefined} ${linkList(error.links)}
    <p class="quiet">Code: ${error.code}<br />Reference: ${reference}</p>
  `
  return page(error.status, title, body, retryAfter(error))
}

/** The end of a sign-out whose front end's page is not known for certain. */
export function signedOutPage(links: readonly Link[]): Answer {
  return page(
    200,
    'You are signed out',
    html`<p>You can close this page.</p>
      ${linkList(links)}`,
  )
}

/** Submits itself; a browser without scripts shows the button. */
const submitScript = 'document.forms[0].submit()'
const submitHash = createHash('sha256').update(submitScript).digest('base64')

/**
 * Sends the browser to the next address of a sign-in: by a redirect, or by a form to an OAuth client (OAuth 2.0 Form
 * Post Response Mode). The policy permits that form alone.
 */
export function goTo(destination: Destination, cookies: readonly Cookie[] = []): Answer {
  if (typeof destination === 'string') return seeOther(destination, cookies)
  const { action } = destination
  const { headers, ...form } = postingPage('Sign in', 'Continue to the application.', destination)
  return {
    ...form,
    headers: {
      ...headers,
      'content-security-policy': `${headers?.['content-security-policy'] ?? ''}; form-action ${formActionOf(action)}`,
      // The client's check against forged posts sees the broker's origin; without this header the origin is `null`.
      'referrer-policy': 'strict-origin',
      // As for a redirect: a library that opened a popup must find it again.
      'cross-origin-opener-policy': 'unsafe-none',
    },
    cookies,
  }
}

/**
 * CSP 3 §2.3.1: a source has no query, its path has no `;` and no `,`, and its host is no IPv6 address;
 * a private scheme has no origin.
 */
function formActionOf(action: string): string {
  const { origin, pathname, protocol, hostname } = new URL(action)
  if (hostname.startsWith('[') || origin === 'null') return protocol
  return `${origin}${pathname.replaceAll(';', '%3B').replaceAll(',', '%2C')}`
}

/**
 * Sends the browser to another site by POST. The policy names no form-action: browsers apply it to redirects too, and
 * the provider redirects to the front end in the end.
 *
 * @param purpose of the button, in a sentence: a browser without scripts stays on the page
 */
export function postingPage(title: string, purpose: string, { action, fields }: PostedAnswer): Answer {
  const inputs = Object.entries(fields).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  )
  const body = html`<p>${purpose}</p>
    <form method="post" action="${action}">${inputs}<button class="way" type="submit">Continue</button></form>
    ${new Html(`<script>${submitScript}</script>`)}`
  const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; script-src 'sha256-${submitHash}'; img-src data:; frame-ancestors 'none'; base-uri 'none'`
  return page(200, title, body, { 'content-security-policy': policy })
}

function linkList(links: readonly Link[]): Html | undefined {
  if (links.length === 0) return undefined
  return html`<p class="ways">${links.map(({ text, url }) => html`<a class="way" href="${url}">${text}</a>`)}</p>`
}

/** Most remedies begin with a sentence for the person, or are for the person alone; the others get one before them. */
function remedyParagraphs({ code, status, remedy, links }: BrokerError): Html {
  const { responsible } = errorCatalogue[code]
  const back = `Go back to the application that you came from, and ${status < 500 ? 'start again there' : 'try again later'}.`
  if (responsible === 'front end')
    return html`<p>${back}</p>
      <p>For the developers of the application: ${remedy}</p>`
  if (code === 'settings_invalid')
    return html`<p>${back}</p>
      <p>For the operator: ${remedy}</p>`
  const isEnough = responsible === 'person' || links.length > 0
  return html`<p>${remedy}</p>
    ${isEnough ? undefined : html`<p>${back}</p>`}`
}

function settingsList(settings: readonly unknown[]): Html {
  const items = settings.map((one) => {
    const { setting, problem, fix } = one as { setting: string; problem: string; fix: string }
    return html`<li><strong>${setting}</strong>: ${problem} ${fix}</li>`
  })
  return html`<ul>
    ${items}
  </ul>`
}
