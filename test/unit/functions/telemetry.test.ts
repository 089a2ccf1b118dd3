import { expect, it } from 'vitest'
import { scheduleDelayOf } from '../../../functions/compose/telemetry.ts'

it.each([
  [undefined, 5_000],
  ['', 5_000],
  ['250', 250],
  ['0', 0],
  ['60000', 60_000],
  ['100000', 5_000],
  ['-1', 5_000],
  ['1e3', 5_000],
  ['5 s', 5_000],
])('reports are collected for OTEL_BSP_SCHEDULE_DELAY milliseconds, and %o means %i', (written, milliseconds) => {
  expect(scheduleDelayOf({ OTEL_BSP_SCHEDULE_DELAY: written })).toBe(milliseconds)
})
