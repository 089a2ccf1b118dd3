import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import { createFrontEnds } from '../../../shared/front-ends/front-ends.ts'
import { checkReturnUrl, checkSignedOutUrl } from '../../../shared/front-ends/return-url.ts'
import { seeOther } from '../../../shared/http/answer.ts'
import { parseFrontEnds } from '../../../shared/settings/front-ends.schema.ts'
import type { FrontEndSettings } from '../../../shared/settings/settings.ts'
import { anyText, webPath, webQuery, webUrl } from '../../setup/arbitrary-text.ts'

function frontEnds(...all: object[]): readonly FrontEndSettings[] {
  return parseFrontEnds(JSON.stringify(all), 'Broker__FrontEnds') as readonly FrontEndSettings[]
}

const origins = [
  'https://app.example.com',
  'http://localhost:3000',
  'https://xn--bcher-kva.example',
  'https://[::1]:8443',
]
const [app, desk, narrow] = frontEnds(
  { id: 'app', origins },
  { id: 'desk', origins: ['https://desk.example.com'] },
  {
    id: 'narrow',
    origins: ['https://narrow.example.com'],
    returnUrls: ['https://narrow.example.com/signed-in?a=1'],
    signedOutUrls: ['https://narrow.example.com/bye'],
  },
) as [FrontEndSettings, FrontEndSettings, FrontEndSettings]

function codeOf(work: () => unknown): string {
  try {
    work()
    return 'none'
  } catch (error) {
    return error instanceof BrokerError ? error.code : String(error)
  }
}

/** The URL to which a browser at the broker goes after a redirect to this text. */
const gone = (location: string) => new URL(location, 'https://signin.example.com/callback')

