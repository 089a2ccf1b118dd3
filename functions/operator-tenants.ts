/** POST /operator/tenants/{action}: an operator lists, adds, suspends, resumes or removes tenants that signed up. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { readJson } from './request.ts'
import type { Handle } from './respond.ts'

export const operatorTenants =
  ({ tenantAdministration }: Pick<Broker, 'tenantAdministration'>): Handle =>
  async (request, invocation) =>
    json(
      200,
      await tenantAdministration.run(
        request.params?.action ?? '',
        await readJson(request, ['tenant', 'domain', 'provider']),
        invocation,
      ),
    )
