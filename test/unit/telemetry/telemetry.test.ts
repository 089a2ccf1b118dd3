import { describe, expect, it } from 'vitest'
import { BrokerError } from '../../../shared/errors/errors.ts'
import type { ExportQueue } from '../../../shared/telemetry/export-queue.ts'
import { createFlowEvents } from '../../../shared/telemetry/flow-events.ts'
import type { Fields, OperationReport } from '../../../shared/telemetry/report.ts'
import { createTelemetry } from '../../../shared/telemetry/telemetry.ts'

const traceParent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
const call = { name: 'find sessions', type: 'Azure table', target: 'store' } as const

function parts() {
  const operations: OperationReport[] = []
  const sums: { name: string; fields: Fields }[] = []
  /** The number of operations in the queue when each send was scheduled. */
  const wakes: number[] = []
  const exportQueue: ExportQueue = {
    operation: (report) => operations.push(report),
    counter: (name, _, fields) => sums.push({ name, fields }),
    gauge: () => undefined,
    wake: () => wakes.push(operations.length),
    flush: () => Promise.resolve(),
  }
  let now = 1_000_000
  const telemetry = createTelemetry({ exportQueue, clock: () => now++ })
  const flowEvents = createFlowEvents({ telemetry, clock: () => now, isFrontEnd: (id) => id === 'shop' })
  return { operations, sums, wakes, telemetry, flowEvents }
}

describe('an invocation', () => {
  it('is reported in full where a step happened in it, with all calls that it caused', async () => {
    const { operations, telemetry } = parts()
    await telemetry.invocation(traceParent, async () => {
      await Promise.all([telemetry.span(call, () => Promise.resolve()), telemetry.span(call, () => Promise.resolve())])
      telemetry.event('broker.session', {}, {})
    })
    expect(operations).toMatchObject([{ parent: { kind: 'host', traceParent }, spans: [call, call] }])
  })

  it('is only counted where no step happened', async () => {
    const { operations, telemetry } = parts()
    await telemetry.invocation(traceParent, () => telemetry.span(call, () => Promise.resolve()))
    expect(operations).toEqual([])
  })

  it('keeps its calls apart from those of another at the same time', async () => {
    const { operations, telemetry } = parts()
    const other = traceParent.replace('aaaa', 'cccc')
    await Promise.all(
      [traceParent, other].map((parent, i) =>
        telemetry.invocation(parent, async () => {
          await telemetry.span({ ...call, name: `call ${i}` }, () => new Promise((done) => setTimeout(done, 5)))
          telemetry.event('broker.session', {}, {})
        }),
      ),
    )
    expect(operations.map(({ parent, spans }) => [parent, spans.map(({ name }) => name)])).toEqual([
      [{ kind: 'host', traceParent }, ['call 0']],
      [{ kind: 'host', traceParent: other }, ['call 1']],
    ])
  })

  it('has the work after its answer reported under the same request, also where no other request follows', async () => {
    const { operations, wakes, telemetry } = parts()
    let late: Promise<void> | undefined
    await telemetry.invocation(traceParent, () => {
      telemetry.event('broker.session', {}, {})
      late = telemetry.span(call, () => new Promise<void>((done) => setTimeout(done, 5)))
      return Promise.resolve()
    })
    await late
    expect(operations.map(({ parent, events, spans }) => [parent, events.length, spans.length])).toEqual([
      [{ kind: 'host', traceParent }, 1, 0],
      [{ kind: 'host', traceParent }, 0, 1],
    ])
    expect(wakes).toEqual([1, 2])
  })

  it('is not reported where the host does not sample it, unless it failed', async () => {
    const { operations, telemetry, flowEvents } = parts()
    const unsampled = traceParent.replace(/01$/, '00')
    await telemetry.invocation(unsampled, () => flowEvents.track('session', {}, () => Promise.resolve()))
    expect(operations).toEqual([])

    const failing = telemetry.invocation(unsampled, () =>
      flowEvents.track('session', {}, () => Promise.reject(new BrokerError('store_unavailable'))),
    )
    await expect(failing).rejects.toThrow()
    expect(operations).toHaveLength(1)
  })

  it.each([
    undefined,
    '',
    'nonsense',
    `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
    `${traceParent}\r\nx: y`,
    `ff-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
  ])('with the trace context %j is reported under no request, and works as well', async (received) => {
    const { operations, telemetry } = parts()
    const result = await telemetry.invocation(received, () => {
      telemetry.event('broker.session', {}, {})
      return Promise.resolve('done')
    })
    expect(result).toBe('done')
    expect(operations).toEqual([])
  })

  it('that makes calls without end does not fill the memory', async () => {
    const { operations, telemetry } = parts()
    await telemetry.invocation(traceParent, async () => {
      telemetry.event('broker.session', {}, {})
      for (let i = 0; i < 1000; i++) await telemetry.span(call, () => Promise.resolve())
    })
    expect(operations[0]!.spans.length).toBeLessThan(100)
  })

  it('is one of a limited number a second that are reported, with a higher limit for failures', async () => {
    const { operations, telemetry, flowEvents } = parts()
    const one = (work: () => Promise<void>) =>
      telemetry.invocation(traceParent, () => flowEvents.track('session', {}, work)).catch(() => undefined)
    for (let i = 0; i < 1000; i++) await one(() => Promise.resolve())
    const succeeded = operations.length
    for (let i = 0; i < 400; i++) await one(() => Promise.reject(new BrokerError('store_unavailable')))

    expect(succeeded).toBeLessThan(400)
    expect(operations.length - succeeded).toBe(400)
  })
})

