/**
 * The conversion of requests and answers, beside the library's own: the library runs in full, with a worker's module
 * that is supplied as the worker does. A difference that a newer library brings fails here.
 */
import { Module } from 'node:module'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HttpRequest, InvocationContext } from '@azure/functions'
import { toHttpHandler } from '../../../functions/host.ts'
import { toRpcResponse, toWebRequest, withDirectHttp } from '../../../functions/http-invocation.ts'
import type { ProgrammingModel, RpcRequest } from '../../../functions/http-invocation.ts'
import { parseQuery } from '../../../functions/request.ts'
import type { WebRequest } from '../../../functions/request.ts'
import { baseHeaders, json, seeOther } from '../../../shared/http/answer.ts'
import type { Answer } from '../../../shared/http/answer.ts'
import { endTransactionCookie, parseCookies, sessionCookie, transactionCookie } from '../../../shared/http/cookies.ts'
import { webQuery } from '../../setup/arbitrary-text.ts'

interface Registered {
  readonly metadata: { readonly name: string; readonly bindings: Record<string, { readonly type?: string }> }
}
const registered: Registered[] = []
const logged: string[] = []
let library: ProgrammingModel
let before: unknown

beforeAll(async () => {
  const core = {
    version: '3.9.0',
    registerFunction: (metadata: Registered['metadata']) => registered.push({ metadata }),
    setProgrammingModel: (model: ProgrammingModel) => (library = model),
    log: () => undefined,
  }
  const prototype = Module.prototype as { require: (id: string) => unknown }
  before = prototype.require
  const original = prototype.require
  prototype.require = function (this: unknown, id: string) {
    return id === '@azure/functions-core' ? core : Reflect.apply(original, this, [id])
  }
  const { app } = await import('@azure/functions')
  app.http('page', { handler: () => ({}) })
  app.timer('clock', { schedule: '0 * * * * *', handler: () => undefined })
})
afterAll(() => {
  Object.assign(Module.prototype, { require: before })
})

const invocationId = '0b2f8a0e-6d0c-4f5e-9f57-1c1f2f1f4b6a'
const traceParent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`

function coreOf(data: object, name = 'page') {
  const found = registered.find(({ metadata }) => metadata.name === name)
  if (!found) throw new Error(`${name} is not registered`)
  const [binding = ''] = Object.keys(found.metadata.bindings)
  const request = {
    invocationId,
    inputData: [{ name: binding, data }],
    triggerMetadata: {},
    traceContext: { traceParent, traceState: '', attributes: {} },
  }
  const log = (level: string, category: string, message: string) => logged.push(`${level} ${category} ${message}`)
  return { invocationId, request, metadata: found.metadata, log }
}

/** Every part of a request that the broker reads. */
async function partsOf(request: WebRequest, names: readonly string[]) {
  const at = request.url.indexOf('?')
  return {
    method: request.method,
    query: [...new URLSearchParams(at < 0 ? '' : request.url.slice(at + 1))],
    headers: names.map((name) => [request.headers.get(name), request.headers.has(name)]),
    params: { ...request.params },
    text: await request.text(),
  }
}

async function byLibrary(http: RpcRequest): Promise<WebRequest> {
  const model = await library.getInvocationModel(coreOf({ http }))
  const { inputs } = await model.getArguments()
  return inputs[0] as HttpRequest
}

const names = ['cookie', 'Origin', 'content-type', 'content-length', 'x-other', 'missing']
const visibleText = fc.string({ unit: fc.constantFrom(...Array.from('abc=;, "/~!\t?%&')), maxLength: 30 })
const nullable = (values: Record<string, string>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value }]))
const headerNames = fc.constantFrom('cookie', 'origin', 'content-type', 'content-length', 'x-other')
const bodies = fc.oneof(
  fc.constant(undefined),
  fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ bytes })),
  fc.constantFrom('a=b&c=%20', 'ł=東京', '\ufeff{"a":1}').map((text) => ({ bytes: Buffer.from(text) })),
)
const requests = fc.record({
  method: fc.constantFrom('GET', 'POST', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'get', 'post'),
  query: fc.oneof(webQuery, fc.string({ unit: fc.constantFrom(...Array.from('a=&+%2F\'"<łя?')), maxLength: 20 })),
  fragment: fc.constantFrom('', '#', '#a=b?c'),
  headers: fc.dictionary(headerNames, visibleText),
  params: fc.dictionary(fc.constantFrom('id', 'rest'), visibleText),
  isOlder: fc.boolean(),
  body: bodies,
})

describe('a request', () => {
  it('has the method, query, headers, parameters and body that the library would hand over', async () => {
    await fc.assert(
      fc.asyncProperty(requests, async ({ method, query, fragment, headers, params, isOlder, body }) => {
        const http: RpcRequest = {
          method,
          url: `https://login.example/session?${query}${fragment}`,
          ...(isOlder ? { headers, params } : { nullableHeaders: nullable(headers), nullableParams: nullable(params) }),
          ...(body ? { body } : {}),
        }
        const expected = await partsOf(await byLibrary(http), names)

        expect(await partsOf(toWebRequest(http), names)).toEqual(expected)
      }),
      { numRuns: 300 },
    )
  })

  it('without anything is an empty GET', async () => {
    expect(await partsOf(toWebRequest({}), names)).toMatchObject({ method: 'GET', query: [], params: {}, text: '' })
  })
})

