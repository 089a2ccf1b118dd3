/** GET /health/ready: one word for monitors. GET /health/detail: the named checks, for operators. */
import { json, word } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const ready =
  ({ readiness }: Pick<Broker, 'readiness'>): Handle =>
  async () => {
    const failed = (await readiness.checks()).find(({ ok }) => !ok)
    return failed ? word(503, failed.part) : word(200, 'ready')
  }

export const readyDetail =
  ({ readiness }: Pick<Broker, 'readiness'>): Handle =>
  async () => {
    const checks = await readiness.checksNow()
    return json(checks.every(({ ok }) => ok) ? 200 : 503, { checks })
  }
