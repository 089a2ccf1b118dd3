/** GET /health/ready: a single word for monitors. GET /health/detail: the named checks, for operators. */
import { json, text } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const ready =
  ({ readiness }: Pick<Broker, 'readiness'>): Handle =>
  async () => {
    const failed = (await readiness.checks()).find(({ ok }) => !ok)
    return failed ? text(503, failed.part) : text(200, 'ready')
  }

export const readyDetail =
  ({ readiness }: Pick<Broker, 'readiness'>): Handle =>
  async () => {
    const checks = await readiness.checksNow()
    return json(checks.every(({ ok }) => ok) ? 200 : 503, { checks })
  }
