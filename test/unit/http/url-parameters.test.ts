import { describe, expect, it } from 'vitest'
import { withParameters } from '../../../shared/http/url-parameters.ts'

describe('the query of a URL', () => {
  it.each([
    ['https://a.example/', 'https://a.example/?state=s+1'],
    ['https://a.example', 'https://a.example/?state=s+1'],
    ['https://a.example/?', 'https://a.example/?state=s+1'],
    ['https://a.example/cb#part', 'https://a.example/cb?state=s+1#part'],
    ['com.example.app:/callback', 'com.example.app:/callback?state=s+1'],
  ])('of %s is extended', (url, extended) => {
    expect(withParameters(url, { state: 's 1', iss: undefined })).toBe(extended)
  })

  // RFC 6749 §3.1.2: it is retained, also where another spelling has the same meaning.
  it.each(['x=a%20b~c&y', 'y', '=', 'x=1&x=2', 'p=B2C_1_sign_in', 'to=/a/b:c@d?e', '%E0%A4=%', 'a=%2B+%2f', '&&x=1'])(
    'stays as it is: %s',
    (query) => {
      const url = `https://a.example/cb?${query}`
      const { searchParams, href } = new URL(withParameters(url, { code: 'c' }))

      expect(href).toBe(`${url.replace('?&&', '?')}&code=c`)
      expect(searchParams.get('code')).toBe('c')
      expect(withParameters(url, { code: undefined })).toBe(url)
    },
  )

  it('has each added parameter once, in place of those of the same name', () => {
    const url = 'https://a.example/?state=old&x=1&st%61te=older&states=2&iss'

    expect(withParameters(url, { state: 'new', iss: 'https://b.example' })).toBe(
      'https://a.example/?x=1&states=2&state=new&iss=https%3A%2F%2Fb.example',
    )
  })
})
