/**
 * The provider's pages: plain HTML that works on a phone and without script;
 * only `form_post` carries three words of it.
 */
import { createHash } from 'node:crypto'
import type { Person } from './people.ts'

/** HTML that is already safe. */
class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

type Value = string | Html | readonly Html[]

function html(strings: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(String.raw({ raw: strings }, ...values.map(render)))
}

function render(value: Value): string {
  if (typeof value === 'string') return escapeHtml(value)
  return value instanceof Html ? value.text : value.map(({ text }) => text).join('')
}

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character)
}

const nothing = new Html('')

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: Canvas; color: CanvasText; }
main { box-sizing: border-box; width: min(100%, 27rem); padding: 2rem 1.5rem; }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0 0 1rem; }
label { display: block; margin-bottom: .25rem; }
input, button { box-sizing: border-box; width: 100%; min-height: 2.75rem; font: inherit; padding: .5rem .75rem; }
input { margin-bottom: 1rem; border: 1px solid GrayText; border-radius: .25rem; }
button { border: 0; border-radius: .25rem; background: #0f5ea8; color: #fff; cursor: pointer; margin-bottom: .5rem; }
button.quiet { background: transparent; color: inherit; border: 1px solid GrayText; }
button:has(.who) { text-align: start; }
:focus-visible { outline: 3px solid #e07b00; outline-offset: 2px; }
[role=alert] { border-inline-start: .25rem solid #c22; padding-inline-start: .75rem; }
.who { display: block; opacity: .8; }
`
const submitScript = 'document.forms[0].submit()'

/** No `form-action`: browsers hold it against the redirects after a form too, and those lead to the applications. */
export const pagePolicy = [
  "default-src 'none'",
  `style-src '${hash(style)}'`,
  `script-src '${hash(submitScript)}'`,
  'img-src data:',
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** `name` identifies the page to a script that walks the pages. */
function page(name: string, title: string, body: Html): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <link rel="icon" href="data:," />
        ${new Html(`<style>${style}</style>`)}
      </head>
      <body data-page="${name}">
        <main>${body}</main>
      </body>
    </html> `.text
}

export interface SignInPage {
  readonly action: string
  readonly application: string
  readonly people: readonly Person[]
  readonly username: string
  /** The page requests the account although a person is signed in. */
  readonly selectAccount: boolean
  readonly problem?: { readonly code: string; readonly text: string }
}

/** One field and no password; who is known is one press away. */
export function signInPage({ action, application, people, username, selectAccount, problem }: SignInPage): string {
  const alert = problem
    ? html`<p role="alert" id="username-error" data-error="${problem.code}">${problem.text}</p>`
    : nothing
  const field = new Html(problem ? ' aria-invalid="true" aria-describedby="username-error"' : '')
  const choices = people.map(
    (person) =>
      html`<button class="quiet" name="account" value="${person.username}">
        ${person.name} <span class="who">${person.username}</span>
      </button>`,
  )
  const title = selectAccount ? 'Pick an account' : 'Sign in'
  const ways = [
    html`<form method="post" action="${action}">
      ${alert}
      <label for="username">Username</label>
      <input
        id="username"
        name="username"
        value="${username}"
        autocomplete="username"
        autocapitalize="none"
        spellcheck="false"
        required
        autofocus
        ${field}
      />
      <button type="submit">Sign in and accept</button>
    </form>`,
    html`<form method="post" action="${action}" aria-label="Known accounts">${choices}</form>`,
  ]
  return page(
    'sign-in',
    title,
    html`<h1>${title}</h1>
      <p>to continue to ${application}. This identity provider is a local one: it asks for no password.</p>
      ${selectAccount ? ways.reverse() : ways}
      <form method="post" action="${action}"><button class="quiet" name="cancel" value="yes">Cancel</button></form>`,
  )
}

/** One button in place of an app or a code: this provider checks no factor. */
export function secondFactorPage({ action, application, username }: Omit<ConsentPage, 'scopes'>): string {
  return page(
    'second-factor',
    'Approve sign in request',
    html`<h1>Approve sign in request</h1>
      <p>
        ${application} requires a second factor of ${username}. This identity provider is a local one: a press is
        enough.
      </p>
      <form method="post" action="${action}"><button name="approve" value="yes">Approve</button></form>
      <form method="post" action="${action}"><button class="quiet" name="cancel" value="yes">Cancel</button></form>`,
  )
}

interface ConsentPage {
  readonly action: string
  readonly application: string
  readonly username: string
  readonly scopes: readonly string[]
}

export function consentPage({ action, application, username, scopes }: ConsentPage): string {
  return page(
    'consent',
    'Permissions requested',
    html`<h1>Permissions requested</h1>
      <p>${application} asks for the following in the name of ${username}:</p>
      <ul>
        ${scopes.map((scope) => html`<li>${scope}</li>`)}
      </ul>
      <form method="post" action="${action}">
        <button name="consent" value="yes">Accept</button>
        <button class="quiet" name="cancel" value="yes">Cancel</button>
      </form>`,
  )
}

/**
 * Sends the fields by POST, by itself where scripts run and by a button elsewhere. OAuth 2.0 Form Post Response Mode.
 */
export function formPostPage(action: string, fields: Readonly<Record<string, string>>): string {
  const inputs = Object.entries(fields).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}" />`,
  )
  return page(
    'form-post',
    'Working…',
    html`<form method="post" action="${action}">
        ${inputs}
        <noscript
          ><p>One more press, since scripts are off.</p>
          <button type="submit">Continue</button></noscript
        >
      </form>
      ${new Html(`<script>${submitScript}</script>`)}`,
  )
}

export function signedOutPage(): string {
  return messagePage('You signed out of your account', 'It’s a good idea to close all browser windows.')
}

export function signOutPage(form: string): string {
  return page(
    'sign-out',
    'Sign out',
    html`<h1>Do you want to sign out?</h1>
      ${new Html(form)}
      <button form="op.logoutForm" name="logout" value="yes">Sign out</button>
      <button class="quiet" form="op.logoutForm">Stay signed in</button>`,
  )
}

export function messagePage(title: string, text: string): string {
  return page(
    'message',
    title,
    html`<h1>${title}</h1>
      <p>${text}</p>`,
  )
}

export function errorPage(text: string): string {
  return page(
    'error',
    'Sign-in failed',
    html`<h1>Sorry, but we’re having trouble signing you in.</h1>
      <p role="alert">${text}</p>
      <p>Go back to the application and start again from there.</p>`,
  )
}

export function homePage(people: readonly Person[], issuer: string, product = 'Microsoft Entra ID'): string {
  return page(
    'home',
    'Local identity provider',
    html`<h1>Local identity provider</h1>
      <p>Replaces ${product} on this machine, as ${issuer}. These people sign in without a password:</p>
      <ul>
        ${people.map(({ name, username }) => html`<li>${name}: <code>${username}</code></li>`)}
      </ul>`,
  )
}

function hash(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
