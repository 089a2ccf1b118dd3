/** Expectations that hold for every rejected request. Every attack uses them. */
import { expect } from 'vitest'
import { errorCatalogue } from '../../shared/errors/catalogue.ts'
import type { ErrorCode } from '../../shared/errors/catalogue.ts'
import type { Reply } from './person.ts'

/** The headers of a page that cannot be framed, sniffed or cached, and that sends no Referer. */
export function expectSafeHeaders({ headers }: Pick<Reply, 'headers'>): void {
  const policy = headers.get('content-security-policy') ?? ''
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toContain('unsafe-')
  expect(headers.get('x-frame-options')).toBe('DENY')
  expect(headers.get('x-content-type-options')).toBe('nosniff')
  expect(headers.get('cache-control')).toBe('no-store')
  expect(headers.get('referrer-policy')).toBe('no-referrer')
  expect(headers.get('strict-transport-security')).toMatch(/^max-age=\d{8}/)
  expect(headers.get('broker-reference')).toMatch(/^[0-9a-f]{32}$/)
}

/** Expects a page that names the error, redirects to no address, and starts and ends no session. */
export function expectPage(reply: Reply, code: ErrorCode): void {
  expect({ status: reply.status, code: codeOnPage(reply) }).toEqual({ status: errorCatalogue[code].status, code })
  expect(reply.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expectSafeHeaders(reply)
  expect(reply.text).toContain(`Reference: ${reply.headers.get('broker-reference')}`)
  expect(reply.location).toBeNull()
  expect(reply.headers.get('refresh')).toBeNull()
  expect(reply.text).not.toMatch(/<script|<form|<iframe|<meta http-equiv|\bon\w+=/i)
  expect(reply.cookies.filter((cookie) => cookie.startsWith('__Host-session-'))).toEqual([])
}

/** Expects such a page, and that no sign-in starts. */
export function expectNothingBegun(reply: Reply, code: ErrorCode): void {
  expectPage(reply, code)
  expect(reply.cookies).toEqual([])
}

/** Expects a redirect to the provider with a new transaction. */
export function expectBegun(reply: Reply): URLSearchParams {
  expect(reply.status, reply.text).toBe(303)
  expect(reply.cookies.filter((cookie) => /^__Host-signin-[\w-]{8}=[^;]/.test(cookie))).toHaveLength(1)
  const { searchParams } = new URL(reply.location ?? '')
  const names = [...searchParams.keys()]
  expect(names).toEqual([...new Set(names)])
  return searchParams
}

function codeOnPage({ text }: Reply): string | undefined {
  return /Code: (\w+)/.exec(text)?.[1]
}

/** The links of a page. */
export function linksOf({ text }: Reply): readonly string[] {
  return [...text.matchAll(/<a [^>]*href="([^"]*)"/g)].map(([, href = '']) => unescapeHtml(href))
}

export function unescapeHtml(text: string): string {
  return text.replace(/&#(\d+);/g, (_, number: string) => String.fromCharCode(Number(number)))
}
