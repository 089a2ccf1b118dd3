/** GET /health/ready: a single word for monitors. GET /health/detail: the named checks, for operators. */
import { json, text } from '../shared/http/answer.ts'
import { findUnready } from '../shared/health/readiness.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const ready =
  ({ readiness }: Pick<Broker, 'readiness'>): Handle =>
  async () => {
    const unready = findUnready(await readiness.checks())
    return unready === undefined ? text(200, 'ready') : text(503, unready)
  }

export const readyDetail =
  ({ readiness }: Pick<Broker, 'readiness'>): Handle =>
  async () => {
    const checks = await readiness.checksNow()
    return json(checks.every(({ ok }) => ok) ? 200 : 503, { checks })
  }
