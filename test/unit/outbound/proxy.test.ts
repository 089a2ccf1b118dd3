import { describe, expect, it } from 'vitest'
import { proxyPolicyOf } from '../../../shared/outbound/proxy.ts'

const proxied = (environment: Readonly<Record<string, string>>, url: string) =>
  proxyPolicyOf({ HTTPS_PROXY: 'http://proxy.corp:3128', ...environment }).findProxy(new URL(url)) !== undefined

describe('the proxy of a request', () => {
  it.each([
    ['HTTPS_PROXY', { HTTPS_PROXY: 'http://proxy.corp:3128' }],
    ['https_proxy', { https_proxy: 'http://proxy.corp:3128' }],
    ['https_proxy before HTTPS_PROXY', { https_proxy: 'http://proxy.corp:3128', HTTPS_PROXY: 'http://other:1' }],
    ['HTTPS_PROXY beside an empty https_proxy', { https_proxy: '', HTTPS_PROXY: 'http://proxy.corp:3128' }],
    ['an address without a scheme', { HTTPS_PROXY: 'proxy.corp:3128' }],
  ])('is read from %s', (_, environment) => {
    const found = proxyPolicyOf(environment).findProxy(new URL('https://login.example.com/'))

    expect(found).toMatchObject({ hostname: 'proxy.corp', port: 3128, secure: false, authorization: undefined })
  })

  it.each([
    ['no variable is set', {}],
    ['only HTTP_PROXY is set, which is for plain http', { HTTP_PROXY: 'http://proxy.corp:3128' }],
    ['only ALL_PROXY is set, which Node does not read', { ALL_PROXY: 'http://proxy.corp:3128' }],
  ])('is none where %s', (_, environment) => {
    expect(proxyPolicyOf(environment).findProxy(new URL('https://login.example.com/'))).toBeUndefined()
  })

  it.each([
    ['http://ada:s%C3%A9cret%2F@proxy.corp', 'ada:sécret/', 80],
    ['https://ada@proxy.corp', 'ada:', 443],
    ['http://ada:50%@[fd00::1]:8080', 'ada:50%', 8080],
    ['http://CORP\\ada:secret@proxy.corp:3128', 'CORP\\ada:secret', 3128],
    ['http://ada:p@ss@proxy.corp:3128', 'ada:p@ss', 3128],
  ])('has the credentials and the port of %s', (value, credentials, port) => {
    const found = proxyPolicyOf({ HTTPS_PROXY: value }).findProxy(new URL('https://login.example.com/'))

    expect(found?.port).toBe(port)
    expect(found?.authorization).toBe(`Basic ${Buffer.from(credentials).toString('base64')}`)
  })

  it.each([
    'socks5://proxy.corp:1080',
    'http://',
    'http://pass word@:x',
    '"http://proxy.corp:3128"',
    'http://a:b#c@proxy',
  ])('is a fault with a code for %j, and only where a request needs it', (value) => {
    const policy = proxyPolicyOf({ HTTPS_PROXY: value, NO_PROXY: 'vault.example.com' })

    expect(() => policy.findProxy(new URL('https://login.example.com/'))).toThrow(
      expect.objectContaining({ code: 'proxy_unavailable', detail: expect.not.stringContaining(value) as string }),
    )
    expect(policy.findProxy(new URL('https://vault.example.com/'))).toBeUndefined()
    expect(policy.findProxy(new URL('https://localhost:7172/'))).toBeUndefined()
  })
})

describe('never proxied', () => {
  it.each([
    'https://localhost:7172/',
    'https://localhost.:7172/',
    'https://broker.localhost/',
    'https://127.0.0.1/',
    'https://127.8.9.10/',
    'https://[::1]:7172/',
    'https://[::ffff:127.0.0.1]/',
    'https://0.0.0.0/',
    'https://169.254.169.254/metadata',
    'https://169.254.129.3:8081/',
    'https://[::ffff:169.254.1.1]/',
    'https://[fe80::1]/',
    'https://[febf::1]/',
  ])('%s', (url) => expect(proxied({}, url)).toBe(false))

  it.each([
    'https://localhost.example.com/',
    'https://notlocalhost/',
    'https://127.0.0.1.example.com/',
    'https://128.0.0.1/',
    'https://169.253.0.1/',
    'https://[fec0::1]/',
    'https://[2001:db8::1]/',
  ])('but %s is', (url) => expect(proxied({}, url)).toBe(true))

  it('the identity endpoint, wherever it is, by host and not by port', () => {
    const environment = { IDENTITY_ENDPOINT: 'http://Identity.internal:42356/msi/token' }

    expect(proxied(environment, 'https://identity.internal/')).toBe(false)
    expect(proxied(environment, 'https://other.internal/')).toBe(true)
  })
})

describe('NO_PROXY', () => {
  it.each([
    ['*', 'https://login.example.com/'],
    ['login.example.com', 'https://login.example.com/'],
    ['LOGIN.example.com.', 'https://login.example.com/'],
    ['login.example.com', 'https://LOGIN.example.com./'],
    ['.example.com', 'https://login.example.com/'],
    ['.example.com', 'https://example.com/'],
    ['*.example.com', 'https://login.example.com/'],
    ['a.test, login.example.com', 'https://login.example.com/'],
    ['a.test login.example.com', 'https://login.example.com/'],
    ['login.example.com:443', 'https://login.example.com/'],
    ['login.example.com:8443', 'https://login.example.com:8443/'],
    ['10.1.2.3', 'https://10.1.2.3/'],
    ['10.1.0.0-10.1.255.255', 'https://10.1.2.3/'],
    ['10.1.0.0/16', 'https://10.1.2.3/'],
    ['fd00::/8', 'https://[fd12::1]/'],
    ['[fd00::]/8', 'https://[fd12::1]/'],
    ['*:443', 'https://login.example.com/'],
    ['*.example.com:443', 'https://login.example.com/'],
    ['[fd12::1]:8443', 'https://[fd12::1]:8443/'],
  ])('%s excludes %s', (value, url) => {
    expect(proxied({ NO_PROXY: value }, url)).toBe(false)
    expect(proxied({ no_proxy: value }, url)).toBe(false)
  })

  it.each([
    ['example.com', 'https://login.example.com/'],
    ['*.example.com', 'https://example.com/'],
    ['.example.com', 'https://notexample.com/'],
    ['login.example.com:8443', 'https://login.example.com/'],
    ['*:8443', 'https://login.example.com/'],
    ['10.1.0.0/99', 'https://10.1.2.3/'],
    ['10.1.0.0/', 'https://10.1.2.3/'],
    ['fd00::/', 'https://[2001:db8::1]/'],
    ['10.1.0.0/16', 'https://10.2.2.3/'],
    ['10.1.0.0-x', 'https://10.1.0.1/'],
    [',, ', 'https://login.example.com/'],
  ])('%s does not exclude %s', (value, url) => expect(proxied({ NO_PROXY: value }, url)).toBe(true))
})
