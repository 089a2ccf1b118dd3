/** POST /certificate/{version}/registered: an operator says that the provider has been given a version by hand. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import type { Handle } from './respond.ts'

export const certificateRegistered =
  ({ noteRegistered }: Pick<Broker, 'noteRegistered'>): Handle =>
  async (request) =>
    json(202, await noteRegistered(request.params.version ?? ''))
