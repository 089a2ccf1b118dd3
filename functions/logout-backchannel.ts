/** POST /logout/backchannel: the provider reports a sign-out, server to server. Back-Channel Logout 1.0 §2.5. */
import { BrokerError } from '../shared/errors/errors.ts'
import type { Broker } from './compose/index.ts'
import { readForm } from './request.ts'
import type { Handle } from './respond.ts'

export const logoutBackchannel =
  ({ providerLogout }: Pick<Broker, 'providerLogout'>): Handle =>
  async (request) => {
    const [token, ...others] = (await readForm(request)).getAll('logout_token')
    if (token === undefined || others.length > 0)
      throw new BrokerError('logout_token_refused', { detail: 'not one token' })
    await providerLogout.byToken(token)
    return { status: 200 }
  }
