import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../../shared/errors/catalogue.ts'
import { BrokerError } from '../../../shared/errors/errors.ts'
import type { ErrorCode } from '../../../shared/errors/catalogue.ts'
import { baseHeaders, seeOther } from '../../../shared/http/answer.ts'
import { html, Html } from '../../../shared/http/html.ts'
import { errorPage, goTo } from '../../../shared/http/pages.ts'
import { homePage } from '../../../functions/home.ts'
import { problem } from '../../../shared/http/problem.ts'
import { providerPage } from '../../../shared/http/provider-page.ts'
import { registered } from '../front-ends/registered.ts'
import { anyText } from '../../setup/arbitrary-text.ts'

const reference = '4bf92f3577b34da6a3ce929d0e0e4736'
const codes = Object.keys(errorCatalogue) as ErrorCode[]
const markup = '"><script>alert(1)</script>\'&<img src=x onerror=alert(1)>'

describe('a template', () => {
  it('escapes every value, in text and in attributes', () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        const made = html`<a href="${text}">${text}</a>`.text
        const inside = made.slice('<a href="'.length, -'</a>'.length)

        expect(inside.replace('">', '')).not.toMatch(/[<>"']/)
        expect(inside.replace('">', '').replace(/&#\d+;/g, '')).not.toContain('&')
      }),
    )
  })

  it('keeps the markup of the same template, also in lists, and leaves undefined values out', () => {
    const items = [html`<li>${'<'}</li>`, html`<li>${2}</li>`]

    expect(
      html`<ul>
        ${items}${undefined}
      </ul>`.text.replace(/\s/g, ''),
    ).toBe('<ul><li>&#60;</li><li>2</li></ul>')
    expect(html`${new Html('<b>')}`.text).toBe('<b>')
  })
})

