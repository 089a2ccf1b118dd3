/** As large as the broker's answer to `/session`, headers and body: the library and the host work for each of them. */
export const answer = {
  headers: {
    'access-control-allow-credentials': 'true',
    'access-control-allow-origin': 'http://localhost:3000',
    'access-control-expose-headers': 'Broker-Reference, Retry-After, WWW-Authenticate',
    'broker-reference': '0123456789abcdef0123456789abcdef',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    'content-type': 'application/json; charset=utf-8',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-site',
    'referrer-policy': 'no-referrer',
    'strict-transport-security': 'max-age=31536000; includeSubDomains',
    vary: 'Origin',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
  },
  body: JSON.stringify({ hello: 'x'.repeat(280) }),
}
