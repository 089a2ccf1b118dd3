/** POST /operator/sessions/list and /end: an operator lists or ends sessions of a person, a tenant or a front end. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { readJson } from './request.ts'
import type { Handle } from './respond.ts'

const names = ['subject', 'issuer', 'object_id', 'username', 'tenant', 'front_end', 'continuation'] as const

export const operatorListSessions =
  ({ sessionAdministration }: Pick<Broker, 'sessionAdministration'>): Handle =>
  async (request, invocation) =>
    json(200, await sessionAdministration.list(await readJson(request, names), invocation))

export const operatorEndSessions =
  ({ sessionAdministration }: Pick<Broker, 'sessionAdministration'>): Handle =>
  async (request, invocation) =>
    json(200, await sessionAdministration.end(await readJson(request, names), invocation))