const withHeader = (name: string, value: string) => toWebRequest({ nullableHeaders: { [name]: { value } } })

describe('a header that the library refuses with 500', () => {
  it.each(['Łódź', '東京', '😀', '\u0000', 'a\r\nb'])('with %j in a value: it does', async (text) => {
    await expect(byLibrary({ method: 'GET', url: 'http://x/', headers: { cookie: text } })).rejects.toThrow()
  })

  it.each(['Łódź', '東京', '😀', '\ud800', 'é', '\u00a0', '\u0000', 'a\r\nb', '\u0085', '\u007f'])(
    'with %j in a value is read, and the rest of the value stays',
    (text) => {
      const cookie = withHeader('cookie', `city=${text}; __Host-session-shop=S`).headers.get('cookie')

      expect(cookie).toMatch(/^city=[\x20-\x7e]+; __Host-session-shop=S$/)
      expect([...parseCookies(cookie)]).toEqual([['__Host-session-shop', 'S']])
    },
  )

  it.each(['\u00a0', '\u2003', '\ufeff', '\u200b', 'ł', '\u0000'])(
    'does not turn a cookie with %j before its name into a cookie of the broker',
    (text) => {
      const cookie = withHeader('cookie', `${text}__Host-session-shop=planted; a=${text}`).headers.get('cookie')

      expect(parseCookies(cookie).size).toBe(0)
    },
  )

  it.each([
    ['origin', 'https://shop.ex\u0430mple', 'https://shop.ex?mple'],
    ['x-name', 'visible ~ "ASCII"', 'visible ~ "ASCII"'],
  ])('never becomes another value that the broker accepts: %s', (name, value, expected) => {
    expect(withHeader(name, value).headers.get(name)).toBe(expected)
  })

  it('with an invalid name is not read, and the others are', () => {
    const invalid = ['a b', 'ł', '', 'a:', '(x)', '__proto__', 'constructor']
    const given = [...invalid, 'x-fine'].map((name) => [name, { value: '1' }] as const)
    const { headers } = toWebRequest({ nullableHeaders: Object.fromEntries(given) })

    expect(headers.get('x-fine')).toBe('1')
    expect(headers.has('toString')).toBe(false)
  })

  it('of 32 KB of blanks costs no more than its length', () => {
    expect(withHeader('cookie', `a=${' '.repeat(32 * 1024)}b`).headers.get('cookie')).toHaveLength(32 * 1024 + 3)
  })
})

describe('a URL that the library refuses with 500', () => {
  it.each([
    ['http://', null],
    ['http://?a=b', 'b'],
    ['http://login.example:99999/login?a=b', 'b'],
    ['http://ada:s@login.example/login?a=http://x', 'http://x'],
    ['http://%/health?a=1', '1'],
    ['https://[::1/?a', ''],
  ])('%s is served with its query', async (url, expected) => {
    await expect(byLibrary({ method: 'GET', url })).rejects.toThrow()

    expect(parseQuery(toWebRequest({ url })).get('a')).toBe(expected)
  })
})

