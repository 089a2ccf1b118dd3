/** POST /certificate/{version}/registered: an operator reports that a version was registered by hand. */
import { json } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { parseQuery, readParameter } from './request.ts'
import type { Handle } from './respond.ts'

export const certificateRegistered =
  ({ noteRegistered }: Pick<Broker, 'noteRegistered'>): Handle =>
  async (request, { log, reference }) => {
    const provider = readParameter(parseQuery(request), 'provider')
    const noted = await noteRegistered(request.params?.version ?? '', provider)
    log('info', 'certificate confirmed by an operator', { reference, certificateVersion: noted.version, provider })
    return json(202, noted)
  }
