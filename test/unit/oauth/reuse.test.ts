import { describe, expect, it } from 'vitest'
import { createEndForReuse } from '../../../shared/oauth/reuse.ts'
import type { RowKey } from '../../../shared/store/store.ts'
import { createFunnel } from '../../../shared/telemetry/flow-events.ts'
import type { Fields } from '../../../shared/telemetry/report.ts'
import { noTelemetry } from '../../../shared/telemetry/telemetry.ts'

describe('a second use', () => {
  it.each([
    ['ends the session that the first gave', true, 1],
    ['finds it ended already', false, 0],
  ])('%s, and is told as one, of which front end', async (_, wasThere, sessions) => {
    const ended: RowKey[] = []
    const told: unknown[] = []
    const event = (name: string, fields: Fields, measurements: object) =>
      told.push({ name, ...fields, ...measurements })
    const funnel = createFunnel({ telemetry: { ...noTelemetry, event }, clock: Date.now, isFrontEnd: () => true })
    const end = ({ place }: { place: RowKey }) => Promise.resolve(ended.push(place) > 0 && wasThere)
    const place = { partition: 'p', row: 'r' }

    await createEndForReuse({ end }, funnel)({ frontEndId: 'app', place })

    expect(ended).toEqual([place])
    expect(told).toMatchObject([{ name: 'broker.sign_out', by: 'reuse', front_end: 'app', sessions }])
  })
})
