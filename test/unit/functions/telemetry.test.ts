import { expect, it } from 'vitest'
import { scheduleDelayOf } from '../../../functions/compose/telemetry.ts'

it.each([
  [undefined, undefined],
  ['', undefined],
  ['250', 250],
  ['0', 0],
  ['60000', 60_000],
  ['100000', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['5 s', undefined],
])('reports are collected for OTEL_BSP_SCHEDULE_DELAY milliseconds: %o', (written, milliseconds) => {
  expect(scheduleDelayOf({ OTEL_BSP_SCHEDULE_DELAY: written })).toBe(milliseconds)
})