describe('a flood of requests that any caller can send', () => {
  it('is reported in part, and hides neither a fault of the broker nor a sign-in', async () => {
    const { operations, sums, telemetry, flowEvents } = parts()
    const one = (work: () => Promise<void>) =>
      telemetry.invocation(traceParent, () => flowEvents.track('returned', {}, work)).catch(() => undefined)
    const codes = () => operations.flatMap(({ events }) => events.map(({ fields }) => fields.code))

    const anyPerson = ['sign_in_unknown', 'logout_token_refused', 'answer_invalid', 'parameter_invalid'] as const
    for (let i = 0; i < 2000; i++) await one(() => Promise.reject(new BrokerError(anyPerson[i % anyPerson.length]!)))
    expect(sums).toHaveLength(2000)
    const reported = codes().length
    expect(reported).toBeGreaterThan(100)
    expect(reported).toBeLessThan(400)

    await one(() => Promise.reject(new BrokerError('store_unavailable')))
    await one(() => Promise.reject(new TypeError('nobody thought of it')))
    await one(() => Promise.resolve())
    expect(codes().slice(reported)).toEqual(['store_unavailable', 'internal', undefined])
  })
})

describe('a call', () => {
  it('that fails is reported by a code of the broker, and never by a message', async () => {
    const { operations, telemetry } = parts()
    const secret = 'text-of-a-caller'
    await telemetry.invocation(traceParent, async () => {
      telemetry.event('broker.session', {}, {})
      const failing = (error: Error) => telemetry.span(call, () => Promise.reject(error)).catch(() => undefined)
      await failing(new BrokerError('store_unavailable', { detail: secret }))
      await failing(Object.assign(new Error(secret), { code: `${secret} ${secret}` }))
    })
    expect(operations[0]!.spans).toMatchObject([
      { succeeded: false, fields: { code: 'store_unavailable' } },
      { succeeded: false, fields: { code: 'unknown' } },
    ])
    expect(JSON.stringify(operations)).not.toContain(secret)
  })

  it('passes the error on', async () => {
    const { telemetry } = parts()
    const error = new BrokerError('store_unavailable')
    const work = telemetry.invocation(traceParent, () => telemetry.span(call, () => Promise.reject(error)))
    await expect(work).rejects.toBe(error)
  })
})

describe('a step', () => {
  it('names registered front ends, and no other', async () => {
    const { sums, telemetry, flowEvents } = parts()
    for (const frontEnd of ['shop', 'text-of-a-caller']) {
      await telemetry.invocation(traceParent, () => flowEvents.track('token', { frontEnd }, () => Promise.resolve()))
    }
    expect(sums.map(({ fields }) => fields.front_end)).toEqual(['shop', undefined])
  })

  it('is cold until it has completed once', async () => {
    const { sums, flowEvents } = parts()
    await flowEvents.track('token', {}, () => Promise.reject(new BrokerError('internal'))).catch(() => undefined)
    await flowEvents.track('token', {}, () => Promise.resolve())
    await flowEvents.track('token', {}, () => Promise.resolve())
    await flowEvents.track('session', {}, () => Promise.resolve())
    expect(sums.map(({ fields }) => fields.instance)).toEqual(['cold', 'cold', 'warm', 'cold'])
  })

  it('that fails names the responsible party, also for an unexpected error', async () => {
    const { sums, flowEvents } = parts()
    for (const error of [new BrokerError('signed_out'), new TypeError('x')]) {
      await flowEvents.track('token', {}, () => Promise.reject(error)).catch(() => undefined)
    }
    expect(sums.map(({ fields: { code, responsible, outcome } }) => ({ code, responsible, outcome }))).toEqual([
      { code: 'signed_out', responsible: 'person', outcome: 'failed' },
      { code: 'internal', responsible: 'operator', outcome: 'failed' },
    ])
  })
})
