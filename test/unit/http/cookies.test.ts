import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  endSessionCookie,
  endTransactionCookie,
  parseCookies,
  sessionCookie,
  transactionCookie,
} from '../../../shared/http/cookies.ts'

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

  it('count for nothing where a name stands twice, or oftener', () => {
    for (const again of ['__Host-a=1', '__Host-a=2', '__Host-a=', '__Host-a=1; __Host-a=1; __Host-a=1']) {
      expect([...parseCookies(`__Host-a=1; __Host-b=2; ${again}`)]).toEqual([['__Host-b', '2']])
    }
  })

  it('may hold an equals sign, and are told from names in another case', () => {
    expect(parseCookies('__Host-a=b=c==; __host-a=x').get('__Host-a')).toBe('b=c==')
  })

  it('of more than 32 KB are not looked at', () => {
    const size = (length: number) => parseCookies(`__Host-a=1; b=${'x'.repeat(length)}`).size

    expect(size(32 * 1024 - 14)).toBe(1)
    expect(size(32 * 1024 - 13)).toBe(0)
  })

  it('of thousands of names are read in time that grows with their number', () => {
    const many = Array.from({ length: 3000 }, (_, i) => `__Host-${i % 1500}=1`).join(';')

    expect(parseCookies(many).size).toBe(0)
  })

  it('never throw, and never give a name that stands twice, whatever was sent', () => {
    const pair = fc.oneof(
      fc.string(),
      fc.constantFrom('__Host-a=1', '__Host-a=2', '__Host-a', '__Host-b=', ' __Host-a =3'),
    )
    fc.assert(
      fc.property(fc.array(pair), (pairs) => {
        const cookies = parseCookies(pairs.join(';'))
        for (const name of cookies.keys()) {
          const named = pairs
            .join(';')
            .split(';')
            .filter((one) => one.includes('=') && one.slice(0, one.indexOf('=')).trim() === name)
          expect(named).toHaveLength(1)
        }
      }),
    )
  })
})

describe('the cookies of an answer', () => {
  it('come with another site’s form only where they must: the session’s never do', () => {
    expect(sessionCookie('shop', 'S')).toEqual({ name: '__Host-session-shop', value: 'S', sameSite: 'Lax' })
    expect(transactionCookie('__Host-signin-A', 'T', 300)).toEqual({
      name: '__Host-signin-A',
      value: 'T',
      sameSite: 'None',
      maxAge: 300,
    })
  })

  it('end with the attributes that they were set with', () => {
    expect(endSessionCookie('shop')).toEqual({ ...sessionCookie('shop', ''), maxAge: 0 })
    expect(endTransactionCookie('__Host-signin-A')).toEqual(transactionCookie('__Host-signin-A', '', 0))
  })
})