describe('a page of an error', () => {
  it.each(codes)('states for %s the event, the remedy and the contact; without script, frame or form', (code) => {
    const answer = errorPage(new BrokerError(code), reference)
    const { title, remedy, status } = errorCatalogue[code]
    const body = answer.body ?? ''

    expect(answer.status).toBe(status)
    for (const text of [title, remedy]) expect(body).toContain(html`${text}`.text)
    expect(body).toContain(`Code: ${code}`)
    expect(body).toContain(`Reference: ${reference}`)
    expect(body).toMatch(/^<!doctype html>\s*<html lang="en">/)
    expect(body).toContain('name="viewport"')
    expect(body).not.toMatch(/<script|<form|<iframe|http-equiv| style=| on\w+=/i)
    expect(answer.headers?.['retry-after']).toBe(status === 503 ? '5' : undefined)
  })

  it.each(codes.filter((code) => errorCatalogue[code].responsible === 'front end' || code === 'settings_invalid'))(
    'begins with a sentence for the person for %s, and names the reader of the remedy',
    (code) => {
      for (const links of [[], [{ text: 'Back to the application', url: 'https://app.example.com/' }]]) {
        const { body = '' } = errorPage(new BrokerError(code, { links }), reference)
        const [first, second] = [...body.matchAll(/<p>([^<]*)<\/p>/g)].map(([, text]) => text)

        expect(first).toMatch(
          /^Go back to the application that you came from, and (start again there|try again later)\.$/,
        )
        expect(second).toMatch(/^For the (developers of the application|operator): /)
      }
    },
  )

  it('is for the person alone where the person can act', () => {
    const { body = '' } = errorPage(new BrokerError('sign_in_expired'), reference)

    expect(body).toContain('<p>Sign in again.</p>')
    expect(body).not.toMatch(/developers|operator/)
  })

  it('has a policy that allows its own style, by the hash of its content', () => {
    const { body = '', headers } = errorPage(new BrokerError('internal'), reference)
    const style = /<style>([\s\S]*)<\/style>/.exec(body)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')

    expect(headers?.['content-security-policy']).toContain(`style-src 'sha256-${hash}'`)
    expect(headers?.['content-security-policy']).not.toContain('unsafe')
    expect(headers?.['content-security-policy']).toContain("frame-ancestors 'none'")
  })

  it('escapes everything that an error may show, and shows no detail that is for the log', () => {
    const error = new BrokerError('parameter_invalid', {
      detail: 'for the log only',
      cause: new Error('a cause for the log only'),
      members: {
        parameter: markup,
        problem: markup,
        registration: markup,
        settings: [{ setting: markup, problem: markup, fix: markup }],
        unknown: 'not for a page',
      },
      links: [{ text: markup, url: `https://app.example.com/?${markup}` }],
    })
    const { body = '' } = errorPage(error, reference)

    expect(body).not.toContain('<script')
    expect(body).not.toContain('<img')
    expect(body).not.toContain('log only')
    expect(body).not.toContain('not for a page')
    expect(body.match(/&#60;script&#62;/g)).toHaveLength(8)
  })
})

describe('problem details', () => {
  it.each(codes)('for %s have the same texts as its page', (code) => {
    const { title, remedy, status, responsible } = errorCatalogue[code]
    const answer = problem(new BrokerError(code, { detail: 'for the log only' }), reference)

    expect(answer.status).toBe(status)
    expect(answer.headers?.['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(JSON.parse(answer.body ?? '')).toMatchObject({ title, detail: remedy, status, code, responsible, reference })
    expect(answer.body).not.toContain('for the log only')
    expect(answer.headers?.['retry-after']).toBe(status === 503 ? '5' : undefined)
  })

  it('contain the members that the reader may see beside the code, and the time to retry', () => {
    const error = new BrokerError('provider_throttled', { retryAfterSeconds: 17, members: { frontend: 'shop' } })
    const answer = problem(error, reference)

    expect(answer.headers?.['retry-after']).toBe('17')
    expect(JSON.parse(answer.body ?? '')).toMatchObject({ frontend: 'shop' })
  })

  it('keep their own members with any members beside them', () => {
    const error = new BrokerError('signed_out', { members: { code: 'other', status: 200, reference: 'x', title: 'x' } })

    expect(JSON.parse(problem(error, reference).body ?? '')).toMatchObject({
      code: 'signed_out',
      status: 401,
      reference,
      title: errorCatalogue.signed_out.title,
    })
  })
})

describe('a page that posts itself', () => {
  it('states the purpose of its button, for a browser without scripts', () => {
    const { body = '' } = goTo({ action: 'https://app.example.com/callback', fields: { state: markup } })

    expect(body).toMatch(/<p>Continue to the application\.<\/p>\s*<form method="post"/)
    expect(body.match(/<script/g)).toHaveLength(1)
  })
})

describe('the choice of a provider', () => {
  it('shows each name in the direction of its script, escaped', () => {
    const names = ['Contoso', 'חברת דוגמה (ת.א.)', markup]
    const { body = '' } = providerPage(names.map((displayName) => ({ displayName, url: 'https://login.example.com/' })))

    expect(body.match(/<a class="way" dir="auto" /g)).toHaveLength(names.length)
    expect(body).toContain('>חברת דוגמה (ת.א.)</a>')
    expect(body).not.toContain('<script')
  })
})

describe('the page on a laptop', () => {
  it('links to each front end’s sign-in, and escapes what was registered', () => {
    const apis = [{ name: 'orders', scopes: ['api://o/r'] }]
    const [shop] = registered({ id: 'shop', origins: ['http://localhost:3000'], apis }).all
    const hostile = { ...shop!, apis: [{ name: markup, scopes: [] }] }
    const { body = '', status } = homePage('http://localhost:7071', [shop!, hostile])

    expect(status).toBe(200)
    expect(body).toContain('href="http://localhost:7071/login?frontend=shop"')
    expect(body).not.toContain('<script')
  })
})

describe('every answer', () => {
  it('is not cached, framed, sniffed or sent as a referrer', () => {
    expect(baseHeaders).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
    expect(baseHeaders['content-security-policy']).toMatch(/^default-src 'none'; frame-ancestors 'none'/)
    expect(baseHeaders['strict-transport-security']).toMatch(/^max-age=31536000/)
  })

  it('that redirects a browser does so by GET, in ASCII', () => {
    expect(seeOther('https://app.example.com/grüße?ä#ö')).toMatchObject({
      status: 303,
      headers: { location: 'https://app.example.com/gr%C3%BC%C3%9Fe?%C3%A4#%C3%B6' },
    })
  })
})
