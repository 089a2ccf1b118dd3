/** GET and POST /end-session: sign-out that an OAuth client starts by redirect. RP-Initiated Logout 1.0 §2. */
import { seeOther } from '../shared/http/answer.ts'
import type { Broker } from './compose/index.ts'
import { parseQuery, readForm } from './request.ts'
import type { Handle } from './respond.ts'

type Parts = Pick<Broker, 'authorizationServer'>

export const endSessionByGet =
  ({ authorizationServer }: Parts): Handle =>
  async (request) =>
    seeOther(await authorizationServer.endSession(parseQuery(request)))

export const endSessionByPost =
  ({ authorizationServer }: Parts): Handle =>
  async (request) =>
    seeOther(await authorizationServer.endSession(await readForm(request)))
