/** Records every answer of the brokers, and every value of a run that could sign a person in. */
import { vi } from 'vitest'
import type { Stack } from '../setup/stack.ts'

interface Answered {
  /** `POST /callback`, without the query. */
  readonly request: string
  readonly status: number
  readonly location: string
  /** All headers except Set-Cookie and Location, which may contain such values. */
  readonly headers: string
  readonly body: string
}

export interface Witness {
  readonly answers: readonly Answered[]
  /** Every value of the run, by its kind and number. */
  secrets(): ReadonlyMap<string, string>
  keep(name: string, value: string | undefined): void
  end(): void
}

/** Fields of forms and JSON that are useful to a thief, in requests and answers. */
const worthStealing = new Set([
  ...['code', 'state', 'nonce', 'code_verifier', 'client_assertion', 'assertion'],
  ...['access_token', 'refresh_token', 'id_token', 'token', 'device_code', 'logout_hint'],
])

export function watch(stack: Stack): Witness {
  const answers: Answered[] = []
  const kept = new Map<string, string>()
  const keep = (name: string, value: string | undefined) => {
    // Public values, and values too short for a search, are no secrets.
    if (value !== undefined && value.length >= 16) kept.set(`${name} ${kept.size}`, value)
  }
  const keepFields = (fields: Iterable<readonly [string, unknown]>) => {
    for (const [name, value] of fields) if (worthStealing.has(name) && typeof value === 'string') keep(name, value)
  }

  stack.identityProvider.changeTokenResponse(({ answer }) => {
    keepFields(Object.entries(answer))
    return answer
  })

  const real = globalThis.fetch
  const spy = vi.spyOn(globalThis, 'fetch').mockImplementation(async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : String(input))
    const response = await real(input, init)
    keepFields(url.searchParams)
    if (!stack.brokers.some((broker) => new URL(broker.url).port === url.port)) return response

    const body = await response.clone().text()
    if (init?.body instanceof URLSearchParams) keepFields(init.body)
    // In problem details, `code` is the error code.
    if (response.ok) keepFields(Object.entries(parse(body)))
    for (const cookie of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^(__Host-[\w-]+)=([^;]*)/.exec(cookie) ?? []
      keep(name, decodeURIComponent(value))
    }
    const location = response.headers.get('location') ?? ''
    if (location !== '') keepFields(new URL(location).searchParams)
    const headers = [...response.headers].filter(([name]) => name !== 'set-cookie' && name !== 'location')
    answers.push({
      request: `${init?.method ?? 'GET'} ${url.pathname}`,
      status: response.status,
      location,
      headers: JSON.stringify(headers),
      body,
    })
    return response
  })

  return {
    answers,
    keep,
    secrets: () => {
      for (const { form } of stack.identityProvider.requests) keepFields(Object.entries(form ?? {}))
      return new Map([...kept].filter(([, value], index, all) => all.findIndex(([, one]) => one === value) === index))
    },
    end: () => spy.mockRestore(),
  }
}

/** The value, its encodings, and its first and last part, which find a truncated value. */
export function formsOf(value: string): readonly string[] {
  const parts = value.split('.').filter((part) => part.length >= 16)
  return [value, ...parts].flatMap((text) => {
    const written = [text, encodeURIComponent(text), ...['base64', 'base64url', 'hex'].map((one) => encode(text, one))]
    return [...written, text.slice(0, 16), text.slice(-16)]
  })
}

function encode(text: string, encoding: string): string {
  return Buffer.from(text).toString(encoding as BufferEncoding)
}

function parse(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
