import { describe, expect, it } from 'vitest'
import { compare, describeMisses, failures, figureOf, spreadOf, table, verdictOf } from '../../bench/report.ts'
import type { Row } from '../../bench/report.ts'

const goal = { must: 1, stretch: 0.8 }
const row = (broker: readonly number[], peer: readonly number[]): Row =>
  compare({ number: 1, what: 'warm sign-in', unit: 'µs', goal }, broker, ['openid-client', peer])

describe('a measurement', () => {
  it('is reported by its median and its range, for an odd and an even number of rounds', () => {
    expect(spreadOf([5, 1, 3])).toEqual({ median: 3, low: 1, high: 5 })
    expect(spreadOf([4, 1, 3, 2])).toEqual({ median: 2.5, low: 1, high: 4 })
  })

  it('of no rounds is no measurement', () => {
    expect(() => spreadOf([])).toThrow('Nothing was measured.')
  })

  it('uses the ratio of each round, since a cause that slows one round slows both programs in it', () => {
    const slowInTheMiddle = row([90, 900, 100], [100, 1000, 80])

    expect(slowInTheMiddle.figure).toEqual({ median: 0.9, low: 0.9, high: 1.25 })
    expect(slowInTheMiddle.broker.median).toBe(100)
  })
})

describe('a goal', () => {
  it('is reached, exceeded, or missed', () => {
    expect(verdictOf(row([80], [100]))).toBe('stretch')
    expect(verdictOf(row([100], [100]))).toBe('must')
    expect(verdictOf(row([101], [100]))).toBe('missed')
  })

  it('fails a run only where it is missed by more than two copies of one program differ', () => {
    const close = row([109], [100])
    const far = row([111], [100])

    expect(verdictOf(close)).toBe('missed')
    expect(failures([close, far])).toEqual([far])
  })

  it('that is missed is named with the excess; if none is missed, the report states it', () => {
    expect(describeMisses([row([80], [100]), row([150], [100])])).toEqual([
      'Missed: goal 1, warm sign-in: 1.50 where 1 is allowed, 50 % too much.',
    ])
    expect(describeMisses([row([80], [100])])).toEqual(['Every goal that was measured is reached.'])
  })

  it('may be a figure of the broker alone, with another beside it to be compared by the reader', () => {
    const pause = (values: readonly number[]) =>
      figureOf({ what: 'pause', unit: 'ms', goal: { must: 50 }, values, other: ['without', [40]] })

    expect(verdictOf(pause([10, 50, 90]))).toBe('must')
    expect(verdictOf(pause([10, 51, 90]))).toBe('missed')
    expect(table([pause([10, 50, 90])])).toContain('| 50.0 ms (10.0–90.0) |')
    expect(table([pause([10, 50, 90])])).toContain('| without 40.0 ms |')
  })

  it('is not applied to a figure that is only reported', () => {
    const reported: Row = { what: 'host alone', unit: 'µs', broker: spreadOf([150]), figure: spreadOf([150]) }

    expect(verdictOf(reported)).toBeUndefined()
    expect(failures([reported])).toEqual([])
  })
})

describe('the table', () => {
  it('has the figures of both programs, the ratio with its range, and the goals, as Markdown', () => {
    const [head, , line] = table([row([90, 120, 100], [100, 100, 100])]).split('\n')

    expect(head?.split('|').map((cell) => cell.trim())).toEqual([
      '',
      'goal',
      'what',
      'broker',
      'against',
      'ratio (range)',
      'must',
      'stretch',
      'result',
      '',
    ])
    expect(line?.split('|').map((cell) => cell.trim())).toEqual([
      '',
      '1',
      'warm sign-in',
      '100 µs',
      'openid-client 100 µs',
      '1.00 (0.90–1.20)',
      '1',
      '0.8',
      'must',
      '',
    ])
  })
})