const cookies = [
  sessionCookie('shop', 'A'.repeat(48)),
  transactionCookie('__Host-signin-abcdefgh', 'a.b-c_d', 600),
  endTransactionCookie('__Host-signin-abcdefgh'),
]
const answers: readonly (readonly [string, Answer])[] = [
  ['JSON', json(200, { name: 'Łódź 😀', empty: '' })],
  ['a redirect with cookies', seeOther('https://shop.example/?a=b%20c', cookies)],
  ['a page with every header', { status: 400, headers: { ...baseHeaders, 'content-type': 'text/html' }, body: '<p>é' }],
  ['no body', { status: 204, headers: baseHeaders }],
  ['nothing but a status', { status: 404 }],
]

describe('an answer', () => {
  it.each(answers)('with %s is the same message to the worker as the library’s', async (_, answer) => {
    const handler = toHttpHandler(() => Promise.resolve(answer))
    const http = { method: 'GET', url: 'http://x/' }
    const answered = async (model: ProgrammingModel) => {
      const invocation = await model.getInvocationModel(coreOf({ http }))
      const { context, inputs } = await invocation.getArguments()
      const result = await invocation.invokeFunction(context, inputs, handler as (...given: unknown[]) => unknown)
      // Compared as they go over the wire, where a missing member and an undefined one are the same.
      return JSON.parse(JSON.stringify(await invocation.getResponse(context, result), bytesAsArray)) as object
    }

    expect(await answered(withDirectHttp(library))).toEqual(await answered(library))
  })

  it.each([
    ['a line break', { 'x-a': 'b\r\nset-cookie: c=d' }],
    ['a line feed', { 'x-a': 'b\nc' }],
    ['a NUL', { 'x-a': '\u0000' }],
    ['a character that the host refuses', { location: 'https://łódź.example/' }],
    ['a name that is no token', { 'x a': 'b' }],
    ['a name with a line break', { 'x\r\na': 'b' }],
  ])('with %s in a header is refused', (_, headers) => {
    expect(() => toRpcResponse({ headers })).toThrow(TypeError)
    expect(() => toRpcResponse({ headers: { 'x-a': 'b c\t~' } })).not.toThrow()
  })
})

function bytesAsArray(_: string, value: unknown): unknown {
  const isBytes = value instanceof Uint8Array || (value as { type?: string } | null)?.type === 'Buffer'
  return isBytes ? [...Buffer.from(value as Uint8Array)] : value
}

describe('the model of an invocation', () => {
  const http = { method: 'GET', url: 'http://x/?a=b' }

  it('makes an invocation context whose members are the library’s: id, name, trace context and log', async () => {
    const own = await (await withDirectHttp(library).getInvocationModel(coreOf({ http }))).getArguments()
    const theirs = await (await library.getInvocationModel(coreOf({ http }))).getArguments()

    const { invocationId: id, functionName, traceContext } = own.context as InvocationContext
    expect(theirs.context).toMatchObject({ invocationId: id, functionName, traceContext })
    expect({ id, functionName, traceContext }).toMatchObject({ id: invocationId, functionName: 'page' })
    for (const { context } of [own, theirs] as { context: InvocationContext }[]) {
      logged.length = 0
      context.log('a line of %s', 'text')
      context.warn('a warning')
      context.error('an error', 1)
      expect(logged).toEqual(['information user a line of text', 'warning user a warning', 'error user an error 1'])
    }
  })

  it('passes on the error of a handler', async () => {
    const model = await withDirectHttp(library).getInvocationModel(coreOf({ http }))
    const failing = () => Promise.reject(new Error('faulty'))

    await expect(model.invokeFunction({}, [], failing)).rejects.toThrow('faulty')
    await expect(model.invokeFunction({}, [], () => Promise.resolve('fine'))).resolves.toBe('fine')
  })

  it('leaves every other trigger to the library', async () => {
    const json = JSON.stringify({ IsPastDue: false, Schedule: { AdjustForDST: true } })
    const model = await withDirectHttp(library).getInvocationModel(coreOf({ json }, 'clock'))
    const { inputs } = await model.getArguments()

    expect(inputs).toEqual([{ isPastDue: false, schedule: { adjustForDST: true } }])
  })

  it('hands on the capabilities of the library', async () => {
    expect(await withDirectHttp(library).getCapabilities?.({ one: 'true' })).toEqual({ one: 'true' })
  })
})