/** URLs of an attacker: pieces of the registered ones, and characters on which parsers disagree. */
const hostile = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...origins,
        'https:',
        'http:',
        'javascript:',
        'data:',
        '//',
        '/',
        '\\',
        '/\\',
        '@',
        ':',
        '?',
        '#',
      ),
      fc.constantFrom('app.example.com', 'evil.example', 'localhost:3000', 'app.example.com.evil.example', '.', '..'),
      fc.constantFrom('%2f', '%40', '%5c', '%09', '%00', '\t', '\n', '\r', '\0', ' ', '\u3002', '／', '。', '\u200b'),
      fc.constantFrom('bücher.example', 'APP.EXAMPLE.COM', ':443', ':80', '[::1]', 'user:password', '＠', '\ufeff'),
      fc.string({ maxLength: 6 }),
      anyText({ maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((pieces) => pieces.join(''))

describe('a return URL', () => {
  it('that is accepted is on a registered origin for every parser, for any input', () => {
    let taken = 0
    fc.assert(
      fc.property(
        fc.oneof(
          hostile,
          webUrl,
          fc.tuple(fc.constantFrom(...origins), hostile).map((all) => all.join('')),
        ),
        (text) => {
          let returnUrl: string
          try {
            returnUrl = checkReturnUrl(text, app)
          } catch (error) {
            expect(error).toBeInstanceOf(BrokerError)
            expect((error as BrokerError).code).toMatch(/^return_url_(invalid|not_registered)$/)
            // Not repeated anywhere.
            expect((error as BrokerError).members).toEqual({})
            expect((error as BrokerError).detail).toBeUndefined()
            return
          }
          taken += 1
          expect(origins).toContain(gone(returnUrl).origin)
          expect(gone(returnUrl).username + gone(returnUrl).password).toBe('')
          // It is ASCII and whole: it fits a header, and no line ends in it.
          expect(returnUrl).toMatch(/^https?:\/\/[\x21-\x7e]+$/)
          expect(returnUrl.length).toBeLessThanOrEqual(1024)
          expect(returnUrl.split(/[?#]/)[0]).not.toContain('\\')
          // The browser goes to the URL that was checked, and a second check at the end has the same result.
          expect(checkReturnUrl(returnUrl, app)).toBe(returnUrl)
          expect(seeOther(returnUrl).headers?.location).toBe(returnUrl)
          // A reader who looks for the first slash behind the scheme sees the same host.
          expect(origins.map((origin) => new URL(origin).host)).toContain(returnUrl.split(/[/?#]/)[2])
        },
      ),
      { numRuns: 5000 },
    )
    expect(taken).toBeGreaterThan(50)
  })

  it('on a registered origin is accepted with any path, query and fragment', () => {
    const rest = fc.tuple(webPath, webQuery, webQuery)
    fc.assert(
      fc.property(fc.constantFrom(...origins), rest, (origin, [path, query, fragment]) => {
        const text = `${origin}${path}?${query}#${fragment}`
        fc.pre(text.length <= 1024)
        const returnUrl = checkReturnUrl(text, app)

        expect(gone(returnUrl).origin).toBe(origin)
        expect(returnUrl).toBe(new URL(text).href)
      }),
    )
  })

  it('returns exactly to each character that the address bar of a browser holds', () => {
    // Written out, and not computed by the function under test.
    const pages = [
      String.raw`?name=CONTOSO\ada`,
      String.raw`#\a\b`,
      String.raw`/files?path=C:\temp\x&y=1#C:\x`,
      '?q=a|b^c`d{e}[f]~!*()$,;:@=+&/?.%20%22%27%3C%3E%E2%82%AC',
      '#/route?x=[1,2]&y={3}|^~!*()$,;:@=+/?%20%22%3C%3E%60',
      "#it's",
      '/a%5Cb/%2F/%3F/%23/%00%0A/;v=1/@x',
      '/b%C3%BCcher?%C3%BC=%C3%9F#%C3%BC',
      '/?',
      '/?#',
      '/#',
      '/x?a=%',
      '/?https://evil.example/#https://evil.example/',
      '/?//evil.example\\',
      '/#//evil.example\\@evil.example',
      `/#${'f'.repeat(997)}`,
    ]
    for (const origin of origins) {
      for (const page of pages) {
        const href = `${origin}${page.startsWith('/') ? '' : '/'}${page}`
        if (href.length > 1024) continue
        expect(new URL(href).href, href).toBe(href) // so a browser shows it
        expect(checkReturnUrl(href, app)).toBe(href)
        expect(seeOther(href).headers?.location).toBe(href)
      }
    }
  })

  it.each([
    ['a space', '/a?c d#e f', '/a?c%20d#e%20f'],
    ['other alphabets', '/ü?q=€#日本', '/%C3%BC?q=%E2%82%AC#%E6%97%A5%E6%9C%AC'],
    ['quotes and angles', '/"<>?q="<>\'#"<>\'', "/%22%3C%3E?q=%22%3C%3E%27#%22%3C%3E'"],
    ['a no-break space and a byte order mark', '/?q=\u00a0\ufeff#\u3000', '/?q=%C2%A0%EF%BB%BF#%E3%80%80'],
    ['no slash behind the host', '?q=1', '/?q=1'],
    ['dot segments', '/a/../b', '/b'],
  ])('written by hand with %s returns to the URL that a browser makes of it', (_, written, parsed) => {
    expect(checkReturnUrl(`https://app.example.com${written}`, app)).toBe(`https://app.example.com${parsed}`)
  })

  it.each([
    'https://app.example.com\\@evil.example/',
    'https:\\\\app.example.com/',
    'https://app.example.com\\evil.example/?a',
    'https://evil.example\\@app.example.com/',
    'https://evil.example\\?@app.example.com/',
    'https://app.example.com/\\evil.example',
    'https://app.example.com/a\\b?c',
    'https://evil.example/?https://app.example.com/',
    'https://evil.example#@app.example.com/',
    'https://app.example.com@evil.example/',
    'https://app.example.com:443@evil.example/',
    'https://app.example.com%2f@evil.example/',
    'https://app.example.com.evil.example/?',
    'https://app.example.com /',
    'https:// app.example.com/',
    ' https://app.example.com/',
    'https:/app.example.com/',
    'https:app.example.com/',
    'https:///app.example.com/',
    '//app.example.com/',
    '/a',
    '',
    '?a',
    'https://app.example.com/?a=\tb',
    'https://app.example.com/#a\nb',
    'https://app.example.com/#a\u2028b',
    'ftp://app.example.com/',
    'javascript://app.example.com/%0aalert(1)',
    'data:text/html,https://app.example.com/',
  ])('refuses %j', (text) => {
    expect(codeOf(() => checkReturnUrl(text, app))).toMatch(/^return_url_(invalid|not_registered)$/)
  })

  it('is accepted where a browser shows it, and refused only for its length', () => {
    const part = fc.string({ unit: 'grapheme', maxLength: 40 })
    fc.assert(
      fc.property(fc.constantFrom(...origins), part, part, part, (origin, path, query, fragment) => {
        const url = new URL(origin)
        url.pathname = path
        url.search = query
        url.hash = fragment
        const refused = url.href.length > 1024
        expect(codeOf(() => checkReturnUrl(url.href, app))).toBe(refused ? 'return_url_invalid' : 'none')
        if (!refused) expect(checkReturnUrl(url.href, app)).toBe(url.href)
      }),
      { numRuns: 2000 },
    )
  })

  it('is left out for the first registered one', () => {
    expect(checkReturnUrl(undefined, app)).toBe('https://app.example.com/')
    expect(checkReturnUrl(undefined, narrow)).toBe('https://narrow.example.com/signed-in?a=1')
  })

  it('is one of the registered URLs where they are named; the fragment is the page’s own', () => {
    const [registered = ''] = narrow.returnUrls ?? []

    expect(checkReturnUrl(`${registered}#a`, narrow)).toBe(`${registered}#a`)
    for (const other of ['', '&a=2', '&', '/', 'x']) {
      const text = other === '' ? 'https://narrow.example.com/signed-in' : `${registered}${other}`
      expect(
        codeOf(() => checkReturnUrl(text, narrow)),
        text,
      ).toBe('return_url_not_registered')
    }
  })

  it('is measured as the browser is sent to it', () => {
    expect(codeOf(() => checkReturnUrl(`https://app.example.com/${'a'.repeat(1000)}`, app))).toBe('none')
    expect(codeOf(() => checkReturnUrl(`https://app.example.com/${'a'.repeat(1001)}`, app))).toBe('return_url_invalid')
    expect(codeOf(() => checkReturnUrl(`https://app.example.com/${'ü'.repeat(160)}`, app))).toBe('none')
    expect(codeOf(() => checkReturnUrl(`https://app.example.com/${'ü'.repeat(170)}`, app))).toBe('return_url_invalid')
  })
})

describe('a page after sign-out', () => {
  it('is a registered one, exactly; without any it is the root of an origin', () => {
    expect(checkSignedOutUrl(undefined, narrow)).toBe('https://narrow.example.com/bye')
    expect(checkSignedOutUrl('https://narrow.example.com/bye', narrow)).toBe('https://narrow.example.com/bye')
    for (const other of [
      'https://narrow.example.com/',
      'https://narrow.example.com/bye#a',
      'https://evil.example/bye',
    ]) {
      expect(
        codeOf(() => checkSignedOutUrl(other, narrow)),
        other,
      ).toBe('return_url_not_registered')
    }
    expect(checkSignedOutUrl(undefined, desk)).toBe('https://desk.example.com/')
  })

  it('after a sign-out without one is on the origin of the page, where a registered one is there', () => {
    for (const origin of origins) expect(checkSignedOutUrl(undefined, app, origin)).toBe(`${origin}/`)

    for (const other of ['https://evil.example', 'https://app.example.co', 'http://localhost:300', 'null', ''])
      expect(checkSignedOutUrl(undefined, app, other), other).toBe('https://app.example.com/')
    expect(checkSignedOutUrl(undefined, narrow, 'https://narrow.example.com')).toBe('https://narrow.example.com/bye')
    expect(checkSignedOutUrl('http://localhost:3000/', app, 'https://app.example.com')).toBe('http://localhost:3000/')
  })

  it('of an OAuth client may be one of a native application, compared as its redirect URI', () => {
    const [native, session] = frontEnds(
      {
        id: 'native',
        kind: 'oauth',
        origins: ['https://app.example.com'],
        redirectUris: ['com.example.app:/callback'],
        signedOutUrls: ['com.example.app:/bye', 'http://127.0.0.1/bye', 'https://app.example.com/'],
      },
      { id: 'session', origins: ['http://127.0.0.1:3000'], signedOutUrls: ['http://127.0.0.1:3000/bye'] },
    ) as [FrontEndSettings, FrontEndSettings]
    const page = (text: string, frontEnd = native) => {
      try {
        return checkSignedOutUrl(text, frontEnd)
      } catch (error) {
        return (error as BrokerError).code
      }
    }

    expect(checkSignedOutUrl(undefined, native)).toBe('com.example.app:/bye')
    expect(page('com.example.app:/bye')).toBe('com.example.app:/bye')
    expect(page('http://127.0.0.1:49152/bye')).toBe('http://127.0.0.1:49152/bye')
    expect(page('https://app.example.com')).toBe('https://app.example.com/')
    for (const other of ['com.example.app:/bye/', 'com.example.app:/callback', 'com.example.apps:/bye', 'javascript:1'])
      expect(page(other), other).toBe('return_url_invalid')
    for (const other of ['http://127.0.0.1:49152/', 'http://localhost/bye', 'https://evil.example/'])
      expect(page(other), other).toBe('return_url_not_registered')
    expect(page('http://127.0.0.1:3000/bye', session)).toBe('http://127.0.0.1:3000/bye')
    expect(page('http://127.0.0.1:3001/bye', session)).toBe('return_url_not_registered')
  })

  it('that is accepted is registered, for any input', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        try {
          expect(app.signedOutUrls).toContain(checkSignedOutUrl(text, app))
        } catch (error) {
          expect(error).toBeInstanceOf(BrokerError)
        }
      }),
      { numRuns: 1000 },
    )
  })
})

describe('the front end of a request', () => {
  const all = createFrontEnds([app, desk])
  const only = createFrontEnds([desk])

  it('is the one it names, from its own page, without an origin, or from a page that is not registered', () => {
    expect(all.get('desk', undefined)).toBe(desk)
    expect(all.get('desk', 'https://desk.example.com')).toBe(desk)
    expect(all.get('desk', 'null')).toBe(desk)
    expect(all.get('desk', 'https://evil.example')).toBe(desk)
    expect(codeOf(() => all.get('desk', 'https://app.example.com'))).toBe('front_end_conflict')
  })

  it('is the one with the origin of the page, or the only one; the broker does not guess among several', () => {
    expect(all.get(undefined, 'https://desk.example.com')).toBe(desk)
    expect(only.get(undefined, undefined)).toBe(desk)
    expect(only.get(undefined, 'https://evil.example')).toBe(desk)
    expect(codeOf(() => all.get(undefined, undefined))).toBe('front_end_missing')
    expect(all.get(undefined, undefined, 'https://desk.example.com/a?b#c')).toBe(desk)
    expect(all.get(undefined, 'https://app.example.com', 'https://desk.example.com/')).toBe(app)
    for (const url of ['https://evil.example/', 'desk.example.com', '', 'javascript:1'])
      expect(
        codeOf(() => all.get(undefined, undefined, url)),
        url,
      ).toBe('front_end_missing')
    expect(codeOf(() => createFrontEnds([]).get(undefined, undefined))).toBe('front_end_missing')
    const shared = createFrontEnds(
      frontEnds({ id: 'a', origins: ['https://a.example.com'] }, { id: 'b', origins: ['https://a.example.com'] }),
    )
    expect(codeOf(() => shared.get(undefined, 'https://a.example.com'))).toBe('front_end_missing')
    expect(codeOf(() => shared.get(undefined, undefined, 'https://a.example.com/'))).toBe('front_end_missing')
    expect(shared.get('b', 'https://a.example.com').id).toBe('b')
  })

  it.each([
    ['https://new.example.com', 'https://new.example.com'],
    ['http://localhost:5173', 'http://localhost:5173'],
    ['https://new.example.com.', 'https://app.example.com'],
    ['https://*.example.com', 'https://app.example.com'],
    ['http://new.example.com', 'https://app.example.com'],
    ['null', 'https://app.example.com'],
  ])('that is unknown and comes from %s is answered with a line for %s', (origin, suggested) => {
    try {
      all.get('new', origin)
      expect.unreachable()
    } catch (error) {
      const line = String((error as BrokerError).members.registration)
      expect(frontEnds(JSON.parse(line) as object)).toMatchObject([{ id: 'new', origins: [suggested] }])
    }
  })

  it('that is unknown is answered with a registration line that the settings accept, for any name', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,31}$/)),
        fc.oneof(hostile, webUrl),
        (id, origin) => {
          fc.pre(all.find(id) === undefined)
          try {
            all.get(id, origin)
            expect.unreachable()
          } catch (error) {
            const { code, members } = error as BrokerError
            expect(code).toBe('front_end_unknown')
            const line = String(members.registration)
            expect(line).not.toMatch(/[<>]/)
            const [parsed] = frontEnds(JSON.parse(line) as object)
            expect(parsed).toMatchObject({ kind: 'session' })
          }
        },
      ),
    )
  })

  it('has origins that are compared exactly', () => {
    expect(all.hasOrigin('https://app.example.com')).toBe(true)
    for (const origin of [
      'https://app.example.com/',
      'HTTPS://app.example.com',
      'null',
      '',
      '*',
      'https://app.example.com:443',
    ]) {
      expect(all.hasOrigin(origin), origin).toBe(false)
    }
  })
})
