import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  endSessionCookie,
  endTransactionCookie,
  parseCookies,
  sessionCookie,
  transactionCookie,
} from '../../../shared/http/cookies.ts'
import { anyText } from '../../setup/arbitrary-text.ts'

/** All that Unicode calls white space or that JavaScript's `trim()` removes, except space and tab. */
const unicodeSpaces = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).filter(
  (character) =>
    !' \t'.includes(character) && (/[\s\p{White_Space}\p{Zs}]/u.test(character) || character.trim() === ''),
)

describe('the cookies of a request', () => {
  it('are read by name, and only those that no other host and no path can plant', () => {
    const cookies = parseCookies('a=b; __Host-session-shop=S; session=x; __Secure-session-shop=y;__Host-signin-AAAA=T')

    expect([...cookies]).toEqual([
      ['__Host-session-shop', 'S'],
      ['__Host-signin-AAAA', 'T'],
    ])
  })

  it.each([null, undefined, '', ';', '=', '; ;', '__Host-a', 'a=b'])('that are %s are none', (header) => {
    expect(parseCookies(header).size).toBe(0)
  })

  it('are ignored where a name occurs twice or more', () => {
    for (const again of ['__Host-a=1', '__Host-a=2', '__Host-a=', '__Host-a=1; __Host-a=1; __Host-a=1']) {
      expect([...parseCookies(`__Host-a=1; __Host-b=2; ${again}`)]).toEqual([['__Host-b', '2']])
    }
  })

  it('may hold an equals sign, and are distinguished from names in another case', () => {
    expect(parseCookies('__Host-a=b=c==; __host-a=x').get('__Host-a')).toBe('b=c==')
  })

  it('of more than 32 KB are not read', () => {
    const size = (length: number) => parseCookies(`__Host-a=1; b=${'x'.repeat(length)}`).size

    expect(size(32 * 1024 - 14)).toBe(1)
    expect(size(32 * 1024 - 13)).toBe(0)
  })

  it('of thousands of names are read in time that grows with their number', () => {
    const many = Array.from({ length: 3000 }, (_, i) => `__Host-${i % 1500}=1`).join(';')

    expect(parseCookies(many).size).toBe(0)
  })

  it('of 32 KB of spaces are read in time that grows with their number', () => {
    expect(parseCookies(`__Host-a${' '.repeat(32_000)}x=1`).size).toBe(1)
  })

  it.each([...unicodeSpaces, '\u0000', '\u0001', '\u00ad', '\u200d', '\u2060', 'ł'])(
    'are not cookies of the broker with %j before, in or behind the name',
    (space) => {
      const header = ['__Host-session-shop=ours', `${space}__Host-session-desk=1`, `__Host-session-x${space}=2`].join(
        '; ',
      )

      expect(parseCookies(header).get('__Host-session-shop')).toBe('ours')
      expect(parseCookies(header).get('__Host-session-desk')).toBeUndefined()
      expect(parseCookies(header).get('__Host-session-x')).toBeUndefined()
      expect(parseCookies(`__Host-session-y=${space}3`).get('__Host-session-y')).toBe(`${space}3`)
    },
  )

  it('lose the spaces and tabs around name and value, which browsers may add', () => {
    expect([...parseCookies('\t __Host-a \t=\t 1 2 \t; __Host-b=3')]).toEqual([
      ['__Host-a', '1 2'],
      ['__Host-b', '3'],
    ])
  })

  it('are those that an independent parser by bytes finds, for any input', () => {
    const piece = fc.oneof(
      fc.string(),
      anyText(),
      fc.constantFrom('__Host-a', '__Host-b', '=', ';', ' ', '\t', '\u00a0', '\u2003', '\ufeff', '\n', '1'),
    )
    fc.assert(
      fc.property(fc.array(piece), (pieces) => {
        const header = pieces.join('')
        expect([...parseCookies(header)].sort()).toEqual([...readByBytes(header)].sort())
      }),
      { numRuns: 500 },
    )
  })
})

/** RFC 6265 §4.2.1 and §5.2, on the bytes of UTF-16: 0x3b ends a pair, 0x3d its name, 0x20 and 0x09 are blanks. */
function readByBytes(header: string): Map<string, string> {
  const found: (readonly [string, string])[] = []
  let [name, text]: [number[] | undefined, number[]] = [undefined, []]
  const strip = (units: number[]) => {
    while (units[0] === 0x20 || units[0] === 0x09) units.shift()
    while (units.at(-1) === 0x20 || units.at(-1) === 0x09) units.pop()
    return String.fromCharCode(...units)
  }
  for (const unit of [...Array(header.length).keys()].map((index) => header.charCodeAt(index)).concat(0x3b)) {
    if (unit === 0x3b) {
      if (name) found.push([strip(name), strip(text)])
      name = undefined
      text = []
    } else if (unit === 0x3d && !name) {
      name = text
      text = []
    } else text.push(unit)
  }
  const ours = found.filter(([key]) => Buffer.from(key, 'utf16le').subarray(0, 14).equals(prefix))
  return new Map(ours.filter(([key]) => ours.filter(([other]) => other === key).length === 1))
}
const prefix = Buffer.from('__Host-', 'utf16le')

describe('the cookies of an answer', () => {
  it('are sent with another site’s form only where they must be: those of sessions never are', () => {
    expect(sessionCookie('shop', 'S')).toEqual({ name: '__Host-session-shop', value: 'S', sameSite: 'Lax' })
    expect(transactionCookie('__Host-signin-A', 'T', 300)).toEqual({
      name: '__Host-signin-A',
      value: 'T',
      sameSite: 'None',
      maxAge: 300,
    })
  })

  it('are deleted with the attributes that set them', () => {
    expect(endSessionCookie('shop')).toEqual({ ...sessionCookie('shop', ''), maxAge: 0 })
    expect(endTransactionCookie('__Host-signin-A')).toEqual(transactionCookie('__Host-signin-A', '', 0))
  })
})
