import { describe, expect, it } from 'vitest'
import { createEndForReuse } from '../../../shared/oauth/reuse.ts'
import type { RowKey } from '../../../shared/store/store.ts'
import { createFlowEvents } from '../../../shared/telemetry/flow-events.ts'
import type { Fields } from '../../../shared/telemetry/report.ts'
import { noTelemetry } from '../../../shared/telemetry/telemetry.ts'

describe('a second use', () => {
  it.each([
    ['ends the session of the first use', true, 1],
    ['finds that it has ended already', false, 0],
  ])('%s, and is reported with the front end', async (_, wasThere, sessions) => {
    const ended: RowKey[] = []
    const reported: unknown[] = []
    const event = (name: string, fields: Fields, measurements: object) =>
      reported.push({ name, ...fields, ...measurements })
    const flowEvents = createFlowEvents({
      telemetry: { ...noTelemetry, event },
      clock: Date.now,
      isFrontEnd: () => true,
    })
    const end = ({ rowKey }: { rowKey: RowKey }) => Promise.resolve(ended.push(rowKey) > 0 && wasThere)
    const rowKey = { partition: 'p', row: 'r' }

    await createEndForReuse({ end }, flowEvents)({ frontEndId: 'app', rowKey })

    expect(ended).toEqual([rowKey])
    expect(reported).toMatchObject([{ name: 'broker.sign_out', by: 'reuse', front_end: 'app', sessions }])
  })
})
